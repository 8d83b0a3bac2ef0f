"""Features in a Zarr group: one shard for each image and array, the last array last.

The presence of an image's last shard is its completeness; there is no other record of what is done. Everything that is not an
activation (names, masks, splits) is written when images are registered, the names last: an image exists once its name does.
Nothing in the tree names a host, a time or a process, so that the same work ends in the same bytes.
"""

from __future__ import annotations

import contextlib
import errno
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.sync import sync

from tedm.errors import TedmError
from tedm.store.features import Block, Storage
from tedm.store.labels import IGNORE, Labels
from tedm.store.layout import Floats, stored
from tedm.store.settings import Arithmetic, FeatureSettings

FORMAT = 1
# A chunk is what is decoded at once: small enough to stream, large enough to compress well.
CHUNK_BYTES = 16 * 2**20
_KEY = re.compile(r"c\.\d+\.")
# Labels of this many images share one file.
LABELS_PER_CHUNK = 65536


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


class FeatureStore:
    """Features on disk; see `tedm.store.Features` for the reading side.

    Use `FeatureStore.create` or `FeatureStore.open`.
    """

    def __init__(self, path: Path, group: zarr.Group) -> None:
        self.path = path
        self._group = group
        about = _about(group)
        self.settings = FeatureSettings.from_json(about["settings"])
        self.arithmetic = Arithmetic(**about["arithmetic"])
        self.storage = Storage(**about["storage"])
        self.provenance: dict[str, Any] = about["provenance"]
        self._arrays = {name: _writable(group, name) for name in (*_LABEL_ARRAYS, "image", "mask", *self._feature_arrays())}
        self.labels = self._read_labels()

    # -- making and opening ------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls, path: Path, settings: FeatureSettings, arithmetic: Arithmetic, storage: Storage, provenance: dict[str, Any]
    ) -> Self:
        """Make an empty store.

        Raises
        ------
        TedmError
            If there is something else at `path`, or it cannot be written.
        """
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise TedmError(f"{path} is a file; name a folder that does not exist yet")
        if path.exists() and any(path.iterdir()):
            if _state(path) != "being created":
                raise TedmError(f"{path} exists and is not empty; name another folder, or delete it")
            shutil.rmtree(path)  # ours, and it died before its first image
        about: Any = {
            "format": FORMAT,
            "settings": settings.to_json(),
            "arithmetic": asdict(arithmetic),
            "storage": storage.to_json(),
            "classes": [],
            "provenance": provenance,
        }
        creating: Any = {"tedm": {"state": "being created"}}
        with _plain_errors(f"cannot create the store {path}"):
            group = zarr.open_group(path, mode="a", zarr_format=3, attributes=creating)
            _create_arrays(group, settings, storage)
            group.attrs.update({"tedm": about})
        return cls(path, zarr.open_group(path, mode="r+", zarr_format=3))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a store for reading and, where the file system allows it, writing.

        Raises
        ------
        TedmError
            If there is no store, or one of a newer format.
        """
        path = Path(path)
        state = _state(path)
        if state is None:
            what = "does not exist" if not path.exists() else "is no feature store"
            raise TedmError(f"{path} {what}; make one with tedm-extract IMAGES {path} --checkpoint FILE")
        if state == "being created":
            raise TedmError(f"{path} was left before its first image; run the same tedm-extract again")
        with _plain_errors(f"cannot open the store {path}"):
            group = zarr.open_group(path, mode="r+", zarr_format=3)
            if _about(group)["format"] != FORMAT:
                raise TedmError(f"{path} has a format that this version of tedm does not know; install a newer tedm")
            return cls(path, group)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the store anew; the path has to mean the same there."""
        return type(self).open, (self.path.absolute(),)

    @staticmethod
    def is_store(path: Path) -> bool:
        """Whether there is a store at `path` that can be opened, whole or with images missing."""
        return _state(Path(path)) == "whole"

    # -- writing -----------------------------------------------------------------------------------------------------

    def register(self, images: Sequence[Registration], classes: Sequence[int]) -> None:
        """Let new images enter, without activations; images that are there already stay as they are.

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
        with _plain_errors(f"cannot write to the store {self.path}; nothing that was there is lost"):
            if classes and not known:
                self._set_classes(classes)
            start, stop = len(there), len(there) + len(new)
            for name in ("image", "mask", *self._feature_arrays()):
                array = self._arrays[name]
                array.resize((stop, *array.shape[1:]))
            for offset, image in enumerate(new):
                self._write_mask(start + offset, image.mask)
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
        self.labels = self._read_labels()

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
        at = [self.labels.index(image.name) for image in images]
        replaced = {image.name for image in images if image.mask is not None}
        staying = [n for n, pixels in zip(self.labels.names, self.labels.labelled, strict=True) if pixels and n not in replaced]
        if replaced and staying and tuple(classes) != self.labels.classes:
            raise TedmError(
                f"cannot relabel {self.path}: {len(staying)} masks that stay (the first: {staying[0]}) have classes "
                f"{list(self.labels.classes)}, the new ones {list(classes)}\n"
                f"Give masks for these too, or repeat with --classes {','.join(map(str, self.labels.classes))}."
            )
        with _plain_errors(f"cannot write to the store {self.path}; the activations are untouched, run tedm-label again"):
            if replaced:
                self._set_classes(classes)
            labelled = np.array(self.labels.labelled, dtype=np.int64)
            columns = {
                "split": list(self.labels.splits),
                "group": list(self.labels.groups),
                "domain": list(self.labels.domains),
            }
            for index, image in zip(at, images, strict=True):
                if image.mask is not None:
                    self._write_mask(index, image.mask)
                    labelled[index] = _labelled(image.mask)
                for column, value in (("split", image.split), ("group", image.group), ("domain", image.domain)):
                    columns[column][index] = value or columns[column][index]
            self._arrays["labelled"][: len(labelled)] = labelled
            for column, values in columns.items():
                self._arrays[column][: len(values)] = np.array(values, dtype=self._arrays[column].dtype)
        self.labels = self._read_labels()

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
        self._require_finite(name, cells, [stored(level, self.storage.dtype) for level in cells])
        rounded = self.storage.arrays(cells, self.settings)
        with _plain_errors(
            f"cannot write image {name} to the store {self.path}; finished images are safe, run tedm-extract again"
        ):
            self._arrays["image"][index] = image
            for array_name, values in zip(self._feature_arrays(), rounded, strict=True):
                self._arrays[array_name][index] = values

    def remove_partial_files(self, names: Collection[str] | None = None) -> None:
        """Delete what writes that were killed have left behind.

        Parameters
        ----------
        names : collection of str or None
            Leave the partial files of all other images to those who write these. None takes all.
        """
        spared = (
            set() if names is None else {f"c.{index}." for index, name in enumerate(self.labels.names) if name not in names}
        )
        for stale in self.path.glob("**/*.partial"):
            at = _KEY.search(stale.name)
            if not (at and at[0] in spared and stale.parent.name not in _LABEL_ARRAYS):
                stale.unlink(missing_ok=True)

    # -- reading -----------------------------------------------------------------------------------------------------

    def missing(self) -> list[str]:
        """Names of registered images whose activations are not whole yet."""
        last = self._arrays[self._feature_arrays()[-1]]
        prefix = f"{last.path}/"
        keys = set(sync(_keys(last.store, prefix)))
        return [name for i, name in enumerate(self.labels.names) if f"{prefix}{_shard_key(last, i)}" not in keys]

    def image(self, name: str) -> NDArray[np.float32]:
        """The image as the backbone's square: shape (size, size, channels), in [0, 1]."""
        return np.asarray(self._read("image", name), dtype=np.float32)

    def mask(self, name: str) -> NDArray[np.uint8]:
        """Class indices of shape (size, size); `IGNORE` where there is no label."""
        return np.asarray(self._read("mask", name), dtype=np.uint8)

    def block(self, name: str, timesteps: Sequence[int] | None = None) -> Block:
        """The activations of one image; a `TedmError` if they are not whole or cannot be read."""
        timesteps = self.settings.timesteps if timesteps is None else tuple(timesteps)
        at = [self.settings.timesteps.index(timestep) for timestep in timesteps]
        arrays = [np.asarray(self._read(array, name, at)) for array in self._feature_arrays()]
        if self.storage.layout == "upsampled":
            return self.storage.read_upsampled(name, timesteps, arrays[0], self.settings)
        return Block(name, timesteps, tuple(arrays), self.settings.image_size, self.settings.upsampling)

    def blocks(self, names: Sequence[str], timesteps: Sequence[int] | None = None) -> Iterator[Block]:
        """One block for each name, in order; all timesteps if None."""
        for name in names:
            yield self.block(name, timesteps)

    # -- helpers -----------------------------------------------------------------------------------------------------

    def _feature_arrays(self) -> list[str]:
        if self.storage.layout == "upsampled":
            return ["features"]
        return [level.name for level in self.settings.levels]

    def _read(self, array_name: str, name: str, timesteps: Sequence[int] | None = None) -> Any:
        index, array = self.labels.index(name), self._arrays[array_name]
        if not sync(array.store.exists(f"{array.path}/{_shard_key(array, index)}")):
            missing = self.missing()
            if name in missing:
                raise TedmError(
                    f"image {name} is not in the store {self.path} yet ({len(missing)} of {len(self.labels)} still missing); "
                    "run the same tedm-extract again to complete it"
                )
            raise TedmError(self._damage(array_name, name, "its file is gone"))
        try:
            if timesteps is None or list(timesteps) == list(range(array.shape[1])):
                return array[index]
            return np.stack([np.asarray(array[index, timestep]) for timestep in timesteps])
        except (ValueError, RuntimeError, KeyError, OSError) as error:  # what codecs raise on bytes that are not theirs
            raise TedmError(
                self._damage(array_name, name, str(error).splitlines()[0] if str(error) else repr(error))
            ) from error

    def _damage(self, array_name: str, name: str, cause: str) -> str:
        array = self._arrays[array_name]
        last = self._arrays[self._feature_arrays()[-1]]
        file = self.path / last.path / _shard_key(last, self.labels.index(name))
        return (
            f"image {name}: array {array.path} of the store {self.path} is damaged ({cause})\n"
            f"Delete {file} and run the same tedm-extract again: it recomputes that image."
        )

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

    def _write_mask(self, index: int, mask: NDArray[np.uint8] | None) -> None:
        size = self.settings.image_size
        self._arrays["mask"][index] = np.full((size, size), IGNORE, np.uint8) if mask is None else mask

    def _read_labels(self) -> Labels:
        names = [str(name) for name in np.asarray(self._arrays["name"][:])]
        count = names.index("") if "" in names else len(names)
        columns = {column: np.asarray(self._arrays[column][:count]) for column in _LABEL_ARRAYS}
        return Labels(
            names=tuple(names[:count]),
            splits=tuple(map(str, columns["split"])),
            groups=tuple(map(str, columns["group"])),
            domains=tuple(map(str, columns["domain"])),
            original_sizes=tuple((int(height), int(width)) for height, width in columns["original_size"]),
            labelled=tuple(map(int, columns["labelled"])),
            classes=tuple(_about(self._group)["classes"]),
        )


