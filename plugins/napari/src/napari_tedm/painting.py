"""Strokes on the images of a gallery: kept, learned from, seen and saved; no viewer knows better.

What is painted on is an array of numbers as viewers have them: 0 is nothing, 1 is the first class and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_tedm.gallery import Gallery, Scene
from tedm.errors import TedmError
from tedm.heads import Segmenter
from tedm.show.colours import class_colours
from tedm.store import IGNORE
from tedm.study.predict import Device
from tedm.study.strokes.corrections import Corrections, save_corrections
from tedm.study.strokes.folder import STROKES, folder_beside, folder_elsewhere, folder_for, read_strokes, save_strokes
from tedm.study.strokes.learn import Learner, Look, fit_strokes, look
from tedm.study.strokes.painted import Classes
from tedm.text import counted

Strokes = Mapping[str, NDArray[np.uint8]]


@dataclass(frozen=True)
class Round:
    """What a fit is asked for: strokes that nobody paints on any more, as they were when it was asked for.

    Parameters
    ----------
    strokes : mapping of str to array of shape (height, width)
        Class indices, 255 where nothing is painted.
    classes : Classes
    """

    strokes: Strokes
    classes: Classes


class Painting:
    """Strokes on the images of a gallery.

    Parameters
    ----------
    gallery : Gallery
    folder : Path or None
        Where strokes are kept; None keeps them beside what was opened, or in the user's own folder.

    Attributes
    ----------
    gallery : Gallery
    folder : Path
        Where strokes are kept.
    classes : Classes
        That are painted with.
    remarks : list of str
        Sentences on where strokes are kept and how many came back.
    scene : Scene
        What is painted on.
    head : Segmenter or None
        The one that was learned last, or the gallery's.

    Raises
    ------
    TedmError
        If nothing can be written to the folder, or strokes in it cannot be read.
    """

    scene: Scene

    def __init__(self, gallery: Gallery, folder: Path | None = None) -> None:
        self.gallery, self.classes, self.head = gallery, gallery.classes, gallery.head
        self.folder, remark = folder_for(gallery.source, folder)
        self.chosen = folder
        self.remarks = [remark] if remark else []
        self._kept: dict[str, NDArray[np.uint8]] = {}
        self._places = [self.folder]
        if folder is None and not isinstance(gallery.source, str):
            self._places.insert(0, folder_beside(gallery.source))  # painted while one could still write there
        self.restore()
        if self._kept:
            count = len(gallery.features.labels)
            self.remarks.append(f"strokes on {len(self._kept)} of {counted(count, 'image')} came back from {self.folder}")

    def restore(self) -> None:
        """Read the strokes that are in the folder.

        Raises
        ------
        TedmError
            If some cannot be read.
        """
        labels, classes = self.gallery.features.labels, self.classes
        kept: dict[str, NDArray[np.uint8]] = {}
        for place in dict.fromkeys(self._places):
            if not (place / STROKES).is_dir():
                continue
            for name, size in zip(labels.names, labels.original_sizes, strict=True):
                if (found := read_strokes(place, name, size, classes)) is not None:
                    kept[name], classes = found
        self._kept, self.classes = kept, classes

    def choose(self, title: str) -> NDArray[np.uint8]:
        """Take a picture or volume to paint on; its strokes so far, in the viewer's numbers, of shape `scene.shape`."""
        self.scene = self.gallery.scene(title)
        planes = np.zeros((len(self.scene.names), *self.scene.shape[-2:]), np.uint8)
        for plane, name in zip(planes, self.scene.names, strict=True):
            if name in self._kept:
                plane[:] = self._kept[name] + np.uint8(1)  # 255, where nothing is painted, becomes 0
        return planes.reshape(self.scene.shape)

    def add_class(self, name: str) -> int:
        """Add a class with the smallest value that is free; its number in the viewer.

        Raises
        ------
        TedmError
            If no class can be called so.
        """
        value = next(value for value in range(2**16) if value not in self.classes.values)
        count = len(self.classes.values)
        colours = class_colours(count + 1)
        taken = set(self.classes.colours)
        colour = next((each for each in (colours[-1], *class_colours(50)[1:]) if each not in taken), colours[-1])
        self.classes = Classes(
            (*self.classes.values, value), (*self.classes.names, name.strip()), (*self.classes.colours, colour)
        )
        return count + 1

    def keep(self, numbers: NDArray[np.integer]) -> None:
        """Write what is painted on the scene to the folder of strokes.

        Parameters
        ----------
        numbers : array of shape scene.shape
            The viewer's.

        Raises
        ------
        TedmError
            If it cannot be written, or there is a number of no class; the viewer still has it.
        """
        known = np.where((numbers < 0) | (numbers > len(self.classes.values)), 0, numbers)
        painted = self._planes(known)  # what is of a class is safe, whatever else is painted
        changed = {name: plane for name, plane in painted.items() if (plane != IGNORE).any() or name in self._kept}
        try:
            save_strokes(self.folder, changed, self.classes)
        except TedmError:
            elsewhere = folder_elsewhere(self.gallery.source)
            if self.chosen is not None or elsewhere == self.folder:
                raise
            save_strokes(elsewhere, {**self._kept, **changed}, self.classes)
            self.folder = elsewhere
        for name, plane in changed.items():
            self._kept[name] = plane
            if not (plane != IGNORE).any():
                del self._kept[name]
        self._planes(numbers)  # says what is of no class

    def move(self, folder: Path) -> None:
        """Keep strokes in another folder from now on, those so far too.

        Parameters
        ----------
        folder : Path

        Raises
        ------
        TedmError
            If nothing can be written there; they stay where they are then.
        """
        folder_for(self.gallery.source, folder)
        save_strokes(folder, self._kept, self.classes)
        self.folder = self.chosen = folder

    def begin(self, numbers: NDArray[np.integer]) -> Round:
        """Write the strokes to their folder, and return what a fit is to learn from."""
        self.keep(numbers)
        return Round({name: painted.copy() for name, painted in self._kept.items()}, self.classes)

    def learn(
        self, asked: Round, learner: Learner = "logistic", *, with_masks: bool = False, device: Device = "auto"
    ) -> Segmenter:
        """Fit a head; see `tedm.study.strokes.learn.fit_strokes`. It is the one that `looks` uses from now on."""
        self.head = fit_strokes(
            self.gallery.features, asked.strokes, asked.classes, head=learner, with_masks=with_masks, device=device
        )
        return self.head

    def looks(self, first: int = 0) -> Iterator[tuple[int, Look]]:
        """Yield each plane of the scene with what the head makes of it, beginning with the one that is seen.

        Parameters
        ----------
        first : int
            The number of the plane; the planes nearest to it follow.

        Yields
        ------
        number : int
            Of the plane.
        look : Look
            Its mask has indices of the head's classes: see `numbers_of`.

        Raises
        ------
        TedmError
            If there is no head yet.
        """
        if self.head is None:
            raise TedmError("there is no head yet; paint a stroke of each of two classes, and fit one")
        head, scene = self.head, self.scene
        for number in sorted(range(len(scene.names)), key=lambda at: (abs(at - first), at)):
            yield number, look(self.gallery.features, head, scene.names[number], what=str(self.gallery.source))

    def numbers_of(self, head: Segmenter, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a mask of a head's class indices in the viewer's numbers."""
        numbers = np.array([self.classes.values.index(value) + 1 for value in head.classes], np.uint8)
        return numbers[mask]

    def save(
        self, numbers: NDArray[np.integer], mask: NDArray[np.integer] | None = None, folder: Path | None = None
    ) -> Corrections:
        """Write strokes, or a mask that they correct, as what tedm-label takes.

        Parameters
        ----------
        numbers : array of shape scene.shape
            What is painted, in the viewer's numbers. Without a mask, strokes on other images are written too.
        mask : array of shape scene.shape, or None
            What is seen where nothing is painted; 0 where it is not known.
        folder : Path or None
            Where to; None is the folder of the strokes.

        Raises
        ------
        TedmError
            If there is nothing to save, or it cannot be written.
        """
        self.keep(numbers)
        saved: Strokes = dict(self._kept)
        if mask is not None:
            under = self._planes(mask)
            saved = {name: np.where(painted == IGNORE, under[name], painted) for name, painted in self._planes(numbers).items()}
        place = self.folder if folder is None else folder
        return save_corrections(place, self.gallery.features, saved, self.classes, files=self.gallery.files())

    def _planes(self, numbers: NDArray[np.integer]) -> dict[str, NDArray[np.uint8]]:
        """Return class indices of each plane, 255 where nothing is painted, in arrays of their own."""
        if numbers.shape != self.scene.shape:
            raise TedmError(
                f"strokes are of shape {numbers.shape}, and {self.scene.title} is of {self.scene.shape}; paint on the layer "
                "that was made for it"
            )
        count = len(self.classes.values)
        if (most := int(numbers.max(initial=0))) > count or int(numbers.min(initial=0)) < 0:
            raise TedmError(f"there are strokes of label {most}, and {count} classes; erase them, or add a class")
        planes = numbers.reshape(len(self.scene.names), *self.scene.shape[-2:])
        return {
            name: np.where(plane == 0, IGNORE, plane - 1).astype(np.uint8)
            for name, plane in zip(self.scene.names, planes, strict=True)
        }
