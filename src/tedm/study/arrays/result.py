"""What a head makes of an array: mask, probabilities and uncertainty at the array's own size, as words, a table or a figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract import Picture
from tedm.extract.images import from_square, from_square_probabilities
from tedm.heads import Prediction
from tedm.packages import package
from tedm.store.settings import Geometry
from tedm.text import columns, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 5.0  # inches of a figure's image


@dataclass(frozen=True, eq=False, repr=False)
class Segmentation:
    """What a head makes of an image or a volume.

    Parameters
    ----------
    name : str
        The image.
    mask : array of shape (height, width), or that of the volume
        Values of classes, as the masks have them that the head learned from.
    classes : tuple of int
        Those values.
    class_names : tuple of str
        What each class is called; "class 255" where nobody has named it.
    head : str
        What the head is called.
    axis : int or None
        Which axis of a volume counts its slices; None of an image.
    pictures : sequence of Picture
        The image, or the slices.
    predictions : sequence of Prediction
        Of each, at feature resolution.
    geometry : {"pad", "stretch"}
        How each had become a square.
    """

    name: str
    mask: NDArray[Any]
    classes: tuple[int, ...]
    class_names: tuple[str, ...]
    head: str
    axis: int | None
    pictures: Sequence[Picture]
    predictions: Sequence[Prediction]
    geometry: Geometry

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """Those of the classes at each pixel: shape `(*mask.shape, classes)`."""
        return self._at_own_size(
            lambda of, size: from_square_probabilities(np.asarray(of.probabilities, np.float32), size, self.geometry)
        )

    @cached_property
    def uncertainty(self) -> NDArray[np.float32]:
        """Entropy of the probabilities, from 0 (sure) to 1 (a guess): shape of the mask."""
        return self._map(lambda of: of.entropy)

    @cached_property
    def disagreement(self) -> NDArray[np.float32]:
        """How far the voters are apart (Jensen-Shannon divergence), from 0 (alike) to 1: shape of the mask."""
        return self._map(lambda of: of.disagreement)

    @property
    def pixels(self) -> dict[int, int]:
        """Pixels (voxels) of each class, by its value; of classes that nobody sees, 0."""
        return {value: int((self.mask == value).sum()) for value in self.classes}

    def __repr__(self) -> str:
        unit, counts = self._unit, list(self.pixels.values())
        shape = " x ".join(map(str, self.mask.shape))
        rows = [
            [f"  {name}", str(count), unit, f"{100 * count / self.mask.size:.1f} %"]
            for name, count in zip(self.class_names, counts, strict=True)
        ]
        title = f"Segmentation of {shown(self.name)}: {shape} {unit}, head {shown(self.head)}"
        return "\n".join([title, *columns(rows), f"  mean uncertainty {self.uncertainty.mean():.3f}"])

    def frame(self, spacing: float | Sequence[float] | None = None) -> Any:
        """Return pixels and areas of the classes as a table of pandas.

        Parameters
        ----------
        spacing : float, sequence of float or None
            Millimetres from pixel to pixel, one number or one for each axis of the mask; None gives no areas.

        Returns
        -------
        pandas.DataFrame
            A row for each class: `class` (its value), `name`, `pixels` (of a volume `voxels`), `fraction` of all, and with a
            spacing `area_mm2` (of a volume `volume_mm3`).

        Raises
        ------
        TedmError
            If pandas is not installed, or the spacing is none of this mask.
        """
        pandas = package("pandas", "notebooks", "a table")
        counts = list(self.pixels.values())
        table = {
            "class": list(self.classes),
            "name": list(self.class_names),
            self._unit: counts,
            "fraction": [count / self.mask.size for count in counts],
        }
        if spacing is not None:
            steps = [float(spacing)] * self.mask.ndim if isinstance(spacing, int | float) else [float(each) for each in spacing]
            if len(steps) != self.mask.ndim or not all(0 < step < float("inf") for step in steps):
                raise TedmError(
                    f"spacing={spacing!r} is not a number of millimetres above 0, nor one for each of the {self.mask.ndim} axes"
                )
            table["area_mm2" if self.mask.ndim == 2 else "volume_mm3"] = [count * prod(steps) for count in counts]
        return pandas.DataFrame(table)

    def figure(self, at: int | None = None) -> Figure:
        """Draw the mask over its image, with a legend of the classes but the first.

        Parameters
        ----------
        at : int or None
            Which slice of a volume; None takes the one that shows most.

        Returns
        -------
        matplotlib.figure.Figure
            Which notebooks show by themselves.

        Raises
        ------
        TedmError
            If there is no such slice.
        """
        from tedm.show.panels import GAP, HEAD, LINE, blank, draw_mask, legend_entries, panel, shorten

        slices = self.mask[np.newaxis] if self.axis is None else np.moveaxis(self.mask, self.axis, 0)
        if at is None:
            at = int(np.argmax([(plane != self.classes[0]).sum() for plane in slices]))
        if not 0 <= at < len(slices):
            raise TedmError(f"there is no slice {at}; {shown(self.name)} has {len(slices)}, from 0 on")
        image = self.pictures[at].shown()
        indices = np.zeros(slices[at].shape, np.uint8)
        for index, value in enumerate(self.classes):
            indices[slices[at] == value] = index
        entries = legend_entries(self.class_names, False, False)
        height = WIDTH * image.shape[0] / image.shape[1]
        below = LINE * len(entries) + GAP
        drawn = blank(WIDTH + 2 * GAP, HEAD + height + below)
        axes = panel(drawn, image, GAP, below, WIDTH, height)
        draw_mask(axes, indices, len(self.classes), 255)
        axes.set_title(shorten(shown(self.pictures[at].name), WIDTH), fontsize=9, pad=4, parse_math=False)
        if entries:
            drawn.legend(handles=entries, loc="lower center", frameon=False, fontsize=9, borderaxespad=0.2)
        return drawn

    @property
    def _unit(self) -> str:
        return "pixels" if self.mask.ndim == 2 else "voxels"

    def _map(self, of: Callable[[Prediction], NDArray[np.float64] | None]) -> NDArray[np.float32]:
        def at_own_size(prediction: Prediction, size: tuple[int, int]) -> NDArray[np.float32]:
            values = np.asarray(of(prediction))[..., np.newaxis]
            return from_square(values, size, self.geometry)[..., 0].clip(0, 1)

        return self._at_own_size(at_own_size)

    def _at_own_size(self, made: Callable[[Prediction, tuple[int, int]], NDArray[np.float32]]) -> NDArray[np.float32]:
        planes = [made(each, picture.size) for each, picture in zip(self.predictions, self.pictures, strict=True)]
        return planes[0] if self.axis is None else np.moveaxis(np.stack(planes), 0, self.axis)
