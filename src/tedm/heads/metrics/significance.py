"""Is one method really better than another on these images?

The images are the same, so the differences are tested, image by image, with Wilcoxon's signed-rank test as in arXiv:2311.07421.
Whoever compares many methods with the best finds a difference by luck; a correction for the number of comparisons keeps the
chance of one such find below alpha. Holm's is never weaker than Bonferroni's, which is what arXiv:2311.07421 reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Correction = Literal["holm", "bonferroni", "none"]
CORRECTIONS: tuple[Correction, ...] = get_args(Correction)
ROUNDING = 1e-12  # scores in [0, 1] that differ by less differ by the order of a sum


def paired_p_value(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test.

    Pairs with a NaN or without a difference are left out. Exact where scipy can be (50 pairs without ties, 13 with), else by
    the normal approximation. Without a difference, 1.

    Parameters
    ----------
    one, other : arrays of shape (images,)
        Scores in [0, 1] of the same images, in the same order.

    Examples
    --------
    >>> paired_p_value(np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]), np.array([0.8, 0.6, 0.4, 0.2, 0.0, 0.39]))
    0.03125
    """
    from scipy.stats import PermutationMethod, rankdata, wilcoxon  # half a second, and only tables need it

    differences = (one - other)[~np.isnan(one - other)]
    differences = np.round(differences / ROUNDING) * ROUNDING
    differences = differences[differences != 0]
    if differences.size == 0:
        return 1.0
    ranks = rankdata(np.abs(differences))
    tied = np.unique(ranks).size < ranks.size
    # Explicit, since older scipy's "auto" calls its tables exact under ties: 2**13 signs are still enumerated, not drawn.
    method: PermutationMethod | Literal["auto"] = PermutationMethod() if tied and differences.size <= 13 else "auto"
    return float(wilcoxon(differences, method=method).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, keeping their order (Holm 1979, Scandinavian Journal of Statistics 6:65).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected = [1.0] * len(p_values)
    running = 0.0
    for done, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - done) * p_values[index]))
        corrected[index] = running
    return corrected


def bonferroni(p_values: Sequence[float]) -> list[float]:
    """Multiply p-values by their number, up to 1.

    Examples
    --------
    >>> bonferroni([0.01, 0.04, 0.5])
    [0.03, 0.12, 1.0]
    """
    return [min(1.0, len(p_values) * p_value) for p_value in p_values]


def corrected(p_values: Sequence[float], correction: Correction) -> list[float]:
    """Correct p-values for their number by "holm" or "bonferroni", or leave them as they are ("none")."""
    if correction == "none":
        return list(p_values)
    return holm(p_values) if correction == "holm" else bonferroni(p_values)
