"""How sure heads are of labelled images, and how often they are right, before and after their temperature."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tedm.files import make_folder, write_table
from tedm.heads.data.subsets import NCounts
from tedm.heads.evaluation.evaluate import unseen_images
from tedm.heads.metrics.reliability import Bin, Reliability
from tedm.heads.runtime.workers import HERE, Workers
from tedm.heads.segmenter.identity import names_in_records
from tedm.heads.segmenter.predict import Ballots
from tedm.heads.segmenter.segmenter import Segmenter
from tedm.heads.voting.vote import VotingRule
from tedm.store import Features


@dataclass(frozen=True)
class HeadReliability:
    """A head's reliability on a domain.

    Parameters
    ----------
    head : str
        Key of the head.
    method, n, seed, labels_used
        As in `tedm.heads.evaluation.records.Record`.
    domain : str
    images : int
        Number of images.
    temperature : float or None
        The head's, if it is for this vote.
    before : Reliability
        Of the vote.
    after : Reliability or None
        At the temperature.
    n_counts : {"images", "groups"}
        What n counts.
    """

    head: str
    method: str
    n: int
    seed: int
    labels_used: int
    domain: str
    images: int
    temperature: float | None
    before: Reliability
    after: Reliability | None
    n_counts: NCounts = "images"

    def stages(self) -> list[tuple[str, float, Reliability]]:
        """Return ("before", 1, ...) and, if there is a temperature, ("after", T, ...)."""
        first = [("before", 1.0, self.before)]
        return first if self.after is None or self.temperature is None else [*first, ("after", self.temperature, self.after)]


def reliability(
    features: Features,
    heads: Mapping[str, Segmenter],
    *,
    split: str | None = "test",
    domain: str | None = None,
    rule: VotingRule | None = None,
    timesteps: Sequence[int] | None = None,
    memory: int | None = None,
    workers: Workers = HERE,
    what: str = "the store",
    progress: Callable[[int, int], None] | None = None,
) -> list[HeadReliability]:
    """Tell how sure heads are of labelled images, and how often they are right, before and after their temperature.

    Parameters
    ----------
    features, heads, split, domain, rule, timesteps, memory, workers, what, progress
        See `evaluate`. Reading is a pass of its own.

    Returns
    -------
    list of HeadReliability
        One for each head and domain, over all labelled pixels of the domain's images.

    Raises
    ------
    TedmError
        As `evaluate` does.
    """
    names = unseen_images(features, heads, split=split, domain=domain)
    ballots = Ballots.settled(features, heads, rule=rule, timesteps=timesteps, memory=memory, what=what)
    methods = names_in_records(heads, rule=rule, timesteps=timesteps)
    labels = features.labels
    sums: dict[tuple[str, str], HeadReliability] = {}
    for done, (name, counted) in enumerate(workers.over(_counts, ballots, names), 1):
        for key, before, after in counted:
            place = (key, labels.domains[labels.index(name)])
            sofar = sums.get(place)
            if sofar is None:
                provenance = heads[key].provenance
                sums[place] = HeadReliability(
                    head=key,
                    method=methods[key],
                    n=provenance.n,
                    seed=provenance.seed,
                    labels_used=provenance.labels_used,
                    domain=place[1],
                    images=1,
                    temperature=ballots.votes[key].temperature,
                    before=before,
                    after=after,
                    n_counts=provenance.n_counts,
                )
                continue
            both = after + sofar.after if after is not None and sofar.after is not None else None
            sums[place] = replace(sofar, images=sofar.images + 1, before=sofar.before + before, after=both)
        if progress is not None:
            progress(done, len(names))
    return sorted(sums.values(), key=lambda one: list(heads).index(one.head))


def write_reliability(measured: Sequence[HeadReliability], folder: Path) -> None:
    """Write ece.csv, one row for each head, domain and stage, and reliability.csv, one for each of their bins.

    Raises
    ------
    TedmError
        If they cannot be written.
    """
    who = ("head", "method", "n", "n_counts", "seed", "labels_used", "domain", "stage", "temperature")
    errors: list[tuple[object, ...]] = [(*who, "images", "pixels", "ece", "cross_entropy", "accuracy")]
    bins: list[tuple[object, ...]] = [(*who, *Bin._fields)]
    for one in measured:
        for stage, temperature, counts in one.stages():
            key = (one.head, one.method, one.n, one.n_counts, one.seed, one.labels_used, one.domain, stage, temperature)
            pixels = int(counts.pixels.sum())
            errors.append((*key, one.images, pixels, counts.ece, counts.cross_entropy, counts.accuracy))
            bins += [(*key, *each) for each in counts.bins()]
    make_folder(folder)
    for name, rows in (("ece.csv", errors), ("reliability.csv", bins)):
        write_table(folder / name, rows, remedy="choose another folder")


def _counts(ballots: Ballots, names: Sequence[str]) -> Iterator[tuple[str, list[tuple[str, Reliability, Reliability | None]]]]:
    """Yield for each image the counts of each head before and after its temperature, if that is for this vote."""
    for block in ballots.blocks(names):
        truth, counted = ballots.features.mask(block.name).ravel(), []
        for key, head in ballots.heads.items():
            vote = ballots.votes[key]
            opinions = head.opinions(block, vote.timesteps)
            before = Reliability.count(truth, head.merge(vote.uncalibrated(), opinions))
            after = Reliability.count(truth, head.merge(vote, opinions)) if vote.temperature is not None else None
            counted.append((key, before, after))
        yield block.name, counted
