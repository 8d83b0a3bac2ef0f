"""The scores of a head out of an evaluation's folder, as a model card tells them."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from pathlib import Path

from tedm.errors import TedmError
from tedm.heads import CONVENTIONS, SCALES, TITLES, Metric, Segmenter, identity_of, summarise
from tedm.study.report.evaluation import convention_of_numbers, read_evaluation
from tedm.text import listed

METRICS: tuple[Metric, ...] = ("dice", "iou")


@dataclass(frozen=True)
class Score:
    """A mean over the test images of a domain.

    Parameters
    ----------
    domain, split : str
        Which images.
    metric, title : str
        "dice", and what people call it.
    mean : float
        Over images, from 0 to 1.
    deviation : float or None
        Of images from it; None of one image.
    images, groups : int
        How many have a score, and of how many groups (patients).
    classes : tuple of str
        What is averaged.
    resolution : str
        Where masks were compared: "feature" or "volume".
    convention : str
        What an image counts whose truth does not show a class, as a clause.
    """

    domain: str
    split: str
    metric: str
    title: str
    mean: float
    deviation: float | None
    images: int
    groups: int
    classes: tuple[str, ...]
    resolution: str
    convention: str


def scores_of(head: Segmenter, folder: Path) -> tuple[Score, ...]:
    """Return a head's scores: for each domain the mean over foreground classes, and each class where there are several.

    Parameters
    ----------
    head : Segmenter
    folder : Path
        What `tedm evaluate STORE HEAD... --folder FOLDER` wrote; the scores of other heads in it are left out.

    Raises
    ------
    TedmError
        If it is no such folder, or this head was not among those evaluated.
    """
    evaluation = read_evaluation(folder)
    about, identity = head.provenance, identity_of(head)
    names = [name for name, other in evaluation.methods.items() if other == identity]
    if not evaluation.methods:  # a folder of before
        names = [head.label]
    own = [each for each in evaluation.records if each.method in names and (each.n, each.seed) == (about.n, about.seed)]
    if not own:
        there = sorted({f"{each.method} (n = {each.n}, seed {each.seed})" for each in evaluation.records})
        raise TedmError(
            f"{folder} has no scores of this head, {head.label} (n = {about.n}, seed {about.seed}) by its own vote; it has "
            f"those of {listed(there, most=4)}\nEvaluate it: tedm evaluate STORE HEAD --folder FOLDER"
        )
    empty = convention_of_numbers(evaluation)
    scores = []
    for by_class in (False, True):
        for metric in METRICS[: 1 if by_class else None]:
            table = summarise(own, metric=metric, empty=empty, by_class=by_class)
            named = dict(zip(table.class_values, table.class_names, strict=True))
            if by_class and len(named) < 2:
                continue
            for cell in (each for each in table.cells if each.images):
                values = named if cell.class_value is None else [cell.class_value]
                split = next(each.split for each in own if each.domain == cell.domain)
                scores.append(
                    Score(
                        cell.domain,
                        split,
                        metric,
                        TITLES[metric],
                        cell.mean / SCALES[metric].factor,
                        None if isnan(cell.deviation) else cell.deviation / SCALES[metric].factor,
                        cell.images,
                        cell.groups,
                        tuple(named[value] or f"class {value}" for value in values),
                        table.resolution,
                        CONVENTIONS[empty],
                    )
                )
    return tuple(scores)
