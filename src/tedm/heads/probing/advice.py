"""What probes found, in words, with the numbers behind every sentence.

Everything that is chosen (a timestep, timesteps that vote together, a level) is chosen on val images and reported on test
images.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from tedm.heads.metrics.bootstrap import Interval
from tedm.heads.metrics.summary import CONVENTIONS
from tedm.heads.probing.findings import Findings
from tedm.heads.probing.voting_path import VotingPath
from tedm.text import counted, listed

# Dice on val that is given up for fewer passes of the network, in the second of two recommendations.
NEARLY = 0.005


def advice(findings: Findings) -> list[str]:
    """Say in paragraphs what was fitted, what is best on val, what that reaches on test, and what to do.

    Without labelled val images nothing is chosen, and that is said.
    """
    on_scores = [*_on_empty_truths(findings), *_to_do(findings), *_on_timesteps(findings), *_on_levels(findings)]
    return [paragraph for paragraph in (_how(findings), *on_scores) if paragraph]


def _how(findings: Findings) -> str:
    """Say how many classifiers were fitted, and how their penalties were found."""
    plan, fits = findings.plan, [fit for fitted in findings.probed for fit in fitted.fits]
    taken = sorted({fit.ridge for fit in fits})
    strengths = f"{taken[0]:g}" if len(taken) == 1 else f"{taken[0]:g} to {taken[-1]:g}"
    text = (
        f"{len(fits)} ridge logistic regressions: {counted(len(findings.probed), 'probe')} on "
        f"{counted(len(plan.subsets), 'subset')} of n = {listed(plan.sizes)} training images. "
    )
    chosen = [fit for fit in fits if fit.chosen_by.startswith("a cross")]
    if chosen:
        text += f"Penalties of {strengths} were taken, by a cross-validation of each fit's own training images by group. "
    default = sorted(
        {
            subset.n
            for fitted in findings.probed
            for subset, fit in zip(plan.subsets, fitted.fits, strict=True)
            if fit.chosen_by.startswith("default")
        }
    )
    if default:
        text += (
            f"With n = {listed(default)} some subsets have fewer than three groups, too few for a cross-validation: "
            "they take the default penalty, 1. "
        )
    empty = sum("class" in fit.chosen_by for fit in fits)
    if empty:
        text += f"In {counted(empty, 'fit')} a class was empty in some fold (fits.csv says which). "
    unfinished = sum(not fit.converged for fit in fits)
    if unfinished:
        text += f"{counted(unfinished, 'fit')} stopped before converging. "
    return (text + "".join(f"{remark[0].upper()}{remark[1:]}. " for remark in plan.remarks)).strip()


def _on_empty_truths(findings: Findings) -> Iterator[str]:
    """Say how many images show no class, and what they count."""
    absent = {place: findings.without_class(*place) for place in findings.places()}
    parts = [
        f"{count} of {findings.images(domain, split)} in {domain or 'all'} ({split})"
        for (domain, split), count in absent.items()
        if count
    ]
    if parts:
        rule = CONVENTIONS[findings.empty]
        yield f"{rule[0].upper()}{rule[1:]} (empty truth: {findings.empty}). Images that show no class: {', '.join(parts)}."


def _on_timesteps(findings: Findings) -> Iterator[str]:
    """Say what timesteps are worth, alone and in a vote, for each training size."""
    alone = any(fitted.probe.kind == "timestep" for fitted in findings.probed)
    if alone and not findings.plan.val:
        yield (
            "There is no labelled val image, so no timestep and no vote is chosen: chosen on test images, they would be "
            "flattered by them. Put some labelled images into the split val with tedm-label."
        )
    for path in findings.paths:
        yield _on_path(findings, path)


def _on_path(findings: Findings, path: VotingPath) -> str:
    """Say which vote is best on val for a training size, and what it reaches on test images."""
    best, every = path.timesteps[0], len(path.timesteps)
    text = f"n = {path.n}: of single timesteps {best} is best on val (Dice {100 * path.val[0]:.1f})"
    if path.chosen > 1:
        text += (
            f", of the votes along the greedy path that of {listed(sorted(path.timesteps[: path.chosen]))} "
            f"({100 * path.val[path.chosen - 1]:.1f}; {path.chosen} of {every} passes of the network)"
        )
    else:
        text += ", and no vote is better"
    parts = []
    for vote in findings.chosen_votes[path.n]:
        part = f"{vote.domain or 'all'} {_points(vote.dice)}"
        if vote.over_first is not None:
            part += f", {_gain(vote.over_first)} over timestep {best} alone"
        if vote.over_all is not None:
            part += f", {_gain(vote.over_all)} over the vote of all {every}"
        parts.append(part)
    return f"{text}. Dice on test images: {'; '.join(parts)}."


def _on_levels(findings: Findings) -> Iterator[str]:
    """Say which level is best on val."""
    if not findings.levels_on_val or not findings.plan.val:
        return
    parts = []
    for n in findings.plan.sizes:
        means = {level: sizes[n] for level, sizes in findings.levels_on_val.items()}
        if all(math.isnan(mean) for mean in means.values()):
            yield "No val image shows a foreground class, so no level is chosen: give val other images."
            return
        best = max(means, key=lambda level: means[level])
        parts.append(f"n = {n}: {best} ({', '.join(f'{level} {mean:.1f}' for level, mean in means.items())})")
    yield f"Of single levels, with one classifier for all timesteps and their vote, the best on val: {'; '.join(parts)}."


def _to_do(findings: Findings) -> Iterator[str]:
    """Recommend timesteps, from the best vote and from the smallest that comes near it."""
    if not findings.paths:
        return
    yield (
        f"Recommended to vote, for tedm-fit --timesteps and for tedm-extract of new images; chosen on "
        f"{counted(findings.plan.val, 'val image')}, whose labels count as used. Each timestep had a classifier of its own; "
        "one that is shared, as in TEDM, may want other timesteps."
    )
    for path in findings.paths:
        text = f"With n = {path.n}: {_option(path, path.chosen)} (val {100 * path.val[path.chosen - 1]:.1f})"
        fewer = path.nearly(NEARLY)
        if fewer < path.chosen:
            text += f", or {_option(path, fewer)} ({100 * path.val[fewer - 1]:.1f}), the fewest within {100 * NEARLY:g} points"
        yield f"{text}."


def _points(dice: Interval) -> str:
    return f"{dice.mean:.1f} [{dice.low:.1f}, {dice.high:.1f}]"


def _gain(gain: Interval) -> str:
    mean, low, high = (round(value, 1) + 0.0 for value in (gain.mean, gain.low, gain.high))  # no -0.0
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def _option(path: VotingPath, voters: int) -> str:
    """Write the first timesteps of a path as a command takes them."""
    return ",".join(map(str, sorted(path.timesteps[:voters])))