_LABEL_ARRAYS: dict[str, tuple[Any, tuple[int, ...], list[str]]] = {
    "name": (str, (), []),
    "split": (str, (), []),
    "group": (str, (), []),
    "domain": (str, (), []),
    "original_size": ("int32", (2,), ["axis"]),
    "labelled": ("int64", (), []),
}


def _create_arrays(group: zarr.Group, settings: FeatureSettings, storage: Storage) -> None:
    """The skeleton: every array, without images."""
    size = settings.image_size
    for name, (dtype, tail, dims) in _LABEL_ARRAYS.items():
        _create(group, name, (0, *tail), (LABELS_PER_CHUNK, *tail), dtype, ["image", *dims])
    square = (size, size)
    _create(group, "image", (0, *square, settings.image_channels), None, "float32", ["image", "y", "x", "image_channel"])
    _create(group, "mask", (0, *square), None, "uint8", ["image", "y", "x"])
    timestep = _create(group, "timestep", (len(settings.timesteps),), (len(settings.timesteps),), "int64", ["timestep"])
    timestep[:] = np.array(settings.timesteps)
    lead = (0, len(settings.timesteps), settings.draws)
    if storage.layout == "upsampled":
        dims = ["image", "timestep", "draw", "y", "x", "channel"]
        _create(group, "features", (*lead, *square, settings.channels), None, storage.dtype, dims, shard=True)
        return
    for level in settings.levels:
        side, of = settings.side(level), level.name
        dims = ["image", "timestep", "draw", f"y_{of}", f"x_{of}", f"channel_{of}"]
        _create(group, level.name, (*lead, side, side, level.channels), None, storage.dtype, dims, shard=True)


