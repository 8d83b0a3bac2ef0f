"""Figures 2, 3 and 4, each with a CSV of the numbers that it shows.

Figure 2 has the domain that was learned from, figure 3 the others, a panel each: Dice of the probe of each timestep against the
number of training images, with UNet and LEDM. Figure 4 is examples, a picture each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan

import numpy as np

from tedm.errors import TedmError
from tedm.files import table_text
from tedm.heads import LEAVE_OUT, METRICS, N_COUNTS, by_convention, class_names, foreground_values, mean_of_present, score
from tedm.show import example_figure, png, timestep_size_figure
from tedm.study.paper.parts import Part, left_out
from tedm.study.paper.results import PaperResults, Picture, in_order
from tedm.study.paper.seeds import Cell, Estimate, estimate, seed_means
from tedm.study.report import ResultFigure
from tedm.text import counted, listed, shown

DPI = 180
IGNORE = 255
Curves = dict[str, list[tuple[int, float, float, float]]]


def figures(results: PaperResults) -> list[Part]:
    """Return figures 2 to 4, or the line that says why one is left out.

    Raises
    ------
    TedmError
        If the records cannot be compared, or a mask holds something that is no class.
    """
    home, *others = results.domains
    found = {cell: estimate(seeds.values()) for cell, seeds in seed_means(results.records).items()}
    return [
        _curves(2, [home], found, results),
        _curves(3, others, found, results) if others else left_out("figure 3", "there is one domain only"),
        *_examples(results),
    ]


def _curves(number: int, domains: Sequence[str], found: Mapping[Cell, Estimate], results: PaperResults) -> Part:
    what, timesteps = f"figure {number}", results.timesteps
    here = [name for name in timesteps.values() if any((cell[0], cell[2]) == (d, name) for cell in found for d in domains)]
    if not here:
        return left_out(what, "there are no records of probes of single timesteps")
    there = set(results.methods)
    lines = [name for name in (results.name_of("unet"), results.name_of("ledm")) if name in there]
    titles = {domain: shown(domain) or "(no domain)" for domain in domains}
    curves = {titles[domain]: _of_domain(domain, [*timesteps.values(), *lines], found) for domain in domains}
    named = {name: timestep for timestep, name in timesteps.items()}
    rows: list[list[object]] = [["domain", "method", "timestep", "n", "mean", "low", "high", "seeds"]]
    for domain in domains:
        for name in (*timesteps.values(), *lines):
            for n, *_ in curves[titles[domain]][name]:
                point = found[domain, n, name]
                numbers = map(_known, (point.mean, point.low, point.high))
                rows.append([domain, name, named.get(name, ""), n, *numbers, point.seeds])
    counts = N_COUNTS[results.records[0].n_counts]
    figure = timestep_size_figure(
        {title: {t: every[name] for t, name in timesteps.items()} for title, every in curves.items()},
        {title: {name: every[name] for name in lines} for title, every in curves.items()},
        xlabel=f"training {counts}",
    )
    where = f"in the domain that was learned from, {titles[domains[0]]}" if number == 2 else "in the other domains"
    beside = f", with {' and '.join(lines)}" if lines else ""
    caption = (
        f"Figure {number}. Dice × 100 of a probe at each timestep against the number of training {counts} {where}{beside}: "
        "means over test images and seeds, and Student's 95 % intervals over seeds where there are several."
    )
    best = max(rows[1:], key=lambda row: float(str(row[4])) if row[2] != "" and row[4] != "" else -1.0)
    alt = (
        f"Dice against n on a logarithmic axis, a panel for each of {listed(titles.values())}, a line for each timestep, "
        f"{listed(timesteps)}{beside}. The highest of the timesteps is {best[2]} at n = {best[3]} in {best[0] or 'no domain'}."
    )
    name = f"figure-{number}"
    return Part(
        f"{what}: Dice of {counted(len(here), 'timestep')} against n{beside}, {listed(titles.values())} ({name}.png, .csv)",
        {f"{name}.png": png(figure, dpi=DPI), f"{name}.csv": table_text(rows)},
        figures=(ResultFigure(f"{name}.png", f"{name}.csv", caption, alt),),
    )


def _of_domain(domain: str, names: Sequence[str], found: Mapping[Cell, Estimate]) -> Curves:
    curves: Curves = {name: [] for name in names}
    for (where, n, name), point in sorted(found.items()):
        if where == domain and name in curves and not isnan(point.mean):
            curves[name].append((n, point.mean, point.low, point.high))
    return curves


def _examples(results: PaperResults) -> list[Part]:
    if not results.pictures:
        return [left_out("figure 4", "there are no pictures")]
    names = class_names(results.records)
    background = sorted(names)[:1] if len(names) > 1 else [0]
    values = [*background, *foreground_values(results.records)]
    legend: list[int | str] = [names.get(value, "") or value for value in values]
    return [_example(number, picture, legend, results) for number, picture in enumerate(results.pictures, 1)]


def _example(number: int, picture: Picture, legend: Sequence[int | str], results: PaperResults) -> Part:
    dice = {key: _dice(picture, key, len(legend)) for key in picture.masks}
    methods = in_order({method for method, _ in dice}, results.names)
    keys = sorted(dice, key=lambda key: (key[1], methods.index(key[0])))
    rows = [["image", "domain", "n", "method", "dice"]]
    rows += [[picture.name, picture.domain, str(n), method, str(_known(dice[method, n]))] for method, n in keys]
    figure = example_figure(picture.image, picture.truth, picture.masks, methods, legend, dice=dice)
    called = shown(picture.name) or f"picture {number}"
    where = f" ({shown(picture.domain)})" if picture.domain else ""
    sizes = listed(sorted({n for _, n in dice}))
    told = "; ".join(f"{shown(m)}, n = {n}: {'no score' if isnan(dice[m, n]) else f'{dice[m, n]:.1f}'}" for m, n in keys)
    name = f"figure-4-{number}"
    caption = (
        f"Figure 4. {called}{where}: what each method made of it, a row for each number of training images (n). Masks in the "
        "colours of their classes, the truth as a white outline; Dice × 100 is the mean over the classes that the truth shows."
        f"{' ' * bool(picture.note)}{picture.note}"
    )
    return Part(
        f"figure 4: {called}{where}, {counted(len(methods), 'method')} at n = {sizes} ({name}.png, .csv)",
        {f"{name}.png": png(figure, dpi=DPI), f"{name}.csv": table_text(rows)},
        figures=(ResultFigure(f"{name}.png", f"{name}.csv", caption, f"{called} with outlined masks. Dice: {told}."),),
    )


def _dice(picture: Picture, key: tuple[str, int], classes: int) -> float:
    """Return the mean Dice over foreground classes in points, as tables have it."""
    try:
        ratios = score(picture.truth, picture.masks[key], classes).stacked(METRICS[:4])
    except TedmError as error:
        method, n = key
        raise TedmError(
            f"figure 4 cannot be drawn: picture {shown(picture.name)}, the mask of {shown(method)}, n = {n}: {error}"
        ) from error
    dice = by_convention(ratios, METRICS[:4], LEAVE_OUT)[1:, METRICS.index("dice")]
    return float(100 * mean_of_present(np.asarray(dice), 0))


def _known(value: float) -> object:
    return "" if isnan(value) else value
