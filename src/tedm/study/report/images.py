"""The images of a report: the best, the median and the worst of each domain, as tiles."""

from __future__ import annotations

from collections.abc import Sequence

from tedm.heads import CONVENTIONS, EmptyTruth, class_names
from tedm.show.figures import png
from tedm.show.panels import PANEL
from tedm.show.report import IGNORE, Section, Tile, tile_figure
from tedm.study.originals import LONGEST
from tedm.study.report.evaluation import CHOICE, Evaluation, convention_of_numbers
from tedm.study.report.examples import Example
from tedm.study.report.words import named, number
from tedm.text import called

# Dots of a tile across, in whole dots a pixel where that can be; larger pictures are shrunk to the most.
LEAST, MOST = 384, 1024
NO_BREAK = "\u00a0"


def examples_section(evaluation: Evaluation, several: bool, empty: EmptyTruth) -> Section:
    """Return the best, the median and the worst image of each domain."""
    sections: dict[str, list[Section]] = {}
    for example in evaluation.examples:
        at = example.place
        heading = f"{at.rank.capitalize()} ({at.place}): {at.image}"
        strip = Section(heading, tiles=_tiles(example, len(evaluation.classes)))
        sections.setdefault(at.domain, []).append(strip)
    words = [text for label, text in evaluation.result.about if label == CHOICE]
    words.append(f"{_how_shown(evaluation.examples)} Click one to enlarge.")
    own = convention_of_numbers(evaluation)
    if own != empty:
        words.append(f"The Dice below are as the folder has them: {CONVENTIONS[own]} (empty truth: {own}).")
    names = class_names(evaluation.records)
    return Section(
        f"Images: {evaluation.result.title}" if several else "Images",
        words=words,
        legend=[called(value, names.get(value, "")) for value in evaluation.classes],
        striped=any((example.truth == IGNORE).any() for example in evaluation.examples),
        sections=[Section(named(domain), sections=strips) for domain, strips in sections.items()],
    )


def _how_shown(examples: Sequence[Example]) -> str:
    scored = next((example.truth.shape for example in examples if not example.own_size), None)
    own = f"at their own size, shrunk to {LONGEST} where they are larger, with masks as they are written for them"
    if scored is None:
        return f"Images are shown {own}; scores are of the smaller masks that the head makes."
    height, width = scored
    shrunk = f", shrunk to {MOST} across" if width > MOST else ""
    as_scored = f"Images and outlines are shown as they were scored, pixel by pixel: {width} × {height}{shrunk}."
    return f"{as_scored} Some are shown {own}." if any(example.own_size for example in examples) else as_scored


def _dpi(width: int) -> float:
    """Return dots an inch of a tile, so that a pixel is a whole number of dots."""
    return min(MOST, width * -(-LEAST // width)) / PANEL


def _tiles(example: Example, classes: int) -> list[Tile]:
    name, dpi = example.place.image, _dpi(example.truth.shape[1])
    tiles = [
        Tile(png(tile_figure(example.picture), dpi=dpi), f"{name}, the image", "image"),
        Tile(
            png(tile_figure(example.picture, example.truth, classes=classes), dpi=dpi),
            f"{name} with the truth outlined",
            "truth",
        ),
    ]
    for head, mask in example.predictions.items():
        figure = tile_figure(example.picture, mask, truth=example.truth, classes=classes)
        dice = f"Dice {number(example.dice[head])}"
        alt = f"{name} with the prediction of {head} and the outline of the truth: {dice}"
        tiles.append(Tile(png(figure, dpi=dpi), alt, f"{head}: {dice.replace(' ', NO_BREAK)}"))
    return tiles
