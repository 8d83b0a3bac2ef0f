"""Features in a Zarr group: one shard for each image and array, the last array last.

The presence of an image's shards is its completeness; there is no other record of what is done. Everything that is not an
activation (names, masks, splits) is written when images are registered, the names last: an image exists once its name does.
Nothing in the tree names a host, a time or a process, so that the same work ends in the same bytes, and whoever does it may do
it at the same time as others: every file is written whole, aside, and two that write the same file write the same bytes.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.sync import sync

from tedm.errors import TedmError
from tedm.store.features import Block, Storage
from tedm.store.labels import IGNORE, Labels
from tedm.store.layout import Floats, stored
from tedm.store.place import PARTIAL, Location, Place, cause, is_remote, is_url, place, plain_errors
from tedm.store.settings import Arithmetic, FeatureSettings
from tedm.store.skeleton import LABEL_ARRAYS, LABELS_PER_CHUNK, ROOT, feature_arrays, shard_key, skeleton

FORMAT = 1
# How often a write begins anew because its partial file was taken for that of a killed process.
ATTEMPTS = 50
# Masks that are handed to Zarr together when images are registered.
MASKS_AT_ONCE = 256


@dataclass(frozen=True)
class Registration:
    """An image as it enters a store.

    Parameters
    ----------
    name, split, group, domain : str
        See `Labels`.
    original_size : tuple of int
        Height and width of the file.
    mask : array of shape (size, size), or None
        Class indices at feature resolution.
    """

    name: str
    split: str
    group: str
    domain: str
    original_size: tuple[int, int]
    mask: NDArray[np.uint8] | None


class DamagedError(TedmError):
    """A file of one image that cannot be read as what it should be.

    Parameters
    ----------
    text : str
        The whole message.
    image, array, cause : str
        Whose file it is, and what is wrong with it.
    """

    def __init__(self, text: str, image: str, array: str, cause: str) -> None:
        super().__init__(text)
        self.image, self.array, self.cause = image, array, cause

    def __reduce__(self) -> tuple[Any, ...]:
        """So that it reaches those who asked a worker."""
        return type(self), (str(self), self.image, self.array, self.cause)


class FeatureStore:
    """Features on disk; see `tedm.store.Features` for the reading side.

    Use `FeatureStore.create` or `FeatureStore.open`.
    """

    def __init__(self, where: Place) -> None:
        self._place = where
        self._room = threading.local()
        self._open()

    # -- making and opening ------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls, path: Location, settings: FeatureSettings, arithmetic: Arithmetic, storage: Storage, provenance: dict[str, Any]
    ) -> Self:
        """Make an empty store; one that is there already and has the same settings is opened.

        Several processes may do this at once: whichever comes first writes a file, and all would write the same. A process
        that is killed leaves what the next one completes.

        Parameters
        ----------
        path : str or Path
            A folder, or a URL such as `s3://bucket/prefix`.

        Raises
        ------
        TedmError
            If there is something else at `path`, or it cannot be written.
        """
        where = place(path)
        about: dict[str, Any] = {
            "format": FORMAT,
            "settings": settings.to_json(),
            "arithmetic": asdict(arithmetic),
            "storage": storage.to_json(),
            "classes": [],
            "provenance": provenance,
        }
        if isinstance(where.address, Path) and where.address.exists() and not where.address.is_dir():
            raise TedmError(f"{where.address} is a file; name a folder that does not exist yet")
        with plain_errors(f"cannot create the store {where.address}"):
            _written_again(lambda: _put_skeleton(where, skeleton(settings, storage, about)))
        if _compared(_about_of(where)) != _compared(json.loads(json.dumps(about))):
            raise TedmError(
                f"{where.address} is a store of other settings already (tedm-inspect shows them)\n"
                "Run the same command again to see what differs, or name another folder."
            )
        return cls(where)

    @classmethod
    def open(cls, path: Location) -> Self:
        """Open a store for reading and, where it may be written, for writing.

        Parameters
        ----------
        path : str or Path
            A folder, or a URL such as `s3://bucket/prefix`.

        Raises
        ------
        TedmError
            If there is no store, one of a newer format, or one whose labels are damaged.
        """
        where = place(path)
        with plain_errors(f"cannot open the store {where.address}"):
            about = _about_of(where)
            if about is None:
                there = where.sizes()
                if any(key.endswith(f"/{ROOT}") for key in there) and not _strangers(there):
                    raise TedmError(f"{where.address} was left before its first image; run the same tedm-extract again")
                what = "is no feature store" if there else "does not exist"
                raise TedmError(f"{where.address} {what}; make one with tedm-extract IMAGES {where.address} --checkpoint FILE")
        if about.get("format") != FORMAT:
            raise TedmError(f"{where.address} has a format that this version of tedm does not know; install a newer tedm")
        return cls(where)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the store anew; the path or URL has to mean the same there."""
        path = self.path
        return type(self).open, (path.absolute() if isinstance(path, Path) else path,)

    @staticmethod
    def is_store(path: Location) -> bool:
        """Whether there is a store at this path or URL that can be opened, whole or with images missing."""
        where = place(path)
        with plain_errors(f"cannot look into {where.address}"):
            return _about_of(where) is not None

    @property
    def path(self) -> Location:
        """Where the store lies: a path, or a URL as text."""
        return self._place.address

    def _open(self) -> None:
        """Read metadata and labels, again where others may have changed them."""
        with plain_errors(f"cannot open the store {self.path}"):
            self._group = zarr.open_group(self._place.zarr(), mode="r+", zarr_format=3)
            about = _about(self._group)
            self.settings = FeatureSettings.from_json(about["settings"])
            self.arithmetic = Arithmetic(**about["arithmetic"])
            self.storage = Storage(**about["storage"])
            self.provenance: dict[str, Any] = about["provenance"]
            self._arrays = {name: self._writable(name) for name in (*LABEL_ARRAYS, "image", "mask", *self.feature_arrays())}
            self.labels = self._read_labels()

    # -- writing -----------------------------------------------------------------------------------------------------

    def register(self, images: Sequence[Registration], classes: Sequence[int]) -> None:
        """Let new images enter, without activations; images that are there already stay as they are.

        Several processes may register the same images at once.

        Parameters
        ----------
        images : sequence of Registration
            Their order becomes the store's.
        classes : sequence of int
            Mask values, sorted.

        Raises
        ------
        TedmError
            If the store's masks have other classes.
        """
        with plain_errors(f"cannot write to the store {self.path}; nothing that was there is lost"):
            _written_again(lambda: self._register(images, classes))
        self.labels = self._read_labels()

    def _register(self, images: Sequence[Registration], classes: Sequence[int]) -> None:
        self._open()  # another process may have registered images since
        there = set(self.labels.names)
        new = [image for image in images if image.name not in there]
        known = self.labels.classes
        if any(image.mask is not None for image in new) and known and tuple(classes) != known:
            raise TedmError(
                f"cannot add to {self.path}: its classes are {list(known)}, these masks have {list(classes)}\n"
                f"Repeat with --classes {','.join(map(str, known))}, or write to a new store."
            )
        if not new:
            return
        if classes and not known:
            self._set_classes(classes)
        start, stop = len(there), len(there) + len(new)
        for name in ("image", "mask", *self.feature_arrays()):
            array = self._arrays[name]
            array.resize((stop, *array.shape[1:]))
        for at in range(0, len(new), MASKS_AT_ONCE):
            self._write_masks(start + at, [image.mask for image in new[at : at + MASKS_AT_ONCE]])
        columns = {
            "split": [image.split for image in new],
            "group": [image.group for image in new],
            "domain": [image.domain for image in new],
            "original_size": [image.original_size for image in new],
            "labelled": [_labelled(image.mask) for image in new],
            "name": [image.name for image in new],  # the last: an image exists once its name does
        }
        for column, values in columns.items():
            array = self._arrays[column]
            array.resize((stop, *array.shape[1:]))
            array[start:stop] = np.array(values, dtype=array.dtype)

    def relabel(self, images: Sequence[Registration], classes: Sequence[int]) -> None:
        """Replace masks, splits, groups and domains of images that are there; activations stay untouched.

        Parameters
        ----------
        images : sequence of Registration
            A mask of None keeps the old mask; an empty split, group or domain keeps the old one.
        classes : sequence of int
            Mask values, sorted.

        Raises
        ------
        TedmError
            If an image is not there, or masks that stay have other classes.
        """
        for image in images:
            self.labels.index(image.name)  # refuses a name that is not there before anything is written
        replaced = {image.name for image in images if image.mask is not None}
        staying = [n for n, pixels in zip(self.labels.names, self.labels.labelled, strict=True) if pixels and n not in replaced]
        if replaced and staying and tuple(classes) != self.labels.classes:
            raise TedmError(
                f"cannot relabel {self.path}: {len(staying)} masks that stay (the first: {staying[0]}) have classes "
                f"{list(self.labels.classes)}, the new ones {list(classes)}\n"
                f"Give masks for these too, or repeat with --classes {','.join(map(str, self.labels.classes))}."
            )
        with plain_errors(f"cannot write to the store {self.path}; the activations are untouched, run tedm-label again"):
            _written_again(lambda: self._relabel(images, classes))
        self.labels = self._read_labels()

    def _relabel(self, images: Sequence[Registration], classes: Sequence[int]) -> None:
        if any(image.mask is not None for image in images):
            self._set_classes(classes)
        labelled = np.array(self.labels.labelled, dtype=np.int64)
        columns = {
            "split": list(self.labels.splits),
            "group": list(self.labels.groups),
            "domain": list(self.labels.domains),
        }
        for image in images:
            index = self.labels.index(image.name)
            if image.mask is not None:
                self._write_masks(index, [image.mask])
                labelled[index] = _labelled(image.mask)
            for column, value in (("split", image.split), ("group", image.group), ("domain", image.domain)):
                columns[column][index] = value or columns[column][index]
        self._arrays["labelled"][: len(labelled)] = labelled
        for column, values in columns.items():
            self._arrays[column][: len(values)] = np.array(values, dtype=self._arrays[column].dtype)

    def write(self, name: str, image: NDArray[np.float32], cells: Sequence[Floats]) -> None:
        """Write one image whole, its last array last.

        Parameters
        ----------
        name : str
            A registered image.
        image : array of shape (size, size, channels)
            The backbone's square, in [0, 1].
        cells : sequence of arrays of shape (timesteps, draws, side, side, channels)
            Native levels in the order of the settings, float32.

        Raises
        ------
        TedmError
            If a value does not fit the store's type, or the disk refuses.
        """
        index = self.labels.index(name)
        # upsampling makes no value larger: what fits at a level's own resolution fits
        fitting = [stored(level, self.storage.dtype) for level in cells]
        self._require_finite(name, cells, fitting)
        copied = self.storage.layout == "native" or self.settings.upsampling == "nearest"
        rounded = self.storage.arrays(fitting if copied else cells, self.settings, getattr(self._room, "pixels", None))
        if self.storage.layout == "upsampled" and copied:
            self._room.pixels = rounded[0]  # for this thread's next image
        with plain_errors(
            f"cannot write image {name} to the store {self.path}; finished images are safe, run tedm-extract again"
        ):
            for array_name, values in zip(self._written(), (image, *rounded), strict=True):
                self._set(array_name, index, values)

    def discard(self, names: Sequence[str]) -> None:
        """Remove the activations of images, the last array first: they are missing then, and computed again by tedm-extract."""
        at = [self.labels.index(name) for name in names]
        with plain_errors(f"cannot remove activations from the store {self.path}"):
            for index in at:
                for array_name in reversed(self._written()):
                    self._place.delete(self._key(array_name, index))

    def remove_partial_files(self, names: Collection[str] | None = None) -> None:
        """Delete what writes that were killed have left behind.

        A process that is alive and loses a partial file to this writes it again.

        Parameters
        ----------
        names : collection of str or None
            Leave those of other images' activations to the processes that compute them. None takes all.
        """
        if is_url(self.path):
            return  # an object appears whole or not at all
        spared = set() if names is None else set(range(len(self.labels))) - {self.labels.index(name) for name in names}
        with plain_errors(f"cannot remove partial files from the store {self.path}"):
            for key in self._place.sizes():
                image = _PARTIAL_OF_IMAGE.match(key)
                of = int(image["index"]) if image and image["array"] in self._written() else -1
                if key.endswith(PARTIAL) and of not in spared:
                    self._place.delete(key)

    # -- reading -----------------------------------------------------------------------------------------------------

    def missing(self) -> list[str]:
        """Names of registered images that are not whole yet: a file of one of their arrays is absent or empty."""
        whole = set(range(len(self.labels)))
        with plain_errors(f"cannot list the store {self.path}"):
            for array_name in self._written():
                sizes = self._place.sizes(array_name)
                whole = {index for index in whole if sizes.get(self._key(array_name, index))}
        return [name for index, name in enumerate(self.labels.names) if index not in whole]

    def files(self) -> Mapping[str, int]:
        """Every file in the store's tree with its bytes, from one listing."""
        with plain_errors(f"cannot list the store {self.path}"):
            return self._place.sizes()

    def feature_arrays(self) -> list[str]:
        """Names of the arrays that hold activations, in the order of `Storage.arrays`."""
        return feature_arrays(self.settings, self.storage)

    def files_of(self, name: str) -> dict[str, str]:
        """The file in which each array keeps an image, in the order in which they are written, the mask first."""
        index = self.labels.index(name)
        return {array_name: self._key(array_name, index) for array_name in ("mask", *self._written())}

    def files_of_all(self) -> set[str]:
        """Every file that belongs to no single image: metadata, labels, coordinates."""
        arrays = [*self._arrays, "timestep"]
        documents = {ROOT, *(f"{name}/{ROOT}" for name in arrays), "timestep/c.0"}
        chunks = range(-(-len(self.labels) // LABELS_PER_CHUNK))
        return documents | {self._key(column, chunk) for column in LABEL_ARRAYS for chunk in chunks}

    def read_file(self, array_name: str, name: str) -> NDArray[Any]:
        """What one array holds of one image; a `TedmError` that names both if it is absent or damaged."""
        return np.asarray(self._read(array_name, name))

    def image(self, name: str) -> NDArray[np.float32]:
        """The image as the backbone's square: shape (size, size, channels), in [0, 1]."""
        return np.asarray(self._read("image", name), dtype=np.float32)

    def mask(self, name: str) -> NDArray[np.uint8]:
        """Class indices of shape (size, size); `IGNORE` where there is no label."""
        return np.asarray(self._read("mask", name), dtype=np.uint8)

    def block(self, name: str, timesteps: Sequence[int] | None = None, levels: Sequence[str] | None = None) -> Block:
        """The activations of one image; a `TedmError` if they are not whole or cannot be read."""
        timesteps = self.settings.timesteps if timesteps is None else tuple(timesteps)
        at = [self.settings.timesteps.index(timestep) for timestep in timesteps]
        settings = self.settings if levels is None else self.settings.on(levels)
        names = self.feature_arrays()
        if self.storage.layout == "upsampled":
            pixels = np.asarray(self._read(names[0], name, at))
            if levels is not None:
                pixels = pixels[..., self.settings.channels_of(levels)]
            return self.storage.read_upsampled(name, timesteps, pixels, settings)
        if levels is not None:
            names = [names[position] for position in self.settings.positions(levels)]
        arrays = tuple(np.asarray(self._read(array, name, at)) for array in names)
        return Block(name, timesteps, arrays, settings.image_size, settings.upsampling)

    def blocks(
        self, names: Sequence[str], timesteps: Sequence[int] | None = None, levels: Sequence[str] | None = None
    ) -> Iterator[Block]:
        """One block for each name, in order; all timesteps and levels if None."""
        for name in names:
            yield self.block(name, timesteps, levels)

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _written(self) -> list[str]:
        """The arrays that `write` fills, in its order."""
        return ["image", *self.feature_arrays()]

    def _key(self, array_name: str, index: int) -> str:
        return shard_key(array_name, index, self._arrays[array_name].ndim)

    def _writable(self, name: str) -> zarr.Array[Any]:
        """An array that writes chunks of nothing but the fill value too: an absent one would read as missing."""
        try:
            array: Any = self._group[name]
        except (KeyError, ValueError, TypeError) as error:
            raise TedmError(
                f"the store {self.path} is damaged: the metadata of its array {name} are gone or unreadable "
                f"({cause(error)})\nBring {name}/{ROOT} back from a copy, or extract to a new path."
            ) from error
        return array.with_config({"write_empty_chunks": True})  # type: ignore[no-any-return]

    def _set(self, array_name: str, index: int | slice, values: NDArray[Any]) -> None:
        """Write one image's file, or those of several."""

        def put() -> None:
            self._arrays[array_name][index] = values

        _written_again(put)

    def _read(self, array_name: str, name: str, timesteps: Sequence[int] | None = None) -> Any:
        index, array = self.labels.index(name), self._arrays[array_name]
        try:
            if not sync(array.store.exists(self._key(array_name, index))):
                raise self._absent(array_name, name)
            if timesteps is None or list(timesteps) == list(range(array.shape[1])):
                return array[index]
            return np.stack([np.asarray(array[index, timestep]) for timestep in timesteps])
        except (TedmError, MemoryError):
            raise
        except Exception as error:  # codecs raise this and that on bytes that are not theirs
            if is_remote(error):
                raise TedmError(f"image {name}: array {array_name} of {self.path} cannot be read: {cause(error)}") from error
            raise self._damaged(array_name, name, cause(error)) from error

    def _absent(self, array_name: str, name: str) -> TedmError:
        """What to say of a file that is not there: the image is still to come, or something happened to it."""
        index = self.labels.index(name)
        if array_name == "mask" or any(self._place.sizes(array).get(self._key(array, index)) for array in self._written()):
            return self._damaged(array_name, name, "its file is gone")
        return TedmError(
            f"image {name} is not in the store {self.path} yet ({len(self.missing())} of {len(self.labels)} still missing); "
            "run the same tedm-extract again to complete it"
        )

    def _damaged(self, array_name: str, name: str, what: str) -> DamagedError:
        mend = (
            f"Run tedm-label {self.path} MANIFEST with a mask for this image: it is written anew."
            if array_name == "mask"
            else f"Run tedm-verify {self.path} --repair and then the same tedm-extract again: it recomputes that image."
        )
        text = f"image {name}: array {array_name} of the store {self.path} is damaged ({what})\n{mend}"
        return DamagedError(text, name, array_name, what)

    def _require_finite(self, name: str, cells: Sequence[Floats], rounded: Sequence[Floats]) -> None:
        if all(np.isfinite(array).all() for array in rounded):
            return
        for level, values in zip(self.settings.levels, cells, strict=True):
            for timestep, at_timestep in zip(self.settings.timesteps, values, strict=True):
                where = f"image {name}, level {level.name}, timestep {timestep}"
                if not np.isfinite(at_timestep).all():
                    raise TedmError(f"{where}: the backbone's activations are not finite; is the checkpoint sound?")
                if not np.isfinite(stored(at_timestep, self.storage.dtype)).all():
                    largest = float(np.abs(at_timestep).max())
                    raise TedmError(
                        f"{where}: an activation of {largest:.4g} does not fit {self.storage.dtype} (65504 at most)\n"
                        "Extract to a new store with --dtype float32."
                    )

    def _set_classes(self, classes: Sequence[int]) -> None:
        self._group.attrs.update({"tedm": {**_about(self._group), "classes": [int(value) for value in classes]}})

    def _write_masks(self, start: int, masks: Sequence[NDArray[np.uint8] | None]) -> None:
        size = self.settings.image_size
        none = np.full((size, size), IGNORE, np.uint8)
        values = np.stack([none if mask is None else mask for mask in masks])
        self._set("mask", slice(start, start + len(masks)), values)

    def _read_labels(self) -> Labels:
        names = [str(name) for name in self._read_column("name")]
        count = names.index("") if "" in names else len(names)
        if count < len(names) and any(self._place.sizes("image").get(self._key("image", i)) for i in range(count, len(names))):
            raise self._lost("name")  # names come before activations: to register these images anew could mix them up
        columns = {column: self._read_column(column, count) for column in LABEL_ARRAYS if column != "name"}
        return Labels(
            names=tuple(names[:count]),
            splits=tuple(map(str, columns["split"])),
            groups=tuple(map(str, columns["group"])),
            domains=tuple(map(str, columns["domain"])),
            original_sizes=tuple((int(height), int(width)) for height, width in columns["original_size"]),
            labelled=tuple(map(int, columns["labelled"])),
            classes=tuple(_about(self._group)["classes"]),
        )

    def _read_column(self, column: str, count: int | None = None) -> NDArray[Any]:
        """Labels of the first images, None for all; Zarr would read a file that is gone as empty labels."""
        array = self._arrays[column]
        for chunk in range(-(-(count or 0) // LABELS_PER_CHUNK)):
            if not sync(array.store.exists(self._key(column, chunk))):
                raise self._lost(column)
        try:
            return np.asarray(array[:count])
        except Exception as error:  # codecs raise this and that on bytes that are not theirs
            if isinstance(error, OSError) or is_remote(error):
                raise
            raise self._lost(column) from error

    def _lost(self, column: str) -> TedmError:
        return TedmError(
            f"the store {self.path} is damaged: the labels {column} of its images are gone or unreadable\n"
            f"Bring the folder {column} back from a copy, or extract to a new path."
        )


def _put_skeleton(where: Place, files: dict[str, bytes]) -> None:
    """Write what is not there yet of an empty store, its own metadata last."""
    if where.read(ROOT) is not None:
        return
    others = [key for key in where.sizes() if key not in files and not key.endswith(PARTIAL)]
    for key, content in files.items():
        if key != ROOT and not others:
            where.put_new(key, content)
            if where.read(key) != content:
                others.append(key)
    # What differs may be the work of a process that was faster: then the root is there by now, and the store is judged by it.
    if others and where.read(ROOT) is None:
        raise TedmError(f"{where.address} exists and is not empty (it has {others[0]}); name another folder, or delete it")
    where.put_new(ROOT, files[ROOT])


def _written_again(put: Callable[[], None]) -> None:
    """Write; begin anew if another process has removed the partial file, taking it for that of a killed one."""
    for attempt in range(ATTEMPTS):
        try:
            return put()
        except FileNotFoundError as error:
            if not str(error.filename).endswith(PARTIAL) or attempt == ATTEMPTS - 1:
                raise


def _about(group: zarr.Group) -> dict[str, Any]:
    """What the store says of itself."""
    about: Any = group.attrs["tedm"]
    return dict(about)


def _about_of(where: Place) -> dict[str, Any] | None:
    """The same from its file; None if there is no store of ours."""
    content = where.read(ROOT)
    try:
        about = json.loads(content)["attributes"]["tedm"] if content else None
    except (ValueError, KeyError, TypeError):
        return None
    return about if isinstance(about, dict) and "format" in about else None


def _compared(about: dict[str, Any] | None) -> dict[str, Any]:
    """What two processes have to agree on to share a store: the classes come with images, and its origin is the first one's."""
    return {key: value for key, value in (about or {}).items() if key not in ("classes", "provenance")}


def _strangers(keys: Collection[str]) -> list[str]:
    """Files that no unfinished skeleton has."""
    return [key for key in keys if not key.endswith((f"/{ROOT}", "timestep/c.0", PARTIAL))]


def _labelled(mask: NDArray[np.uint8] | None) -> int:
    return 0 if mask is None else int((mask != IGNORE).sum())


# zarr puts a unique word in place of a key's last number: `level0/c.7.0.0.0.0.5f0c....partial`.
_PARTIAL_OF_IMAGE = re.compile(r"(?P<array>[^/]+)/c\.(?P<index>\d+)\.")
