"""What masks hold: values with their pixels, and whether these can be classes as they stand.

Two faults of masks look like classes. Resizing with antialiasing draws edges in values between the classes: such a value occurs
on slopes only, where the neighbours of a pixel are lower on one side and higher on the other. Masks of several tools write one
class as 1 here and as 255 there: no mask then holds both. Class values that fill areas, however many, show neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.store import IGNORE
from tedm.text import counted, listed

MOST_CLASSES = 200  # in one mask; more are a photograph's grey values
SLOPE = 2 / 3  # the part of a value's pixels that lie on slopes, from which on it is an edge's value
FEWEST_EDGE_VALUES = 3  # in all masks together; one or two thin structures are classes
FEWEST_EDGE_VALUES_OF_ONE = 8  # in one mask alone, which says less
OTHER_SCALE = 50  # how many times larger a class value is in another encoding: 255 for 1, or 100 for 1
SCATTER = 16  # how far JPEG of high quality moves black and white
SHOWN = 12  # classes that are named with their counts


@dataclass(frozen=True)
class MaskValues:
    """The values of one mask, without the ignored one.

    Parameters
    ----------
    pixels : mapping of int to int
        Pixels of each value.
    on_slopes : mapping of int to int
        How many of them have a lower and a higher neighbour; only values that have some.
    """

    pixels: Mapping[int, int] = field(default_factory=dict)
    on_slopes: Mapping[int, int] = field(default_factory=dict)


class ClassCount(NamedTuple):
    """A class with its pixels and the masks that show it; pixels are the files' own."""

    value: int
    pixels: int
    masks: int


def look(mask: NDArray[np.int32], ignore: int | None = None) -> MaskValues:
    """Count a mask's values.

    Examples
    --------
    >>> look(np.array([[0, 0, 90, 255]], np.int32))
    MaskValues(pixels={0: 2, 90: 1, 255: 1}, on_slopes={90: 1})
    """
    pixels = counted_values(mask, ignore)
    on_slopes = counted_values(mask[_slopes(mask)], ignore) if len(pixels) > 2 else {}
    return MaskValues(pixels, on_slopes)


def look_at_volume(mask: NDArray[np.int32], ignore: int | None = None) -> MaskValues:
    """Count the values of a volume's mask, of shape (x, y, z).

    Between structures of a label map lie others, so that slopes say nothing there. They are looked for where the lowest and the
    highest value fill the volume, as in a mask of one structure that was interpolated.
    """
    pixels = counted_values(mask, ignore)
    on_slopes: Counter[int] = Counter()
    if len(pixels) >= 2 + FEWEST_EDGE_VALUES_OF_ONE:
        low, high = pixels[min(pixels)], pixels[max(pixels)]
        if 2 * (sum(pixels.values()) - low - high) < min(low, high):
            for plane in np.moveaxis(mask, -1, 0):
                on_slopes.update(counted_values(plane[_slopes(plane)], ignore))
    return MaskValues(pixels, dict(on_slopes))


def counted_values(mask: NDArray[np.int32], ignore: int | None = None) -> dict[int, int]:
    """Return how often each value is in a mask of any shape, but for the ignored one."""
    return {value: count for value, count in _counts(mask).items() if value != ignore}


def as_meant(
    mask: NDArray[np.int32], threshold: int | None, classes: Sequence[int] | None, ignore: int | None
) -> NDArray[np.int32]:
    """Return a mask's class values: as they are, or those of `classes` (0 and 1) below a threshold and from it on."""
    if threshold is None:
        return mask
    below, above = classes or (0, 1)
    values = np.where(mask >= threshold, np.int32(above), np.int32(below))
    return values if ignore is None else np.where(mask == ignore, mask, values)


def indices_of(values: NDArray[np.int32], classes: Sequence[int], ignore: int | None) -> NDArray[np.uint8]:
    """Return class values, of any shape, as class indices; 255 where they are the ignored value.

    Examples
    --------
    >>> indices_of(np.array([0, 255, 7], np.int32), (0, 255), 7)
    array([  0,   1, 255], dtype=uint8)
    """
    order = np.argsort(classes)
    at = np.searchsorted(classes, values, sorter=order).clip(max=len(order) - 1)
    indices: NDArray[np.uint8] = order.astype(np.uint8)[at]
    if ignore is not None:
        indices[values == ignore] = IGNORE
    return indices


