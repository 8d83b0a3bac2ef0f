"""From a store to what its timesteps and levels are worth, in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tedm.heads.findings import Findings
from tedm.heads.greedy import voting_paths
from tedm.heads.probes import STRENGTHS, By, plan_probes, run_probes
from tedm.store import Features


def probe(
    features: Features,
    *,
    sizes: Sequence[int | None] | None = None,
    repeats: int = 5,
    by: By = "timestep",
    domain: str | None = None,
    train: str | None = "train",
    test: str | None = "test",
    ridge: Sequence[float] = STRENGTHS,
    memory: int | None = None,
    processes: int = 1,
    kept: Path | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Findings:
    """Fit a ridge logistic regression on each timestep (or level, or both) and see which are worth what.

    Parameters
    ----------
    features : Features
        A store, say.
    sizes : sequence of int or None, or None
        Numbers of training images; None among them is all. None takes 1, 3, 6 and 12, as far as there are more, and all.
    repeats : int
        Random subsets of each size.
    by : {"timestep", "level", "timestep,level"}
        What a probe sees; the last is timesteps, levels, and each level at each timestep.
    domain : str or None
        Where training and val images are from; tests are in every domain.
    train, test : str or None
        Splits.
    ridge : sequence of float
        Penalties; of several, each fit takes the best of a cross-validation of its own images by group.
    memory : int or None
        Bytes that this process and its helpers may have resident; None takes half of what is free.
    processes : int
        Probes that are computed at once, as far as the memory holds them.
    kept : Path or None
        A folder for finished probes: the same call goes on after them. To be deleted when the findings are safe.
    progress : callable (done, all, what) or None

    Returns
    -------
    Findings
        `advice(findings)` says them in words.

    Raises
    ------
    TedmError
        If images, masks or memory do not suffice; see `tedm.heads.probes`.
    """
    plan = plan_probes(features, sizes=sizes, repeats=repeats, by=by, domain=domain, train=train, test=test)
    probed = run_probes(features, plan, ridge=ridge, memory=memory, processes=processes, kept=kept, progress=progress)
    return Findings(features, plan, probed, voting_paths(features, plan, probed, memory=memory, progress=progress))
