"""From a store to what its timesteps and levels are worth: every probe, in processes of their own, and the votes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tedm.errors import TedmError
from tedm.heads.data.subsets import Order
from tedm.heads.metrics.summary import LEAVE_OUT, EmptyTruth, require_convention
from tedm.heads.probing.cache import ProbeCache
from tedm.heads.probing.findings import Findings
from tedm.heads.probing.fit import FittedProbe, compute_probe
from tedm.heads.probing.plan import STRENGTHS, By, Plan, Probe, plan_probes
from tedm.heads.probing.voting_path import voting_paths
from tedm.heads.runtime.memory import Budget, BudgetError, resident
from tedm.store import Features

# What a helper process has at least: Python, torch, some images.
PROCESS_BYTES = 10**9


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
    empty: EmptyTruth = LEAVE_OUT,
    order: Order = "seed",
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
    empty : {"leave-out", "count"}
        Whether an image has no score of a class that its truth does not show, or counts 1 where nothing of the class was
        predicted and 0 otherwise. What is kept of finished probes does not depend on it.
    order : {"seed", "manifest"}
        Whether subsets are random, or the first images of the features' own order: one subset of each size, whatever `repeats`.

    Returns
    -------
    Findings
        `advice(findings)` says them in words.

    Raises
    ------
    TedmError
        If images, masks or memory do not suffice; see `plan_probes`, `run_probes` and `voting_paths`.
    """
    require_convention(empty)
    plan = plan_probes(features, sizes=sizes, repeats=repeats, by=by, domain=domain, train=train, test=test, order=order)
    fitted = run_probes(features, plan, ridge=ridge, memory=memory, processes=processes, kept=kept, progress=progress)
    paths = voting_paths(features, plan, fitted, memory=memory, progress=progress, empty=empty)
    return Findings(features, plan, fitted, paths, empty=empty)


def run_probes(
    features: Features,
    plan: Plan,
    *,
    ridge: Sequence[float] = STRENGTHS,
    memory: int | None = None,
    processes: int = 1,
    kept: Path | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[FittedProbe]:
    """Fit and score every probe of a plan.

    Parameters
    ----------
    features : Features
    plan : Plan
        See `plan_probes`.
    ridge : sequence of float
        Strengths; of several, the one with the smallest loss in a grouped cross-validation of three folds, for every fit of
        its own. With fewer than three groups 1 is taken.
    memory : int or None
        Bytes that this process and its helpers may have resident; None takes half of what is free.
    processes : int
        Probes that are computed at once, each by a process of one thread: many small products gain next to nothing from
        threads. Fewer are taken where the memory does not hold `PROCESS_BYTES` for each. With 1 all is computed here.
    kept : Path or None
        A folder in which finished probes are kept: the same call goes on after them.
    progress : callable (done, all, name) or None
        Called after each probe.

    Returns
    -------
    list of FittedProbe
        In the order of `plan.probes`.

    Raises
    ------
    TedmError
        If the budget is too small, or `kept` has the probes of another plan.
    """
    if processes < 1:
        raise TedmError(f"--processes is {processes}; it must be at least 1")
    cache = ProbeCache(kept, features, plan, ridge)
    finished = {probe: fitted for probe in plan.probes if (fitted := cache.read(probe)) is not None}
    missing = [probe for probe in plan.probes if probe not in finished]
    total = Budget(memory).total
    processes = min(processes, len(missing), max(1, (total - resident()) // PROCESS_BYTES))
    here = (compute_probe(features, plan, probe, ridge, memory) for probe in missing)
    for fitted in here if processes <= 1 else _in_processes(features, plan, missing, ridge, total, processes):
        cache.write(fitted)
        finished[fitted.probe] = fitted
        if progress is not None:
            progress(len(finished), len(plan.probes), fitted.probe.name)
    return [finished[probe] for probe in plan.probes]


def _in_processes(
    features: Features, plan: Plan, probes: Sequence[Probe], strengths: Sequence[float], total: int, processes: int
) -> Iterator[FittedProbe]:
    """Yield the probes in order, computed by processes that share what the budget `total` leaves."""
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    share = (total - resident()) // processes
    try:
        with parallel_config("loky", n_jobs=processes, inner_max_num_threads=1):
            calls = (delayed(_in_one_thread)(features, plan, probe, strengths, share) for probe in probes)
            yield from Parallel(return_as="generator", batch_size=1)(calls)
    except BudgetError as error:
        raise BudgetError(f"{error}\n{processes} processes share the memory; --processes 1 gives all of it to one.") from error
    except TerminatedWorkerError as error:
        raise TedmError(
            "a helper process was killed, for want of memory most likely; what was finished is safe. "
            "Run the same command again with a smaller --memory or fewer --processes"
        ) from error
    finally:
        get_reusable_executor().shutdown(wait=True, kill_workers=True)  # else they stay, with their memory


def _in_one_thread(features: Features, plan: Plan, probe: Probe, strengths: Sequence[float], memory: int) -> FittedProbe:
    """Compute a probe in a helper process, whose cores are the others' as well."""
    import torch

    torch.set_num_threads(1)
    return compute_probe(features, plan, probe, strengths, memory)