def _create(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...] | None,
    dtype: Any,
    dims: list[str],
    *,
    shard: bool = False,
) -> zarr.Array[Any]:
    """One array; `chunks` of None means one file an image, a `shard` of chunks if asked for."""
    whole = (1, *shape[1:])
    inner = chunks or whole
    if shard:
        rows, row_bytes = shape[3], int(np.prod(shape[4:])) * np.dtype(dtype).itemsize
        while rows % 2 == 0 and rows * row_bytes > CHUNK_BYTES:
            rows //= 2
        inner = (1, 1, 1, rows, *shape[4:])
    array: zarr.Array[Any] = group.create_array(
        name,
        shape=shape,
        chunks=inner,
        shards=whole if shard else None,
        dtype=dtype,
        compressors=[ZstdCodec(level=3), Crc32cCodec()],
        fill_value=IGNORE if name == "mask" else "" if dtype is str else 0,
        dimension_names=dims,
        chunk_key_encoding={"name": "default", "separator": "."},
        config={"write_empty_chunks": True},
    )
    return array


def _writable(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """An array of the group that writes chunks of nothing but the fill value too: an absent one would read as missing."""
    array: Any = group[name]
    return array.with_config({"write_empty_chunks": True})  # type: ignore[no-any-return]


def _about(group: zarr.Group) -> dict[str, Any]:
    """What the store says of itself."""
    about: Any = group.attrs["tedm"]
    return dict(about)


def _shard_key(array: zarr.Array[Any], index: int) -> str:
    return ".".join(["c", str(index), *["0"] * (array.ndim - 1)])


async def _keys(store: Any, prefix: str) -> list[str]:
    return [key async for key in store.list_prefix(prefix)]


def _labelled(mask: NDArray[np.uint8] | None) -> int:
    return 0 if mask is None else int((mask != IGNORE).sum())


def _state(path: Path) -> str | None:
    """None if there is no store of ours at `path`."""
    if not (path / "zarr.json").is_file():
        return None
    try:
        about = dict(zarr.open_group(path, mode="r", zarr_format=3).attrs).get("tedm")
    except (ValueError, OSError, KeyError, TypeError):
        return None
    return about.get("state", "whole") if isinstance(about, dict) else None


@contextlib.contextmanager
def _plain_errors(what: str) -> Iterator[None]:
    """Refusals of the operating system as one line."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cause = "no space left on the device; free some and repeat" if full else (error.strerror or str(error))
        raise TedmError(f"{what}: {cause}") from error
