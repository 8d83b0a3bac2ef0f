"""Which timesteps and levels carry the information: a small ridge logistic regression on each, on subsets of several sizes.

The experiment of appendix B of arXiv:2311.07421, for anybody's features. A probe is what a classifier may see: one timestep,
one level, or one level at one timestep. Its activations are read once for all subsets, strengths and folds, which advance
together; what it predicts is scored on every test image, and on val images, by which alone anything is chosen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args
from zipfile import BadZipFile

import numpy as np
import torch
from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.algebra import BlockDesign
from tedm.heads.budget import Budget, resident
from tedm.heads.jobs import Job, Source
from tedm.heads.logistic import class_probabilities
from tedm.heads.parallel import each_in_a_thread
from tedm.heads.ridge import Solver, solve
from tedm.heads.scores import score_each
from tedm.heads.subsets import first_images
from tedm.heads.training import TrainingData
from tedm.heads.vote import vote
from tedm.store import IGNORE, Block, Features, OnLevels
from tedm.store.layout import Floats

By = Literal["timestep", "level", "timestep,level"]
SIZES = (1, 3, 6, 12)
METRICS = ("dice", "precision", "recall")

# Fewer strengths and folds than a single head tries: what matters here is the order of timesteps, at hundreds of fits.
STRENGTHS = (1.0, 10.0, 100.0, 1000.0, 10000.0)
FOLDS = 3
ITERATIONS = 300
TOLERANCE = 1e-4
# What a helper process has at least: Python, torch, some images.
PROCESS_BYTES = 10**9
# Bytes of a logit, its probabilities and what is made of them.
BYTES_PER_LOGIT = 40


@dataclass(frozen=True)
class Probe:
    """What a classifier sees; None stands for all of them, side by side for levels, one classifier for all timesteps."""

    timestep: int | None = None
    level: str | None = None

    @property
    def name(self) -> str:
        """`timestep:50`, `level:level0` or `timestep:50/level0`."""
        if self.timestep is None:
            return f"level:{self.level}"
        return f"timestep:{self.timestep}" + ("" if self.level is None else f"/{self.level}")

    @property
    def kind(self) -> By:
        """What it is one of."""
        if self.timestep is None:
            return "level"
        return "timestep" if self.level is None else "timestep,level"


@dataclass(frozen=True)
class Subset:
    """Training images of one size and repeat: the first `n` of the permutation with the repeat as its seed."""

    n: int
    repeat: int
    images: tuple[str, ...]


@dataclass(frozen=True)
class Fit:
    """One probe on one subset.

    Parameters
    ----------
    coef : array of shape (outputs, channels), intercept : array of shape (outputs,)
        The classifier.
    ridge, chosen_by
        The strength that was taken, and how it was found.
    iterations, converged
        Of the solver.
    """

    coef: Floats
    intercept: Floats
    ridge: float
    chosen_by: str
    iterations: int
    converged: bool


@dataclass(frozen=True)
class Probed:
    """All fits of one probe.

    Parameters
    ----------
    probe : Probe
    fits : tuple of Fit
        One for each subset.
    scores : array of shape (subsets, images, classes, 3)
        Dice, precision and recall in [0, 1], NaN for 0/0, of the images that were scored.
    """

    probe: Probe
    fits: tuple[Fit, ...]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """What is fitted on what and scored on what.

    Parameters
    ----------
    probes : tuple of Probe
    subsets : tuple of Subset
        By size, then repeat.
    scored : tuple of str
        Images: those of the val split, then those of the test split.
    val : int
        How many of them are for choosing.
    remarks : tuple of str
        What was left out of what was asked for, and why.
    """

    probes: tuple[Probe, ...]
    subsets: tuple[Subset, ...]
    scored: tuple[str, ...]
    val: int
    remarks: tuple[str, ...]

    @property
    def sizes(self) -> list[int]:
        """Training sizes, ascending."""
        return sorted({subset.n for subset in self.subsets})


def plan_probes(
    features: Features,
    *,
    sizes: Sequence[int | None] | None = None,
    repeats: int = 5,
    by: By = "timestep",
    domain: str | None = None,
    train: str | None = "train",
    test: str | None = "test",
) -> Plan:
    """Decide what is to be fitted and scored.

    Parameters
    ----------
    features : Features
    sizes : sequence of int or None, or None
        Numbers of training images; None among them is all, which has one repeat. None takes `SIZES`, as far as there are more
        images, and all.
    repeats : int
        Random subsets of each size, nested in each other within a repeat.
    by : {"timestep", "level", "timestep,level"}
        The last is timesteps, levels and each pair of them.
    domain : str or None
        Where training and val images are from; None takes all. Test images are from every domain.
    train, test : str or None
        Splits to learn from and to be scored on.

    Raises
    ------
    TedmError
        If there is no such labelled image, a size is more than there are, or no subset shows two classes.
    """
    if by not in get_args(By):
        raise TedmError(f"--by is {by!r}; it must be one of {', '.join(get_args(By))}")
    if repeats < 1:
        raise TedmError(f"--repeats is {repeats}; it must be at least 1")
    labels = features.labels
    candidates = labels.select(split=train, domain=domain, labelled=True)
    tested = labels.select(split=test, labelled=True)
    groups = labels.group_of(candidates)
    if sizes is None:
        sizes = [*(size for size in SIZES if size < len(candidates)), None]
    too_many = [size for size in sizes if size is not None and size > len(candidates)]
    if too_many:
        where = f"split {train!r}" + (f" of {domain}" if domain else "")
        raise TedmError(
            f"--sizes asks for {too_many[0]} training images and {where} has {len(candidates)} with a mask; "
            "ask for fewer, or for all"
        )
    if not sizes:
        raise TedmError("--sizes is empty; give one or more numbers of training images, or all")
    shown = {name: set(np.unique(features.mask(name)).tolist()) - {IGNORE} for name in candidates}
    subsets, remarks = [], []
    for n in sorted({len(candidates) if size is None else size for size in sizes}):
        of_size = []
        for repeat in range(1 if n == len(candidates) else repeats):
            images = tuple(first_images(candidates, groups, n, repeat))
            classes = set().union(*(shown[name] for name in images))
            if len(classes) < 2:
                names = [str(labels.classes[index]) for index in sorted(classes)]
                remarks.append(
                    f"repeat {repeat} of n = {n} was left out: its images show "
                    + (f"mask value {names[0]} only" if names else "no label at all")
                )
                continue
            of_size.append(Subset(n, repeat, images))
        if not of_size:
            raise TedmError(
                f"no subset of {n} training images shows two classes; ask for larger --sizes, or give images that show more"
            )
        subsets += of_size
    require_apart(features, candidates, tested)
    val = _val(features, domain)
    timesteps, levels = features.settings.timesteps, [level.name for level in features.settings.levels]
    probes: list[Probe] = []
    if by != "level":
        probes += [Probe(timestep) for timestep in timesteps]
    if by != "timestep":
        probes += [Probe(level=level) for level in levels]
    if by == "timestep,level":
        probes += [Probe(timestep, level) for level in levels for timestep in timesteps]
    return Plan(tuple(probes), tuple(subsets), (*val, *tested), len(val), tuple(remarks))


def _val(features: Features, domain: str | None) -> list[str]:
    """Labelled images of the val split; none where there is no such split."""
    labels = features.labels
    at = [n for n, split in enumerate(labels.splits) if split == "val" and domain in (None, labels.domains[n])]
    return [labels.names[n] for n in at if labels.labelled[n]]


def require_apart(features: Features, train: Sequence[str], test: Sequence[str]) -> None:
    """Refuse to score on what is learned from: images, or groups."""
    labels = features.labels
    both = sorted(set(train) & set(test))
    if both:
        raise TedmError(f"{len(both)} images are to be learned from and scored on, {both[0]} first; use another split for one")
    learned = {group for group in labels.group_of(train) if group}
    shared = sorted(learned & set(labels.group_of(test)))
    if shared:
        raise TedmError(
            f"{len(shared)} groups have images to learn from and images to be scored on, {shared[0]} first; "
            "put each group into one split with tedm-label"
        )


def run_probes(
    features: Features,
    plan: Plan,
    *,
    ridge: Sequence[float] = STRENGTHS,
    memory: int | None = None,
    processes: int = 1,
    kept: Path | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[Probed]:
    """Fit and score every probe.

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
    list of Probed
        In the order of `plan.probes`.

    Raises
    ------
    TedmError
        If the budget is too small, or `kept` has the probes of another plan.
    """
    if processes < 1:
        raise TedmError(f"--processes is {processes}; it must be at least 1")
    key = _key(features, plan, ridge)
    found = {probe: done for probe in plan.probes if kept is not None and (done := _read(kept, probe, key)) is not None}
    missing = [probe for probe in plan.probes if probe not in found]
    total = Budget(memory).total
    processes = min(processes, len(missing), max(1, (total - resident()) // PROCESS_BYTES))
    for done in _computed(features, plan, missing, ridge, memory, total, processes):
        if kept is not None:
            _write(kept, done, key)
        found[done.probe] = done
        if progress is not None:
            progress(len(found), len(plan.probes), done.probe.name)
    return [found[probe] for probe in plan.probes]


def _computed(
    features: Features,
    plan: Plan,
    probes: Sequence[Probe],
    ridge: Sequence[float],
    memory: int | None,
    total: int,
    processes: int,
) -> Iterator[Probed]:
    """The probes in order, here or by processes that share what the budget leaves."""
    if processes <= 1:
        for probe in probes:
            yield _one(features, plan, probe, ridge, memory)
        return
    share = (total - resident()) // processes
    try:
        with parallel_config("loky", n_jobs=processes, inner_max_num_threads=1):
            calls = (delayed(_one_apart)(features, plan, probe, ridge, share) for probe in probes)
            yield from Parallel(return_as="generator", batch_size=1)(calls)
    except TedmError as error:
        if "is not enough for" not in str(error):
            raise
        raise TedmError(f"{error}\n{processes} processes share the memory; --processes 1 gives all of it to one.") from error
    except TerminatedWorkerError as error:
        raise TedmError(
            "a helper process was killed, for want of memory most likely; what was finished is safe. "
            "Run the same command again with a smaller --memory or fewer --processes"
        ) from error
    finally:
        get_reusable_executor().shutdown(wait=True, kill_workers=True)  # else they stay, with their memory


def _one_apart(features: Features, plan: Plan, probe: Probe, ridge: Sequence[float], memory: int) -> Probed:
    torch.set_num_threads(1)
    return _one(features, plan, probe, ridge, memory)


def _one(features: Features, plan: Plan, probe: Probe, ridge: Sequence[float], memory: int | None) -> Probed:
    """Fit and score a probe."""
    view: Features = features if probe.level is None else OnLevels(features, [probe.level])
    budget = Budget(memory)
    fits = _fit(view, probe, plan, ridge, budget)
    return Probed(probe, fits, _score(view, probe, fits, plan.scored, budget))


def opinions(block: Block, fits: Sequence[Fit]) -> Iterator[NDArray[np.float64]]:
    """What classifiers on the same features think of a block: for each, probabilities of shape (voters, pixels, classes)."""
    weights = np.concatenate([fit.coef for fit in fits]).T
    design = BlockDesign(block, "share")
    logits = design.matmat(weights)
    first = 0
    for fit in fits:
        outputs = len(fit.intercept)
        own = logits[:, first : first + outputs].astype(np.float64) + fit.intercept
        yield class_probabilities(own).reshape(-1, block.size**2, max(2, outputs))
        first += outputs


def _fit(features: Features, probe: Probe, plan: Plan, ridge: Sequence[float], budget: Budget) -> tuple[Fit, ...]:
    names = list(dict.fromkeys(name for subset in plan.subsets for name in subset.images))
    timesteps = None if probe.timestep is None else [probe.timestep]
    data = TrainingData(features, names, rows="share", timesteps=timesteps, memory=budget)
    source = Source.of(data)
    jobs = []
    for subset in plan.subsets:
        labelled = [name for name in subset.images if name in source.counts]
        jobs.append(Job.cross_validated(source, labelled, tuple(ridge), FOLDS))
    labels = np.arange(len(features.labels.classes))
    solver = Solver(labels, data.n_features, None, True, ITERATIONS, TOLERANCE, "float32")
    return tuple(
        Fit(one.coef, one.intercept, one.ridge, one.chosen_by, one.n_iter, one.converged) for one in solve(source, jobs, solver)
    )


def _score(features: Features, probe: Probe, fits: Sequence[Fit], names: Sequence[str], budget: Budget) -> NDArray[np.float64]:
    """Shape (fits, images, classes, 3)."""
    settings = features.settings
    timesteps = settings.timesteps if probe.timestep is None else (probe.timestep,)
    classes = len(features.labels.classes)
    rows = len(timesteps) * settings.draws * settings.image_size**2
    outputs = sum(len(fit.intercept) for fit in fits)
    budget.require(rows * outputs * BYTES_PER_LOGIT, f"the predictions of {len(fits)} probes on an image")
    scores = np.full((len(fits), len(names), classes, len(METRICS)), np.nan)

    def of(numbered: tuple[int, Block]) -> tuple[int, NDArray[np.float64]]:
        at, block = numbered
        masks = np.empty((len(fits), block.size**2), np.uint8)
        for mask, opinion in zip(masks, opinions(block, fits), strict=True):
            mask[:] = (opinion[0] if len(opinion) == 1 else vote(opinion)).argmax(axis=-1)
        found = score_each(features.mask(block.name).ravel(), masks, classes)
        return at, np.stack([found.dice, found.precision, found.recall], axis=-1)

    threads = max(1, min(torch.get_num_threads(), budget.left() // (2 * rows * outputs * BYTES_PER_LOGIT)))
    for at, found in each_in_a_thread(of, enumerate(features.blocks(names, timesteps)), threads):
        scores[:, at] = found
    return scores


def _key(features: Features, plan: Plan, ridge: Sequence[float]) -> str:
    """What the scores depend on, as a hash: settings, subsets, strengths, and the masks themselves."""
    about = {
        "settings": features.settings.to_json(),
        "storage": features.storage.to_json(),
        "subsets": [asdict(subset) for subset in plan.subsets],
        "scored": plan.scored,
        "ridge": list(ridge),
        "solver": [FOLDS, ITERATIONS, TOLERANCE],
    }
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode(errors="surrogateescape"))
    for name in dict.fromkeys([*(name for subset in plan.subsets for name in subset.images), *plan.scored]):
        digest.update(features.mask(name).tobytes())
    return digest.hexdigest()


def _place(folder: Path, probe: Probe) -> Path:
    return folder / f"{probe.name.replace(':', '-').replace('/', '-')}.npz"


def _write(folder: Path, done: Probed, key: str) -> None:
    """Whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    place = _place(folder, done.probe)
    aside = place.with_name(f".{place.name}.partial.npz")
    arrays: dict[str, NDArray[np.generic]] = {"scores": done.scores, "key": np.array(key)}
    for number, fit in enumerate(done.fits):
        arrays[f"coef{number}"], arrays[f"intercept{number}"] = fit.coef, fit.intercept
    about = [[fit.ridge, fit.chosen_by, fit.iterations, fit.converged] for fit in done.fits]
    np.savez(aside, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]
    aside.replace(place)


def _read(folder: Path, probe: Probe, key: str) -> Probed | None:
    place = _place(folder, probe)
    if not place.exists():
        return None
    try:
        with np.load(place) as arrays:
            if str(arrays["key"]) != key:
                raise TedmError(
                    f"{place} is of another run (other features, masks, sizes or strengths); "
                    f"name another --out, or delete {folder}"
                )
            about = json.loads(str(arrays["about"]))
            fits = tuple(Fit(arrays[f"coef{n}"], arrays[f"intercept{n}"], *rest) for n, rest in enumerate(about))
            return Probed(probe, fits, arrays["scores"])
    except TedmError:
        raise
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None  # damaged: computed again