def mask_problem(
    mask: NDArray[np.int32],
    size: tuple[int, int] | None,
    classes: Sequence[int] | None,
    ignore: int | None,
    said_in: str = "",
) -> str | None:
    """Return why a mask cannot be used with an image of this size and these classes, with what to do; None if it can.

    `said_in` is the table that says what is a class, where it is one.
    """
    if size is not None and mask.shape != size:
        return f"{mask.shape[0]} x {mask.shape[1]} pixels (height x width), its image {size[0]} x {size[1]}"
    values = list(_counts(mask))
    if classes is not None:
        strange = [value for value in values if value not in classes and value != ignore]
        if strange:
            some = listed(strange, most=5)
            soft = (
                f", or take values from a number on as one class with --threshold {_middle(values)}" if len(strange) > 2 else ""
            )
            remedy = f"add them to {said_in}" if said_in else "change --classes"
            return f"values {some} are none of the classes {listed(classes)}; {remedy}, or --ignore one value{soft}"
    elif negative := [value for value in values if value < 0 and value != ignore]:
        return f"values {listed(negative, most=5)} are negative; --ignore one of them, or say with --classes what is a class"
    elif len(values) > MOST_CLASSES:
        return (
            f"{len(values)} different values; is it a photograph, or was it saved as JPEG? (--classes tells what is a class, "
            f"--threshold {_middle(values)} takes values from {_middle(values)} on as one)"
        )
    return None


def require_classes(classes: Sequence[int] | None, ignore: int | None, threshold: int | None = None) -> tuple[int, ...] | None:
    """Return the classes that are asked for, 0 and 1 for a threshold without any; refuse those that cannot be."""
    if threshold is not None:
        classes = (0, 1) if classes is None else classes
        if len(classes) != 2:
            raise TedmError(f"--threshold makes two classes, and --classes names {len(classes)}: {listed(classes)}; name two")
    if classes is None:
        return None
    if len(set(classes)) != len(classes):
        raise TedmError(f"classes {listed(classes)}: each value once")
    if not 1 <= len(classes) <= IGNORE:
        raise TedmError(f"{len(classes)} classes; expected 1 to {IGNORE}")
    if ignore in classes:
        raise TedmError(f"the value {ignore} is both a class and ignored; take it out of one of the two")
    return tuple(classes)


def encoding_problems(masks: Mapping[str, MaskValues], known: Iterable[int] = ()) -> list[str]:
    """Return why values cannot be taken for classes as they stand, with what to do.

    Parameters
    ----------
    masks : mapping of str to MaskValues
        By the place that names the mask.
    known : iterable of int
        Classes of masks that were read before.
    """
    return [problem for problem in (_soft_edges(masks), _two_encodings(masks, set(known))) if problem]


def class_counts(masks: Iterable[MaskValues], classes: Iterable[int]) -> tuple[ClassCount, ...]:
    """Return pixels and masks of each class, in the order of `classes`."""
    pixels: Counter[int] = Counter()
    shown: Counter[int] = Counter()
    for mask in masks:
        pixels.update(mask.pixels)
        shown.update(mask.pixels.keys())
    return tuple(ClassCount(value, pixels[value], shown[value]) for value in classes)


def in_words(counts: Sequence[ClassCount], names: Sequence[str] = (), *, volumes: bool = False) -> str:
    """Write classes with their counts on one line, with their names if they have some.

    Examples
    --------
    >>> in_words([ClassCount(0, 12000, 3), ClassCount(255, 288, 1)])
    '0 (12,000 pixels in 3 images), 255 (288 pixels in 1 image)'
    >>> in_words([ClassCount(17, 288, 1)], ["left hippocampus"], volumes=True)
    '17 left hippocampus (288 voxels in 1 volume)'
    """
    pixel, image = ("voxel", "volume") if volumes else ("pixel", "image")
    parts = [
        f"{value}{f' {name}' if name else ''} ({pixels:,} {pixel}{'s' * (pixels != 1)} in {counted(masks, image)})"
        for (value, pixels, masks), name in zip(counts[:SHOWN], names or [""] * len(counts), strict=False)
    ]
    return ", ".join(parts) + (f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else "")


