"""Features whose labels are strokes that somebody has just painted, in place of the masks that they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.images import problem_of_name
from tedm.store import IGNORE, Block, Features
from tedm.study.strokes.cells import to_square_strokes
from tedm.text import listed

MOST_CLASSES = 200


@dataclass(frozen=True)
class Classes:
    """The classes that are painted with.

    Parameters
    ----------
    values : tuple of int
        What they are in masks, 0 to 65535; a class index is a place in it.
    names : tuple of str
        What people call each.
    colours : tuple of str
        Each as "#rrggbb".

    Raises
    ------
    TedmError
        If there are none or too many, two have one value or one name, or a value is none that a PNG can hold.
    """

    values: tuple[int, ...]
    names: tuple[str, ...]
    colours: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.values) == len(self.names) == len(self.colours):
            raise ValueError(f"{len(self.values)} values, {len(self.names)} names, {len(self.colours)} colours")
        if not self.values or len(self.values) > MOST_CLASSES or len(set(self.values)) < len(self.values):
            raise TedmError(f"classes {listed(self.values)}: 1 to {MOST_CLASSES} classes are painted, each of its own value")
        if odd := [value for value in self.values if not 0 <= value < 2**16]:
            raise TedmError(f"a PNG cannot hold the mask value {odd[0]}, a class to paint with; take values from 0 to 65535")
        for at, name in enumerate(self.names):
            if problem := problem_of_name(name, dict(zip(self.values[:at], self.names[:at], strict=True))):
                raise TedmError(f"class {self.values[at]}: {problem}")

    @property
    def unlabelled(self) -> int:
        """The value of pixels without a label in masks of these classes: 255, or the largest that is no class."""
        return next(value for value in range(255, -1, -1) if value not in self.values)


class Painted:
    """Features with strokes for labels; see `tedm.store.Features`.

    Parameters
    ----------
    features : Features
        Whose activations these are.
    strokes : mapping of str to array of shape (height, width)
        By the images' names, at their own size: class indices, 255 where nothing is painted. These images are of the split
        "train" here, whatever they were.
    classes : Classes
        Of the class indices.
    with_masks : bool
        Whether images that are not painted keep the masks and splits that they have; their classes must be the first of these.

    Raises
    ------
    TedmError
        If strokes are not of their image's size.
    """

    def __init__(
        self, features: Features, strokes: Mapping[str, NDArray[np.uint8]], classes: Classes, *, with_masks: bool = False
    ) -> None:
        self.whole = features
        self.settings, self.arithmetic, self.storage = features.settings, features.arithmetic, features.storage
        labels = features.labels
        if with_masks and classes.values[: len(labels.classes)] != labels.classes:
            raise TedmError(
                f"the masks have the classes {listed(labels.classes)}, and the strokes {listed(classes.values)}; learn from "
                "the strokes alone, or paint with the classes of the masks"
            )
        self._masks: dict[str, NDArray[np.uint8]] = {}
        for name, painted in strokes.items():
            size = labels.original_sizes[labels.index(name)]
            if painted.shape != size:
                raise TedmError(
                    f"strokes on {name} are of {painted.shape[0]} x {painted.shape[1]} pixels (height x width), and the image "
                    f"is {size[0]} x {size[1]}"
                )
            self._masks[name] = to_square_strokes(painted, self.settings.image_size, self.settings.geometry)
        pixels = {name: int((mask != IGNORE).sum()) for name, mask in self._masks.items()}
        others = labels.labelled if with_masks else (0,) * len(labels)
        self.labels = replace(
            labels,
            labelled=tuple(pixels.get(name, count) for name, count in zip(labels.names, others, strict=True)),
            splits=tuple("train" if name in pixels else split for name, split in zip(labels.names, labels.splits, strict=True)),
            classes=classes.values,
            class_names=classes.names,
            class_colours=classes.colours,
        )
        self._with_masks = with_masks

    @property
    def reads_ahead(self) -> bool:
        """Whether it pays to ask for the next block in another thread: if it does for the features."""
        return self.whole.reads_ahead

    @property
    def chunk_channels(self) -> int:
        """Length of the vectors that are read."""
        return self.whole.chunk_channels

    def views(self) -> None:
        """Return None: strokes are learned from as they are."""

    def image(self, name: str) -> NDArray[np.float32]:
        """Return the image as the backbone's square: shape (size, size, channels), in [0, 1]."""
        return self.whole.image(name)

    def mask(self, name: str) -> NDArray[np.uint8]:
        """Class indices of shape (size, size); `IGNORE` where nothing is painted."""
        if name in self._masks:
            return self._masks[name]
        if self._with_masks:
            return self.whole.mask(name)
        return np.full((self.settings.image_size,) * 2, IGNORE, np.uint8)

    def blocks(
        self, names: Sequence[str], timesteps: Sequence[int] | None = None, levels: Sequence[str] | None = None
    ) -> Iterator[Block]:
        """Yield one block for each name, in order."""
        return self.whole.blocks(names, timesteps, levels)
