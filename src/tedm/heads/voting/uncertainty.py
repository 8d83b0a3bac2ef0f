"""How sure a committee is of each pixel, and how far its voters are apart.

The entropy of the vote says how sure the committee is as a whole. It is the sum of what each voter is unsure of and of what
they disagree about; the second part is the Jensen-Shannon divergence of their opinions (Lin 1991, doi:10.1109/18.61115), which
is large where every voter is sure and each of something else.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def entropy(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the entropy of class probabilities, relative to that of a guess.

    Parameters
    ----------
    probabilities : array of shape (..., classes)
        Each row sums to one.

    Returns
    -------
    array of shape (...)
        From 0 (sure) to 1 (all classes alike); 0 where there is one class only.

    Examples
    --------
    >>> entropy(np.array([[1.0, 0.0], [0.5, 0.5]]))
    array([0., 1.])
    """
    p = np.asarray(probabilities, np.float64)
    classes = p.shape[-1]
    if classes < 2:
        return np.zeros(p.shape[:-1])
    nats = -(p * np.log(p, out=np.zeros_like(p), where=p > 0)).sum(axis=-1)
    return np.asarray(np.clip(nats / np.log(classes), 0.0, 1.0) + 0.0)  # no negative zeros


def disagreement(opinions: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the Jensen-Shannon divergence of the voters: entropy of their mean less the mean of their entropies.

    Parameters
    ----------
    opinions : array of shape (voters, pixels, classes)
        Probabilities; each row sums to one.

    Returns
    -------
    array of shape (pixels,)
        From 0 (all alike) to 1 (they are sure of all classes alike), in the unit of `entropy`; 0 with one voter.

    Examples
    --------
    >>> disagreement(np.array([[[1.0, 0.0]], [[0.0, 1.0]]]))
    array([1.])
    """
    total, own = np.zeros(opinions.shape[1:]), np.zeros(opinions.shape[1])
    for voter in opinions:  # one at a time: a committee of eighty needs no second copy
        total += voter
        own += entropy(voter)
    return np.asarray(np.clip(entropy(total / len(opinions)) - own / len(opinions), 0.0, 1.0))