def _soft_edges(masks: Mapping[str, MaskValues]) -> str | None:
    alone = {where: _edge_values([mask], FEWEST_EDGE_VALUES_OF_ONE) for where, mask in masks.items()}
    together = set(_edge_values(list(masks.values()), FEWEST_EDGE_VALUES))
    edges = together.union(*alone.values())
    if not edges:
        return None
    where = [place for place, mask in masks.items() if edges & mask.on_slopes.keys()]
    values = sorted({value for place in where for value in masks[place].pixels})
    middle = _middle(values)
    return (
        f"soft edges in {counted(len(where), 'mask')} ({listed(where, most=3)}), as resizing or JPEG leave them: "
        f"{len(edges)} values ({listed(sorted(edges), most=5)}) belong to edges and would be a class each; "
        f"--threshold {middle} makes values from {middle} on class 1 and the others class 0, --classes names what is a class"
    )


def _edge_values(masks: Sequence[MaskValues], fewest: int) -> list[int]:
    """Return values that occur on slopes only, if they are many and the others, fewer in number, fill most of the masks."""
    pixels: Counter[int] = Counter()
    on_slopes: Counter[int] = Counter()
    for mask in masks:
        pixels.update(mask.pixels)
        on_slopes.update(mask.on_slopes)
    edges = _scattered(pixels) or [value for value, count in on_slopes.items() if count >= SLOPE * pixels[value]]
    filled = sum(pixels.values()) - sum(pixels[value] for value in edges)
    many = len(edges) >= fewest and len(edges) > len(pixels) - len(edges)
    return edges if many and 2 * filled >= sum(pixels.values()) else []


def _scattered(pixels: Mapping[int, int]) -> list[int]:
    """Return values that lie close above black and close below white, several at each, as good JPEG scatters them."""
    if not pixels:
        return []
    black, white = min(pixels), max(pixels)
    at_black = [value for value in pixels if 0 < value - black <= SCATTER]
    at_white = [value for value in pixels if 0 < white - value <= SCATTER]
    apart = white - black > 6 * SCATTER and len(at_black) + len(at_white) == len(pixels) - 2
    return at_black + at_white if apart and min(len(at_black), len(at_white)) >= FEWEST_EDGE_VALUES else []


def _two_encodings(masks: Mapping[str, MaskValues], known: set[int]) -> str | None:
    """Tell values that no mask holds together and that are as many on two scales, as 1 and 255, or 1, 2 and 127, 255."""
    held = {frozenset(mask.pixels.keys() - {0}) for mask in masks.values()} | {frozenset(known - {0})}
    values = sorted(set().union(*held))
    if len(values) < 2 or len(values) % 2 or values[0] < 0:
        return None
    low, high = set(values[: len(values) // 2]), set(values[len(values) // 2 :])
    scale = OTHER_SCALE if len(low) == 1 or max(high) not in (255, 65535) else OTHER_SCALE // 5
    if min(high) < scale * max(low) or any(low & of and high & of for of in held):
        return None
    holding = [[place for place, mask in masks.items() if some & mask.pixels.keys()] for some in (low, high)]
    named = [
        f"{listed(sorted(some))} in "
        + (f"{counted(len(places), 'mask')} ({listed(places, most=3)})" if places else "the store")
        for some, places in zip((low, high), holding, strict=True)
    ]
    remedy = f"--threshold {min(low)} makes values from {min(low)} on class 1" if len(low) == 1 else "write them alike"
    apart = listed(sorted(set(values) | {0})).replace(" ", "")
    return (
        f"two encodings: masks hold {named[0]} and {named[1]}, and none holds both; if they mean the same, {remedy}; "
        f"--classes {apart} keeps them apart"
    )


def _slopes(mask: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Pixels of whose eight neighbours one is lower and one higher."""
    lowest = highest = np.pad(mask, 1, mode="edge")
    lowest = np.minimum(np.minimum(lowest[:-2], lowest[1:-1]), lowest[2:])
    highest = np.maximum(np.maximum(highest[:-2], highest[1:-1]), highest[2:])
    lowest = np.minimum(np.minimum(lowest[:, :-2], lowest[:, 1:-1]), lowest[:, 2:])
    highest = np.maximum(np.maximum(highest[:, :-2], highest[:, 1:-1]), highest[:, 2:])
    return (lowest < mask) & (mask < highest)


def _counts(values: NDArray[np.int32]) -> dict[int, int]:
    if not values.size:
        return {}
    if values.min() >= 0 and values.max() < 65536:
        counts = np.bincount(values.ravel())  # ten times faster than sorting
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    found, times = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), times.tolist(), strict=True))


def _middle(values: Sequence[int]) -> int:
    """Return the smallest threshold that is no nearer to the lowest value than to the highest."""
    return (min(values) + max(values) + 1) // 2
