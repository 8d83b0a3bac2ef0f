"""Who is in a collection of images and what is known of them: names, splits, groups, domains, classes.

Masks themselves stay where they are (on disk, or in files) and are read one at a time. In memory a mask holds indices into
`classes`; `IGNORE` marks pixels without a label, and an image without a mask is an image in which every pixel is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tedm.errors import TedmError
from tedm.store.volumes.volume import NO_SLICE, Slice, Volume
from tedm.text import called, shown

IGNORE = 255
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Labels:
    """What is known of each image; all tuples have one entry an image, in the same order.

    Parameters
    ----------
    names : tuple of str
        Unique names.
    splits : tuple of str
        "train", "val", "test" or "" (none).
    groups : tuple of str
        What must not be torn apart: a patient or a volume.
    domains : tuple of str
        Where the image is from.
    original_sizes : tuple of (int, int)
        Height and width of the file, in pixels.
    labelled : tuple of int
        Number of pixels with a label at feature resolution.
    classes : tuple of int
        Mask values in the files; class k of a head is the k-th. Empty as long as there is no mask.
    class_names, class_colours : tuple of str
        What people call each class, and its colour as "#rrggbb"; empty where nothing is said of them.
    volumes : tuple of Volume
        The volumes of which images are slices; each once.
    slices : tuple of Slice
        Where each image is in its volume, `NO_SLICE` for one that is no slice; empty if there is no volume.
    """

    names: tuple[str, ...]
    splits: tuple[str, ...]
    groups: tuple[str, ...]
    domains: tuple[str, ...]
    original_sizes: tuple[tuple[int, int], ...]
    labelled: tuple[int, ...]
    classes: tuple[int, ...] = ()
    class_names: tuple[str, ...] = ()
    class_colours: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()
    slices: tuple[Slice, ...] = ()

    @property
    def called(self) -> tuple[str, ...]:
        """What people are told of each class: its name, "class 255" where it has none."""
        names = self.class_names or ("",) * len(self.classes)
        return tuple(called(value, name) for value, name in zip(self.classes, names, strict=True))

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Position of an image; a `TedmError` if it is not there."""
        try:
            return self._positions[name]
        except KeyError:
            raise TedmError(f"there is no image {name} among these {len(self)} images; tedm-inspect STORE lists them") from None

    def has(self, name: str) -> bool:
        """Whether there is an image of this name."""
        return name in self._positions

    def positions_in(self, volume: int) -> list[int]:
        """Return where the slices of a volume are among the images, in their order; the volume by its own position."""
        return self._of_volumes.get(volume, [])

    def volume_named(self, name: str) -> int | None:
        """Position of a volume among the volumes; None if there is none of this name."""
        return self._volume_positions.get(name)

    @cached_property
    def _volume_positions(self) -> dict[str, int]:
        return {volume.name: position for position, volume in enumerate(self.volumes)}

    @cached_property
    def _of_volumes(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for position, each in enumerate(self.slices):
            found.setdefault(each.volume, []).append(position)
        return found

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.names)}

    def slice_of(self, name: str) -> Slice:
        """Where an image is in its volume; `NO_SLICE` for one that is no slice."""
        return self.slices[self.index(name)] if self.slices else NO_SLICE

    def volume_of(self, name: str) -> Volume | None:
        """The volume of which an image is a slice; None for one that is no slice."""
        at = self.slice_of(name).volume
        return None if at < 0 else self.volumes[at]

    def group_of(self, names: Sequence[str]) -> list[str]:
        """Group of each of the named images."""
        group = dict(zip(self.names, self.groups, strict=True))
        return [group[name] for name in names]

    def select(self, *, split: str | None = None, domain: str | None = None, labelled: bool = False) -> list[str]:
        """Return names of the images of a split and a domain, in order.

        Parameters
        ----------
        split, domain : str or None
            None takes all.
        labelled : bool
            Only images with at least one labelled pixel.

        Raises
        ------
        TedmError
            If nothing is left; the message says what there is.
        """
        rows = zip(self.names, self.splits, self.domains, self.labelled, strict=True)
        names = [
            name
            for name, its_split, its_domain, pixels in rows
            if split in (None, its_split) and domain in (None, its_domain) and (pixels or not labelled)
        ]
        if not names:
            wanted = [f"split {split!r}"] * (split is not None) + [f"domain {domain!r}"] * (domain is not None)
            kind = "labelled image" if labelled else "image"
            raise TedmError(
                f"there is no {kind}{' of ' + ' and '.join(wanted) if wanted else ''}\n  {self.summary()}\n"
                "Choose another split or domain, or add masks and splits with tedm-label."
            )
        return names

    def summary(self) -> str:
        """Counts of images by domain and split on one line."""
        counts: dict[tuple[str, str], list[int]] = {}
        for domain, split, pixels in zip(self.domains, self.splits, self.labelled, strict=True):
            of = counts.setdefault((domain, split), [0, 0])
            of[0] += 1
            of[1] += bool(pixels)
        parts = [
            f"{shown(domain) or 'no domain'} {split or 'no split'}: {n} ({m} labelled)"
            for (domain, split), (n, m) in sorted(counts.items())
        ]
        return f"{len(self)} images: " + (", ".join(parts) or "none")
