"""The best, the median and the worst image of each domain, with what heads make of them.

Which images these are is decided by one head: its mean foreground Dice puts the images of a domain in order. They are kept as a
small table and the arrays that belong to it, so that they can be shown without the features and the heads.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tedm.files import table_text
from tedm.foreign import unzipped
from tedm.heads import LEAVE_OUT, EmptyTruth, Record, Segmenter, image_scores, names_in_records
from tedm.store import IGNORE
from tedm.text import natural

COLUMNS = ["domain", "rank", "place", "image", "head", "dice"]
MOST_BYTES = 2**29  # of all arrays
# Predictions side by side that are still looked at.
MOST_SHOWN = 6


@dataclass(frozen=True)
class Place:
    """An image's place among those of its domain: "median", "6 of 12"."""

    domain: str
    rank: str
    place: str
    image: str


@dataclass(frozen=True)
class Example:
    """An image, its truth, and what heads make of it.

    Parameters
    ----------
    place : Place
    picture : array of shape (y, x) or (y, x, 3)
        In [0, 1].
    truth : array of shape (y, x), uint8
        Class indices, `tedm.store.IGNORE` where there is no label.
    predictions : mapping of str to array of shape (y, x), uint8
        By the head: "tedm, n = 6".
    dice : mapping of str to float
        Mean foreground Dice of each, in points; NaN where the image has no score.
    own_size : bool
        Whether it is at its own size (or shrunk to fit a page), and not as it was scored.
    """

    place: Place
    picture: NDArray[np.float64]
    truth: NDArray[np.uint8]
    predictions: Mapping[str, NDArray[np.uint8]]
    dice: Mapping[str, float]
    own_size: bool = False


def head_title(name: str, n: int) -> str:
    """Return what a reader calls a head, from its name in records and its number of training images: "tedm, n = 6"."""
    return f"{name}, n = {n}"


def training_images(head: Segmenter) -> int:
    """Return the training size: the number of images, or of groups where the head counts these."""
    return head.provenance.n


def shown_heads(
    heads: Mapping[str, Segmenter], ranked_by: str | None = None, *, names: Mapping[str, str] | None = None
) -> list[str]:
    """Return the keys of the heads to show: of each method the one with most images, the one that ranks last, six at most.

    Parameters
    ----------
    heads : mapping of str to Segmenter
    ranked_by : str or None
        Key of the head that ranks; None takes the last head's method, trained on most images (then the smallest seed).
    names : mapping of str to str, or None
        Each head's name in records; None takes those of a plain evaluation.
    """
    methods = names_in_records(heads) if names is None else names

    def largest(key: str) -> str:
        same = [other for other in heads if methods[other] == methods[key]]
        return max(same, key=lambda other: (training_images(heads[other]), -heads[other].provenance.seed))

    ranking = largest(list(heads)[-1]) if ranked_by is None else ranked_by
    keys = dict.fromkeys(largest(key) for key in heads)
    others = [key for key in keys if methods[key] != methods[ranking]]
    return [*others[: MOST_SHOWN - 1], ranking]


def mean_dice(
    records: Sequence[Record], head: Segmenter, name: str, *, empty: EmptyTruth = LEAVE_OUT
) -> dict[tuple[str, str], float]:
    """Return the mean foreground Dice in points of one head, by (domain, image); NaN where the image has no score."""
    who = (name, training_images(head), head.provenance.seed)
    mine = [record for record in records if (record.method, record.n, record.seed) == who]
    cells = image_scores(mine, empty=empty)
    return {(domain, image): dice for (domain, _, _), scores in cells.items() for image, dice in scores.items()}


