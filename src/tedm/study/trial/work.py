"""The work on units: a head is fitted, and heads that learned from one training set are scored in one pass."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tedm.files import make_folder, new_folder, reserved, write_whole
from tedm.heads import Record, Segmenter, Workers, evaluate, load_head, names_in_records, write_records
from tedm.store import Features
from tedm.study.fit import fit_folder
from tedm.study.stages import Log
from tedm.study.trial.asked import REMEDY
from tedm.study.trial.results import RECORDS, VOLUMES, VOTING
from tedm.study.trial.spec import ScoreAsked, Study
from tedm.study.trial.units import Unit, cost_text
from tedm.study.trial.weights import weights_of
from tedm.study.volume_scores import score_volumes


@dataclass(frozen=True)
class Work:
    """What all units of a run share.

    Parameters
    ----------
    study : Study
    features : Features
        Whole.
    device : str
        Where heads that can choose compute.
    memory : int or None
        Bytes that this process may have resident; None takes half of what is free.
    workers : Workers
        A cluster, or this process.
    what : str
        What messages call the features.
    log : callable
        Takes remarks.
    """

    study: Study
    features: Features
    device: str
    memory: int | None
    workers: Workers
    what: str
    log: Log

    def fit(self, unit: Unit, show: Callable[[str], None]) -> None:
        """Fit the head of a unit; one that was stopped goes on where it was.

        Parameters
        ----------
        unit : Unit
        show : callable
            Takes a remark on how far it is.
        """
        asked, learn, started = unit.method, self.study.learn, time.monotonic()
        make_folder(unit.folder, remedy=REMEDY)
        head = fit_folder(
            unit.head,
            self.features,
            asked.settled(),
            asked.fitted_with,
            name=asked.name or None,
            split=learn.split,
            domain=learn.domain,
            images=unit.n if unit.counts == "images" else None,
            groups=unit.n if unit.counts == "groups" else None,
            pixels_per_image=asked.pixels_per_image,
            sampling=asked.sampling,
            params=asked.params,
            start=weights_of(self.study, asked),
            calibrate=asked.calibrate,
            seed=unit.seed,
            device=self.device,
            memory=self.memory,
            workers=self.workers,
            progress=lambda done, every, loss: show(f"{unit}: {100 * done // max(every, 1)} %"),
        )
        cost = cost_text(time.monotonic() - started, head.provenance.report.iterations)
        write_whole(unit.fit_cost, cost, what="what the fit cost to", remedy=REMEDY)

    def score(self, units: Sequence[Unit]) -> None:
        """Score the heads of one training set on all that is to be scored; each test image is read once for all of them."""
        started = time.monotonic()
        with contextlib.ExitStack() as held:
            for unit in units:
                held.enter_context(reserved(unit.scores, what="the scores", remedy=REMEDY))
            heads = {unit.method.label: load_head(unit.head, device=self.device) for unit in units}
            found: dict[str, dict[str, list[Record]]] = {label: {} for label in heads}
            for each in self.study.score:
                for file, record in self._records(each, heads):
                    found[record.method.partition("@")[0]].setdefault(file, []).append(record)
            cost = cost_text((time.monotonic() - started) / len(units))
            for unit in units:
                write_whole(unit.score_cost, cost, what="what the scoring cost to", remedy=REMEDY)
                with new_folder(unit.scores, what="the scores", remedy=REMEDY) as aside:
                    for file, records in found[unit.method.label].items():
                        write_records(records, aside / file)

    def _records(self, each: ScoreAsked, heads: Mapping[str, Segmenter]) -> Iterator[tuple[str, Record]]:
        """Yield the records of heads on some images, each with the file that it is for."""
        yield from ((RECORDS, record) for record in self._evaluated(each, heads, None))
        for timestep, voters in _single_voters(heads):
            yield from ((VOTING, record) for record in self._evaluated(each, voters, timestep))
        if each.volumes is not None:
            records = score_volumes(
                self.features,
                heads,
                self.study.path(each.volumes),
                ignore=each.ignore,
                split=each.split,
                domain=each.domain,
                memory=self.memory,
                workers=self.workers,
                what=self.what,
                distances=each.distances,
                tolerance=each.tolerance,
                log=self.log,
            )
            yield from ((VOLUMES, record) for record in _labelled(records, heads, None))

    def _evaluated(self, each: ScoreAsked, heads: Mapping[str, Segmenter], timestep: int | None) -> Iterator[Record]:
        """Yield the records of heads that vote as they are used to, or with one timestep alone."""
        records = evaluate(
            self.features,
            heads,
            split=each.split,
            domain=each.domain,
            timesteps=None if timestep is None else [timestep],
            memory=self.memory,
            workers=self.workers,
            what=self.what,
        )
        return _labelled(records, heads, timestep)


def _labelled(records: Sequence[Record], heads: Mapping[str, Segmenter], timestep: int | None) -> Iterator[Record]:
    """Yield records under the labels that the study gives its methods: a name may depend on who is scored beside it."""
    names = names_in_records(heads, timesteps=None if timestep is None else [timestep])
    labels = {name: label if timestep is None else f"{label}@{timestep}" for label, name in names.items()}
    for record in records:
        yield replace(record, method=labels[record.method])


def _single_voters(heads: Mapping[str, Segmenter]) -> Iterator[tuple[int, dict[str, Segmenter]]]:
    """Yield each timestep with the heads that can vote with it alone, and with others as well."""
    several = {label: head for label, head in heads.items() if head.method.rows == "share" and len(head.method.timesteps) > 1}
    for timestep in sorted({timestep for head in several.values() for timestep in head.method.timesteps}):
        yield timestep, {label: head for label, head in several.items() if timestep in head.method.timesteps}
