"""One image of a manifest: a picture, or a slice of a volume."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tedm.store import Slice, Source, Volume
from tedm.store.volumes.volume import NO_SLICE


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One image.

    Parameters
    ----------
    name : str
        Unique; the file name, without suffix, of what will be made from the image.
    image : Path
        The image's file; of several that are channels, the first.
    mask : Path or None
        The mask's file, of the image's size.
    split : {"train", "val", "test", ""}
        The part that the image may play; empty for none.
    group : str
        Who or what the image shows (a patient, a volume): a group never crosses a split.
    domain : str
        Where the image comes from (a hospital, a scanner).
    size : (height, width)
        Size of the upright image, in pixels.
    unsaid : frozenset of str
        Those of "split", "group" and "domain" that are defaults.
    more : tuple of Path
        Files of further channels.
    brain : Path or None
        The file of the volume's brain mask.
    volume : Volume or None
        The volume of which the image is a slice.
    slice : Slice
        Where it is in it; the position of the volume among others is not said.
    reading : int
        How its mask is read (`tedm.store.sources.reading_of`).
    """

    name: str
    image: Path
    mask: Path | None
    split: str
    group: str
    domain: str
    size: tuple[int, int]
    unsaid: frozenset[str] = frozenset()
    more: tuple[Path, ...] = ()
    brain: Path | None = None
    volume: Volume | None = None
    slice: Slice = NO_SLICE
    reading: int = 0

    @classmethod
    def of_picture(cls, path: Path) -> Self:
        """Return an image of which nothing is known but its file; its size is not looked up."""
        return cls(path.stem, path, None, "", path.stem, "", (0, 0))

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of its channels, in their order."""
        return (self.image, *self.more)

    @property
    def source(self) -> Source:
        """What its files are like now."""
        return Source.of([*self.files, *([self.brain] if self.brain else [])], self.mask, self.reading)