def places(dice: Mapping[tuple[str, str], float]) -> list[Place]:
    """Return the best, the median and the worst image of each domain; of two images there is no median, of one only a best.

    Of an even number, the median is the better of the two in the middle. Images without a score have no place.

    Examples
    --------
    >>> [f"{at.image}: {at.rank}, {at.place}" for at in places({("in", "a"): 90.0, ("in", "b"): 70.0, ("in", "c"): 80.0})]
    ['a: best, 1 of 3', 'c: median, 2 of 3', 'b: worst, 3 of 3']
    """
    scored_images: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for (domain, image), value in dice.items():
        if not np.isnan(value):
            scored_images[domain].append((-value, image))
    chosen = []
    for domain, scored in scored_images.items():
        ordered = [image for _, image in sorted(scored, key=lambda pair: (pair[0], natural(pair[1])))]
        ranks: dict[int, str] = {}
        for rank, position in (("best", 0), ("worst", len(ordered) - 1), ("median", (len(ordered) - 1) // 2)):
            ranks.setdefault(position, rank)
        chosen += [Place(domain, ranks[at], f"{at + 1} of {len(ordered)}", ordered[at]) for at in sorted(ranks)]
    return chosen


def packed(examples: Sequence[Example], classes: Sequence[int]) -> tuple[str, bytes]:
    """Return the text of a CSV, a row a head, and the bytes of an npz; examples have the same heads, and one size as scored."""
    rows: list[list[str]] = [COLUMNS]
    for example in examples:
        at = example.place
        rows += ([at.domain, at.rank, at.place, at.image, title, repr(dice)] for title, dice in example.dice.items())
    arrays = io.BytesIO()
    kept: dict[str, NDArray[Any]] = {"classes": np.array(classes, np.int64)}
    pictures = [np.round(255 * np.clip(example.picture, 0, 1)).astype(np.uint8) for example in examples]
    predictions = [np.stack([*example.predictions.values()]) for example in examples]
    if any(example.own_size for example in examples):
        kept["own_sizes"] = np.array([example.own_size for example in examples])
        for number, example in enumerate(examples):
            kept |= {f"picture{number}": pictures[number], f"truth{number}": example.truth}
            kept[f"predictions{number}"] = predictions[number]
    elif examples:
        kept["pictures"], kept["predictions"] = np.stack(pictures), np.stack(predictions)
        kept["truths"] = np.stack([example.truth for example in examples])
    np.savez_compressed(arrays, **kept)  # type: ignore[arg-type]
    return table_text(rows), arrays.getvalue()


def unpacked(rows: Sequence[Sequence[str]], arrays: bytes) -> tuple[list[Example], tuple[int, ...]]:
    """Return examples and classes, from the rows of the CSV and the bytes of the npz.

    Raises
    ------
    ValueError
        If they are damaged, or do not belong together.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(arrays)) as archive:
            contents = unzipped(archive, most=MOST_BYTES)
        kept = {name: np.load(io.BytesIO(content), allow_pickle=False) for name, content in contents.items()}
        classes = _classes(kept["classes.npy"])
        if len(rows) == 1:
            return [], classes
        own_sizes = [bool(own) for own in kept["own_sizes.npy"]] if "own_sizes.npy" in kept else None
        if own_sizes is None:
            pictures, truths, predictions = (list(kept[f"{name}.npy"]) for name in ("pictures", "truths", "predictions"))
        else:
            pictures, truths, predictions = (
                [kept[f"{name}{at}.npy"] for at in range(len(own_sizes))] for name in ("picture", "truth", "predictions")
            )
    except (KeyError, TypeError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(str(error) or repr(error)) from error
    count, own_sizes = len(pictures), own_sizes or [False] * len(pictures)
    heads = len(predictions[0]) if predictions and predictions[0].ndim == 3 else 0
    if list(rows[0]) != COLUMNS or not heads or len(rows) != 1 + count * heads or not count == len(truths) == len(predictions):
        raise ValueError("the examples and their arrays do not belong together")
    examples = []
    for index in range(count):
        mine = rows[1 + index * heads : 1 + (index + 1) * heads]
        picture, truth, masks = pictures[index], truths[index], predictions[index]
        _require_arrays(picture, truth, masks, heads, len(classes))
        examples.append(
            Example(
                Place(*mine[0][:4]),
                picture / 255,
                truth,
                {row[4]: mask for row, mask in zip(mine, masks, strict=True)},
                {row[4]: float(row[5]) for row in mine},
                own_sizes[index],
            )
        )
    return examples, classes


def _require_arrays(picture: NDArray[Any], truth: NDArray[Any], masks: NDArray[Any], heads: int, classes: int) -> None:
    """Refuse arrays that are not those of an example, by a `ValueError`."""
    if any(array.dtype != np.uint8 or not array.size for array in (picture, truth, masks)):
        raise ValueError("its arrays are not of bytes")
    if truth.ndim != 2 or picture.shape[2:] not in ((), (3,)) or ((truth >= classes) & (truth != IGNORE)).any():
        raise ValueError("the truths are of no class, or the pictures none")
    if picture.shape[:2] != truth.shape:
        raise ValueError("the examples and their arrays do not belong together")
    if masks.shape != (heads, *truth.shape) or masks.max() >= classes:
        raise ValueError("the predictions are of another size, or of no class")


def _classes(values: NDArray[Any]) -> tuple[int, ...]:
    if values.ndim != 1 or values.dtype.kind not in "iu" or not 0 < len(values) <= IGNORE:
        raise ValueError("its classes are none")
    return tuple(int(value) for value in values)
