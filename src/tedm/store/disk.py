"""Features in a Zarr group: one shard for each image and array, the last array last.

The presence of an image's shards is its completeness; there is no other record of what is done. Everything that is not an
activation (names, masks, splits) is written when images are registered, the names last: an image exists once its name does.
Nothing in the tree names a host, a process or the time of the work: the same work ends in the same bytes, and whoever does it
may do it at the same time as others: every file is written whole, aside, and two that write the same file write the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.jsons import JsonValue
from tedm.store.about import (
    About,
    about_group,
    about_place,
    open_group,
    put_skeleton,
    require_store,
    same_store,
    set_classes,
    set_legend,
)
from tedm.store.arrays import Arrays, coordinates, index_of_image
from tedm.store.checks import problem_of_mask, require_arrays, require_labels
from tedm.store.features import Block, Storage, Views, in_words
from tedm.store.labelling import (
    Registration,
    append_images,
    read_labels,
    replace_labels,
    require_fitting,
    require_known_classes,
)
from tedm.store.layout import Floats, require_finite, stored
from tedm.store.place import PARTIAL, Location, Place, inside, is_url, place, plain_errors, write_again
from tedm.store.settings import Arithmetic, FeatureSettings
from tedm.store.skeleton import ROOT, feature_arrays, label_arrays, skeleton
from tedm.store.sources import COLUMN, Source, read_sources, write_sources
from tedm.store.volumes.columns import VOLUMES
from tedm.views import VIEWS, ViewKind

IMAGE = "image"  # the array of the squares that the backbone saw: of an image, the first that is written


class FeatureStore:
    """Features on disk, made by `create` or `open`; see `tedm.store.Features` for the reading side."""

    def __init__(self, where: Place) -> None:
        self._place = where
        self._open()

    @classmethod
    def create(
        cls,
        path: Location,
        settings: FeatureSettings,
        arithmetic: Arithmetic,
        storage: Storage,
        provenance: Mapping[str, JsonValue],
    ) -> Self:
        """Make an empty store; one that is there already and has the same settings is opened.

        Several processes may do this at once: whichever comes first writes a file, and all would write the same. A process
        that is killed leaves what the next one completes.

        Parameters
        ----------
        path : str or Path
            A folder, or a URL such as `s3://bucket/prefix`.
        settings, arithmetic, storage
            What the features are, how they will be computed and how they are kept.
        provenance : mapping of str to JSON values
            Where the store comes from, for people.

        Raises
        ------
        TedmError
            If there is something else at `path`, or it cannot be written.
        """
        where = place(path)
        about = About(settings, arithmetic, storage, (), provenance).to_json()
        if isinstance(where.address, Path) and where.address.exists() and not where.address.is_dir():
            raise TedmError(f"{where.address} is a file; name a folder that does not exist yet")
        with plain_errors(f"cannot create the store {where.address}"):
            write_again(lambda: put_skeleton(where, skeleton(settings, storage, about)))
        if not same_store(about_place(where), json.loads(json.dumps(about))):
            raise TedmError(
                f"{where.address} is a store of other settings already (tedm-inspect shows them)\n"
                "Run the same command again to see what differs, or name another folder."
            )
        return cls(where)

    @classmethod
    def open(cls, path: Location | Self) -> Self:
        """Open a store for reading and, where it may be written, for writing; one that is open already is returned.

        Raises
        ------
        TedmError
            If there is no store, one of a newer format, or one whose labels are damaged.
        """
        if isinstance(path, FeatureStore):
            return path
        where = place(path)
        require_store(where)
        return cls(where)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process open the store anew; the path or URL has to mean the same there."""
        return type(self).open, (self.path.absolute() if isinstance(self.path, Path) else self.path,)

    __repr__ = in_words

    @staticmethod
    def is_store(path: Location) -> bool:
        """Whether there is a store at this path or URL that can be opened, whole or with images missing."""
        where = place(path)
        with plain_errors(f"cannot look into {where.address}"):
            return about_place(where) is not None

    @property
    def path(self) -> Location:
        """Where the store lies: a path, or a URL as text."""
        return self._place.address

    def _open(self) -> None:
        """Read metadata and labels, again where others may have changed them."""
        with plain_errors(f"cannot open the store {self.path}"):
            self._group = open_group(self._place)
            about = about_group(self._group, self.path)
            self.settings, self.arithmetic, self.storage = about.settings, about.arithmetic, about.storage
            self.provenance = about.provenance
            self._arrays = Arrays(self._place, self._group, [*label_arrays(self.settings), "mask", *self._written()], [COLUMN])
            require_arrays(self._arrays.documents(), self.settings, self.storage, self.path)
            self.labels = read_labels(self._arrays, about)
            # records may be behind, and volumes are fewer
            rooms = {name: room for name, room in self._arrays.rooms().items() if name not in (COLUMN, VOLUMES)}
            require_labels(self.labels, rooms, self.settings.image_size, self.path)

    def register(self, images: Sequence[Registration], classes: Sequence[int]) -> None:
        """Let new images enter, without activations; images that are there already stay as they are.

        Several processes may register the same images at once.

        Parameters
        ----------
        images : sequence of Registration
            Their order becomes the store's.
        classes : sequence of int
            Mask values, in the order of the class indices.

        Raises
        ------
        TedmError
            If the store's masks have other classes.
        """
        with plain_errors(f"cannot write to the store {self.path}; nothing that was there is lost"):
            write_again(lambda: self._register(images, classes))
        self._read_labels()

    def _register(self, images: Sequence[Registration], classes: Sequence[int]) -> None:
        self._open()  # another process may have registered images since
        there = set(self.labels.names)
        new = [image for image in images if image.name not in there]
        require_known_classes(self.labels, new, classes, self.path)
        if not new:
            return
        if classes and not self.labels.classes:
            set_classes(self._group, classes)
        append_images(self._arrays, self.labels, new, self.settings.image_size, ["mask", *self._written()])

    def relabel(self, images: Sequence[Registration], classes: Sequence[int]) -> None:
        """Replace masks, splits, groups and domains of images that are there; activations stay untouched.

        Parameters
        ----------
        images : sequence of Registration
            A mask of None keeps the old mask; an empty split, group or domain, and a size of (0, 0), keep the old one.
        classes : sequence of int
            Mask values, in the order of the class indices.

        Raises
        ------
        TedmError
            If an image is not there, or masks that stay have other classes.
        """
        require_fitting(self.labels, images, classes, f"cannot relabel {self.path}")
        with plain_errors(f"cannot write to the store {self.path}; the activations are untouched, run tedm-label again"):
            write_again(lambda: self._relabel(images, classes))
        self._read_labels()

    def _relabel(self, images: Sequence[Registration], classes: Sequence[int]) -> None:
        if any(image.mask is not None for image in images):
            set_classes(self._group, classes)
        replace_labels(self._arrays, self.labels, images, self.settings.image_size)

    def name_classes(self, names: Sequence[str], colours: Sequence[str] = ()) -> None:
        """Write what the classes are called, and their colours as "#rrggbb"; an empty sequence keeps what is there."""
        with plain_errors(f"cannot write to the store {self.path}; nothing that was there is lost"):
            set_legend(self._group, names, colours)
        self._read_labels()

    def write(self, name: str, image: NDArray[np.float32], cells: Sequence[Floats], *, checked: bool = False) -> None:
        """Write one image whole, its last array last.

        Parameters
        ----------
        name : str
            A registered image.
        image : array of shape (size, size, channels)
            The backbone's square, in [0, 1].
        cells : sequence of arrays of shape (timesteps, draws, side, side, channels)
            Native levels in the order of the settings, float32; or as `Storage.type_of_cells` says.
        checked : bool
            Whether they are in the store's type and known to be finite.

        Raises
        ------
        TedmError
            If a value is not finite or does not fit the store's type, or the disk refuses.
        """
        index = self.labels.index(name)
        # upsampling makes no value larger: what fits at a level's own resolution fits
        fitting = [stored(level, self.storage.dtype) for level in cells]
        if not checked:
            require_finite(name, cells, fitting, self.settings, self.storage.dtype)
        rounded_first = self.storage.type_of_cells(self.settings) == self.storage.dtype
        parts = self.storage.parts(fitting if rounded_first else cells, self.settings)
        with plain_errors(
            f"cannot write image {name} to the store {self.path}; finished images are safe, run the same command again"
        ):
            self._arrays.put_whole(IMAGE, index, image)
            for array_name, values in zip(self.feature_arrays(), parts, strict=True):
                self._arrays.put_whole(array_name, index, values)

    def sources(self) -> dict[str, Source]:
        """Return the files of each image as they were when they were read; see `tedm.store.sources`."""
        return dict(zip(self.labels.names, read_sources(self._arrays, len(self.labels)), strict=True))

    def record(self, read: Mapping[str, Source]) -> None:
        """Write what the files of some images were like when they were read."""
        if not read:
            return
        with plain_errors(f"cannot write to the store {self.path}; nothing that was there is lost"):
            key = f"{COLUMN}/{ROOT}"
            self._place.put_new(key, skeleton(self.settings, self.storage, {})[key])  # nothing happens if it is there
            write_again(self._open)
            at = {self.labels.index(name): source for name, source in read.items()}
            write_again(lambda: write_sources(self._arrays, len(self.labels), at))

    def discard(self, names: Sequence[str]) -> None:
        """Remove the activations of images, the last array first: they are missing then, and computed again by tedm-extract."""
        at = [self.labels.index(name) for name in names]
        with plain_errors(f"cannot remove activations from the store {self.path}"):
            for index in at:
                for array_name in reversed(self._written()):
                    self._arrays.delete(array_name, index)

    def remove_partial_files(self, names: Collection[str] | None = None) -> None:
        """Delete what writes that were killed have left behind.

        Parameters
        ----------
        names : collection of str or None
            Leave those of other images' activations to the processes that compute them. None takes all.
        """
        if is_url(self.path):
            return  # an object appears whole or not at all
        spared = set() if names is None else set(range(len(self.labels))) - {self.labels.index(name) for name in names}
        with plain_errors(f"cannot remove partial files from the store {self.path}"):
            for key in self.files():
                if key.endswith(PARTIAL) and index_of_image(key, self._written()) not in spared:
                    self._place.delete(key)

    def missing(self) -> list[str]:
        """Return names of registered images that are not whole yet: a file of one of their arrays is absent or empty."""
        whole = set(range(len(self.labels)))
        with plain_errors(f"cannot list the store {self.path}"):
            for array_name in self._written():
                sizes = self._place.sizes(array_name)
                whole = {index for index in whole if sizes.get(self._arrays.key(array_name, index))}
        return [name for index, name in enumerate(self.labels.names) if index not in whole]

    def coordinates(self) -> tuple[int, ...] | None:
        """Return the timesteps as other readers of Zarr see them; None if their array is damaged."""
        return coordinates(self._place, self._group, self.settings, self.storage)

    def files(self) -> Mapping[str, int]:
        """Every file in the store's tree with its bytes, from one listing; not those of the views' store inside it."""
        with plain_errors(f"cannot list the store {self.path}"):
            return {key: size for key, size in self._place.sizes().items() if not key.startswith(f"{VIEWS}/")}

    def view_store(self) -> Self | None:
        """Return the store of the views of its images, which lies inside it; None if there is none."""
        return type(self).open(inside(self.path, VIEWS)) if self.is_store(inside(self.path, VIEWS)) else None

    def views(self) -> Views | None:
        """Return the views of its images; None if there are none."""
        store = self.view_store()
        return None if store is None else Views(store, ViewKind.recorded(store.provenance, store.path))

    def feature_arrays(self) -> list[str]:
        """Return names of the arrays that hold activations, in the order of `Storage.arrays`."""
        return feature_arrays(self.settings, self.storage)

    def files_of(self, name: str) -> dict[str, str]:
        """Return the file in which each array keeps an image, in the order in which they are written, the mask first."""
        index = self.labels.index(name)
        return {array_name: self._arrays.key(array_name, index) for array_name in ("mask", *self._written())}

    def files_of_all(self) -> set[str]:
        """Every file that belongs to no single image: metadata, labels, coordinates."""
        documents = {ROOT, *(f"{name}/{ROOT}" for name in (*self._arrays.names, "timestep")), "timestep/c.0"}
        return documents | self._arrays.files_of_columns((*label_arrays(self.settings), COLUMN), len(self.labels))

    @property
    def reads_ahead(self) -> bool:
        """Blocks are read from a disk or a bucket, which another thread can do meanwhile."""
        return True

    @property
    def chunk_channels(self) -> int:
        """A chunk of pixels has the channels of all levels."""
        return self.settings.channels

    def read_file(self, array_name: str, name: str) -> NDArray[Any]:
        """Return what one array holds of one image; a `TedmError` that names both if it is absent or damaged."""
        return self._read(array_name, name)

    def image(self, name: str) -> NDArray[np.float32]:
        """Return the image as the backbone's square: shape (size, size, channels), in [0, 1]."""
        return np.asarray(self._read("image", name), dtype=np.float32)

    def mask(self, name: str) -> NDArray[np.uint8]:
        """Class indices of shape (size, size); `IGNORE` where there is no label."""
        return np.asarray(self._read("mask", name), dtype=np.uint8)

    def block(self, name: str, timesteps: Sequence[int] | None = None, levels: Sequence[str] | None = None) -> Block:
        """Return the activations of one image; a `TedmError` if they are not whole or cannot be read."""
        timesteps = self.settings.timesteps_asked_for(timesteps)
        at = [self.settings.timesteps.index(timestep) for timestep in timesteps]
        settings = self.settings if levels is None else self.settings.on(levels)
        names = self.feature_arrays()
        if self.storage.layout == "upsampled":
            pixels = self._read(names[0], name, at)
            if levels is not None:
                pixels = pixels[..., self.settings.channels_of(levels)]
            return self.storage.read_upsampled(name, timesteps, pixels, settings)
        if levels is not None:
            names = [names[position] for position in self.settings.positions(levels)]
        arrays = tuple(self._read(array, name, at) for array in names)
        return Block(name, timesteps, arrays, settings.image_size, settings.upsampling)

    def blocks(
        self, names: Sequence[str], timesteps: Sequence[int] | None = None, levels: Sequence[str] | None = None
    ) -> Iterator[Block]:
        """Yield one block for each name, in order; all timesteps and levels if None."""
        for name in names:
            yield self.block(name, timesteps, levels)

    def _written(self) -> list[str]:
        """Return the arrays that `write` fills, in its order."""
        return [IMAGE, *self.feature_arrays()]

    def _read_labels(self) -> None:
        self.labels = read_labels(self._arrays, about_group(self._group, self.path))

    def _read(self, array_name: str, name: str, timesteps: Sequence[int] | None = None) -> NDArray[Any]:
        values = self._arrays.read(array_name, self.labels.index(name), timesteps, image=name)
        if values is None:
            raise self._absent(array_name, name)
        if array_name == "mask" and (problem := problem_of_mask(values, self.labels)):
            raise self._arrays.damaged(array_name, name, problem)
        return values

    def _absent(self, array_name: str, name: str) -> TedmError:
        """Return what to say of a file that is not there: the image is still to come, or something happened to it."""
        index = self.labels.index(name)
        if array_name == "mask" or any(self._arrays.has(array, [index]) for array in self._written()):
            return self._arrays.damaged(array_name, name, "its file is gone")
        return TedmError(
            f"image {name} is not in the store {self.path} yet ({len(self.missing())} of {len(self.labels)} still missing); "
            "run the same tedm-extract again to complete it"
        )
