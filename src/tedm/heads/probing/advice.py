"""What probes found, in words, with the numbers behind every sentence.

Everything that is chosen (a timestep, timesteps that vote together, a level) is chosen on val images and reported on test
images.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tedm.heads.metrics.bootstrap import Interval
from tedm.heads.metrics.summary import CONVENTIONS, mean_over_images
from tedm.heads.probing.findings import Findings
from tedm.heads.probing.fits import Probed
from tedm.heads.probing.voting_path import VotingPath

# Dice on val that is given up for fewer passes of the network, in the second of two recommendations.
NEARLY = 0.005


def advice(findings: Findings) -> list[str]:
    """Paragraphs: what was fitted, what is best on val and what it reaches on test, what to do.

    Without labelled val images nothing is chosen, and that is said.
    """
    on_scores = [*_on_empty_truths(findings), *_to_do(findings), *_on_timesteps(findings), *_on_levels(findings)]
    return [paragraph for paragraph in (_how(findings), *on_scores) if paragraph]


def _how(findings: Findings) -> str:
    plan, fits = findings.plan, [fit for done in findings.probed for fit in done.fits]
    taken = sorted({fit.ridge for fit in fits})
    strengths = f"{taken[0]:g}" if len(taken) == 1 else f"{taken[0]:g} to {taken[-1]:g}"
    text = (
        f"{len(fits)} ridge logistic regressions: {_counted(len(findings.probed), 'probe')} on "
        f"{_counted(len(plan.subsets), 'subset')} of n = {_listed(plan.sizes)} training images. "
    )
    chosen = [fit for fit in fits if fit.chosen_by.startswith("a cross")]
    if chosen:
        text += f"Penalties of {strengths} were taken, by a cross-validation of each fit's own training images by group. "
    default = sorted(
        {
            subset.n
            for done in findings.probed
            for subset, fit in zip(plan.subsets, done.fits, strict=True)
            if fit.chosen_by.startswith("default")
        }
    )
    if default:
        text += (
            f"With n = {_listed(default)} some subsets have fewer than three groups, too few for a cross-validation: "
            "they take the default penalty, 1. "
        )
    empty = sum("class" in fit.chosen_by for fit in fits)
    if empty:
        text += f"In {_counted(empty, 'fit')} a class was empty in some fold (fits.csv says which). "
    unfinished = sum(not fit.converged for fit in fits)
    if unfinished:
        text += f"{_counted(unfinished, 'fit')} stopped before converging. "
    return (text + "".join(f"{remark[0].upper()}{remark[1:]}. " for remark in plan.remarks)).strip()


def _on_empty_truths(findings: Findings) -> Iterator[str]:
    absent = {place: findings.without_class(*place) for place in findings.places()}
    parts = [
        f"{count} of {len(findings.at(domain, split))} in {domain or 'all'} ({split})"
        for (domain, split), count in absent.items()
        if count
    ]
    if parts:
        rule = CONVENTIONS[findings.empty]
        yield f"{rule[0].upper()}{rule[1:]} (empty truth: {findings.empty}). Images that show no class: {', '.join(parts)}."


def _on_timesteps(findings: Findings) -> Iterator[str]:
    alone = [done for done in findings.probed if done.probe.kind == "timestep"]
    if alone and not findings.plan.val:
        yield (
            "There is no labelled val image, so no timestep and no vote is chosen: chosen on test images, they would be "
            "flattered by them. Put some labelled images into the split val with tedm-label."
        )
    for path in findings.paths:
        yield _on_path(findings, path)


def _on_path(findings: Findings, path: VotingPath) -> str:
    best, every = path.timesteps[0], len(path.timesteps)
    text = f"n = {path.n}: of single timesteps {best} is best on val (Dice {100 * path.val[0]:.1f})"
    if path.chosen > 1:
        text += (
            f", of the votes along the greedy path that of {_listed(sorted(path.timesteps[: path.chosen]))} "
            f"({100 * path.val[path.chosen - 1]:.1f}; {path.chosen} of {every} passes of the network)"
        )
    else:
        text += ", and no vote is better"
    parts = []
    for domain, split in findings.places():
        if split == "val":
            continue
        some = findings.at(domain, split)
        dice = findings.image_scores(path.scores)[:, some][..., 0]
        chosen, first, all_vote = dice[..., path.chosen - 1], dice[..., 0], dice[..., -1]
        part = f"{domain or 'all'} {_points(findings.interval(chosen, some))}"
        if path.chosen > 1:
            part += f", {_gain(findings.interval(chosen - first, some))} over timestep {best} alone"
        if path.chosen < every:
            part += f", {_gain(findings.interval(chosen - all_vote, some))} over the vote of all {every}"
        parts.append(part)
    return f"{text}. Dice on test images: {'; '.join(parts)}."


def _on_levels(findings: Findings) -> Iterator[str]:
    levels = [done for done in findings.probed if done.probe.kind == "level"]
    if not levels or not findings.plan.val:
        return
    parts = []
    for n in findings.plan.sizes:
        means = {str(done.probe.level): 100 * _val_mean(findings, done, n) for done in levels}
        if all(math.isnan(mean) for mean in means.values()):
            yield "No val image shows a foreground class, so no level is chosen: give val other images."
            return
        best = max(means, key=lambda level: means[level])
        parts.append(f"n = {n}: {best} ({', '.join(f'{level} {mean:.1f}' for level, mean in means.items())})")
    yield f"Of single levels, with one classifier for all timesteps and their vote, the best on val: {'; '.join(parts)}."


def _to_do(findings: Findings) -> Iterator[str]:
    if not findings.paths:
        return
    yield (
        f"Recommended to vote, for tedm-fit --timesteps and for tedm-extract of new images; chosen on "
        f"{_counted(findings.plan.val, 'val image')}, whose labels count as used. Each timestep had a classifier of its own; "
        "one that is shared, as in TEDM, may want other timesteps."
    )
    for path in findings.paths:
        text = f"With n = {path.n}: {_option(path, path.chosen)} (val {100 * path.val[path.chosen - 1]:.1f})"
        fewer = path.nearly(NEARLY)
        if fewer < path.chosen:
            text += f", or {_option(path, fewer)} ({100 * path.val[fewer - 1]:.1f}), the fewest within {100 * NEARLY:g} points"
        yield f"{text}."


def _val_mean(findings: Findings, done: Probed, n: int) -> float:
    of_size = findings.image_scores(done.scores)[[subset.n == n for subset in findings.plan.subsets]]
    return float(mean_over_images(of_size[:, : findings.plan.val, 0]))


def _points(found: Interval) -> str:
    return f"{found.mean:.1f} [{found.low:.1f}, {found.high:.1f}]"


def _gain(found: Interval) -> str:
    mean, low, high = (round(value, 1) + 0.0 for value in (found.mean, found.low, found.high))  # no -0.0
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def _option(path: VotingPath, voters: int) -> str:
    return ",".join(map(str, sorted(path.timesteps[:voters])))


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
