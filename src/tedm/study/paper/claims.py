"""The paper's five findings, each held against the records of a study.

A finding is a claim, and what it says of numbers: one or more differences that should be above zero. Each is taken seed by seed
and averaged over places (a domain at a training size); it holds only if its whole interval over seeds lies above zero, and does
not if the whole interval lies below.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal

from tedm.study.paper.results import PaperResults
from tedm.study.paper.seeds import Cell, Estimate, combined, estimate, over_places, seed_means
from tedm.text import listed

Verdict = Literal["holds", "does not hold", "cannot be told", "cannot be asked"]
# The largest of the small timesteps.
SMALL = 50
# Points of Dice that one timestep may lack to go as far as TEDM.
WITHIN = 2.0
# What methods of `voting` are called here: they may have the names of probes.
ALONE = "\0alone: "

NOTHING = Estimate(nan, nan, nan, 0)
# The titles of findings.csv.
COLUMNS: tuple[str, ...] = ("finding", "claim", "finding_verdict", "check", "domain", "n")
COLUMNS += ("difference", "low", "high", "seeds", "margin", "verdict")

Place = tuple[str, int]  # domain, n


@dataclass(frozen=True)
class Check:
    """A difference that should be above zero (above `-margin`, where there is a margin), in points of Dice.

    `places` has the estimate of each domain and training size, `difference` that of their mean. `missing` says what there are
    no records of; then nothing was asked.
    """

    question: str
    difference: Estimate = NOTHING
    places: Mapping[Place, Estimate] | None = None
    margin: float = 0.0
    missing: str = ""

    @property
    def verdict(self) -> Verdict:
        """What its interval over seeds says."""
        if self.missing:
            return "cannot be asked"
        if self.difference.low > -self.margin:
            return "holds"
        return "does not hold" if self.difference.high < -self.margin else "cannot be told"


@dataclass(frozen=True)
class Finding:
    """A claim of the paper and its checks, numbered as the design has them."""

    number: int
    claim: str
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """It holds if every check does, and does not if one does not; what was not asked keeps it from holding."""
        verdicts = [check.verdict for check in self.checks]
        order: tuple[Verdict, ...] = ("does not hold", "cannot be asked", "cannot be told")
        return next((each for each in order if each in verdicts), "holds")

    @property
    def words(self) -> str:
        """The claim, the verdict, and each check with its difference, interval and seeds, as one paragraph."""
        told = "; ".join(in_words(check) for check in self.checks)
        return f"Finding {self.number}, {self.claim}: {self.verdict}. That is: {told}."


def findings(results: PaperResults) -> list[Finding]:
    """Hold the paper's five findings against records.

    Parameters
    ----------
    results : PaperResults
        Small timesteps are those up to `SMALL`.

    Returns
    -------
    list of Finding
        Five, in the paper's order; what lacks a method "cannot be asked".

    Raises
    ------
    TedmError
        If the records cannot be compared, see `tedm.heads.comparisons`.
    """
    means: dict[Cell, dict[int, float]] = seed_means(results.records)
    means |= {(domain, n, ALONE + name): seeds for (domain, n, name), seeds in _voting(results).items()}
    home, *others = results.domains
    tedm, ledm, ledme = (results.name_of(role) for role in ("tedm", "ledm", "ledme"))
    small = [name for timestep, name in results.timesteps.items() if timestep <= SMALL]
    large = [name for timestep, name in results.timesteps.items() if timestep > SMALL]
    sizes = sorted({n for _, n, _ in means})
    at_home, away = [(home, n) for n in sizes], [(domain, n) for domain in others for n in sizes]
    probes = {f"probe at t <= {SMALL}": small, f"probe at t > {SMALL}": large}

    def ask(question: str, places: Sequence[Place], *sides: tuple[str, Sequence[str]], margin: float = 0.0) -> Check:
        return _check(means, question, places, dict(sides), margin=margin)

    def fewest(*methods: str) -> list[Place]:
        shared = set.intersection(*({n for _, n, name in means if name == method} for method in methods))
        return [(domain, min(shared, default=sizes[0])) for domain in (home, *others)]

    vote, concatenated, few = (tedm, [tedm]), (ledme, [ledme]), fewest(tedm, ledme)
    best = _best_alone(means, home, sizes)
    alone = ("TEDM with one timestep alone", [best] if best else [])
    called = best.removeprefix(ALONE) if best else "the best timestep"
    fewest_of_one = fewest(tedm, *small[:1])
    small_above = f"mean of probes at t <= {SMALL} above that at t > {SMALL}"
    return [
        Finding(
            1,
            "small timesteps carry most of the information",
            (ask(f"{small_above}, at home", at_home, *probes.items()),),
        ),
        Finding(
            2,
            "small timesteps survive domain shift best",
            (
                ask(f"{small_above}, in other domains", away, *probes.items()),
                _check(means, f"t > {SMALL} loses more from home to other domains than t <= {SMALL}", away, probes, home=home),
            ),
        ),
        Finding(
            3,
            "concatenation overfits when labels are few",
            (ask(f"{tedm} above {ledme} at n = {few[0][1]}", few, vote, concatenated),),
        ),
        Finding(
            4,
            "sharing and voting generalise",
            (
                ask(f"{tedm}'s vote above {called} alone, its best at home, in other domains", away, vote, alone),
                ask(f"{tedm} above {ledm} in other domains", away, vote, (ledm, [ledm])),
                ask(f"{tedm} above {ledme} in other domains", away, vote, concatenated),
            ),
        ),
        Finding(
            5,
            "one timestep goes far when labels are few",
            (
                ask(
                    f"mean of probes at t <= {SMALL} above {tedm}, or less than {WITHIN:g} points below, "
                    f"at n = {fewest_of_one[0][1]}",
                    fewest_of_one,
                    (f"probe at t <= {SMALL}", small),
                    vote,
                    margin=WITHIN,
                ),
            ),
        ),
    ]


def in_words(check: Check) -> str:
    """Write a check with its difference, interval and seeds."""
    if check.missing:
        return f"{check.question}: {check.verdict}, {check.missing}"
    found = check.difference
    seeds = f"{found.seeds} seeds" if found.seeds != 1 else "1 seed"
    if found.seeds < 2:
        why = "one seed gives no interval" if found.seeds else "no seed is common to its places"
        return f"{check.question}: {check.verdict}, {found.mean:+.1f} points ({why})"
    sizes: dict[str, list[int]] = defaultdict(list)
    for domain, n in check.places or {}:
        sizes[domain].append(n)
    alike: dict[str, list[str]] = defaultdict(list)
    for domain, there in sizes.items():
        alike[listed(there)].append(domain or "no domain")
    where = "; ".join(f"{listed(domains)} at n = {told}" for told, domains in alike.items())
    interval = f"[{found.low:+.1f}, {found.high:+.1f}]"
    return f"{check.question}: {check.verdict}, {found.mean:+.1f} points {interval}, {seeds}, {where}"


def findings_rows(found: Sequence[Finding]) -> Iterator[list[object]]:
    """Yield the rows of findings.csv, the titles first: a row a check, then one for each of its places."""
    yield [*COLUMNS]
    for each in found:
        for check in each.checks:
            said = [each.number, each.claim, each.verdict, check.question]
            verdict = f"{check.verdict}: {check.missing}" if check.missing else check.verdict
            yield [*said, "all", "all", *_numbers(check.difference), check.margin, verdict]
            for (domain, n), place in (check.places or {}).items():
                yield [*said, domain, n, *_numbers(place), check.margin, ""]


def _numbers(found: Estimate) -> list[object]:
    return [found.mean, found.low, found.high, found.seeds]


def _voting(results: PaperResults) -> Mapping[Cell, dict[int, float]]:
    return seed_means(results.voting) if results.voting else {}


def _check(
    means: Mapping[Cell, Mapping[int, float]],
    question: str,
    places: Sequence[Place],
    sides: Mapping[str, Sequence[str]],
    *,
    margin: float = 0.0,
    home: str | None = None,
) -> Check:
    """Ask whether the mean of the methods of the first side is above that of the second.

    With `home` it is asked of what this difference gains from home to each place.
    """
    if not places:
        return Check(question, missing="there is one domain only")
    absent = [side for side, methods in sides.items() if not {cell[2] for cell in means} & set(methods)]
    if absent:
        return Check(question, missing=f"there are no records of {listed(absent)}")
    found = {}
    for domain, n in places:
        here, there = _terms(means, (domain, n), sides), _terms(means, (home, n), sides) if home is not None else {}
        if here is not None and there is not None:
            found[domain, n] = combined(means, here | {cell: -weight for cell, weight in there.items()})
    found = {place: seeds for place, seeds in found.items() if seeds}
    if not found:
        return Check(question, missing=f"there is no domain, n and seed with {' and '.join(sides)}")
    # places with a single seed are part of the mean only where no other is
    several = {place: seeds for place, seeds in found.items() if len(seeds) > 1} or found
    return Check(
        question,
        over_places(several.values()),
        {place: estimate(seeds.values()) for place, seeds in several.items()},
        margin,
    )


def _terms(
    means: Mapping[Cell, Mapping[int, float]], place: Place, sides: Mapping[str, Sequence[str]]
) -> dict[Cell, float] | None:
    """Return the weights of a place's cells, the mean of the first side less that of the second; None where one is empty."""
    terms: dict[Cell, float] = {}
    for sign, methods in zip((1, -1), sides.values(), strict=True):
        there = [(*place, method) for method in methods if (*place, method) in means]
        if not there:
            return None
        terms |= {cell: sign / len(there) for cell in there}
    return terms


def _best_alone(means: Mapping[Cell, Mapping[int, float]], home: str, sizes: Sequence[int]) -> str | None:
    """Return the single timestep with the largest mean at home over all sizes that every single timestep has."""
    names = sorted({method for _, _, method in means if method.startswith(ALONE)})
    there = [n for n in sizes if all((home, n, name) in means for name in names)]
    if not names or not there:
        return None
    return max(names, key=lambda name: sum(estimate(means[home, n, name].values()).mean for n in there))
