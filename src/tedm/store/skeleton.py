"""The skeleton of a store: every array without images, as the files that whoever makes the store writes.

The files follow from the settings alone. Processes that make the same store at once therefore write the same bytes, and each
file needs to be written by one of them only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tedm.jsons import JsonObject
from tedm.store.features import Storage
from tedm.store.labels import IGNORE
from tedm.store.settings import FeatureSettings, Upsampling
from tedm.store.volumes.columns import SLICES, VOLUMES

if TYPE_CHECKING:  # a fifth of a second to import, and heads that read one image need no store
    import zarr
    from zarr.core.buffer import Buffer

ROOT = "zarr.json"
# A chunk is what is decoded at once: small enough to stream, large enough to compress well.
CHUNK_BYTES = 16 * 2**20
# Labels of this many images share one file.
LABELS_PER_CHUNK = 65536

# Type, shape of an entry and its dimensions. The name is first here and the last that is written of an image.
LABEL_ARRAYS: dict[str, tuple[Any, tuple[int, ...], list[str]]] = {
    "name": (str, (), []),
    "split": (str, (), []),
    "group": (str, (), []),
    "domain": (str, (), []),
    "original_size": ("int32", (2,), ["axis"]),
    "labelled": ("int64", (), []),
}
# The same of a column that stores of before do not have; see `tedm.store.sources`.
SOURCE_ARRAY: tuple[Any, tuple[int, ...], list[str]] = ("int64", (4,), ["stamp"])
# Those of a store with volumes only; see `tedm.store.volumes.columns`. The first counts volumes, not images.
VOLUME_ARRAYS: dict[str, tuple[Any, tuple[int, ...], list[str]]] = {
    VOLUMES: (str, (), []),
    SLICES: ("int32", (6,), ["place"]),
}


def label_arrays(settings: FeatureSettings) -> list[str]:
    """Return names of the arrays that hold what is known of images, those of volumes where there are volumes."""
    return [*LABEL_ARRAYS, *(VOLUME_ARRAYS if settings.axis is not None else ())]


def skeleton(settings: FeatureSettings, storage: Storage, about: JsonObject) -> dict[str, bytes]:
    """Every file of a store without images.

    Parameters
    ----------
    settings : FeatureSettings
        Shapes of the arrays.
    storage : Storage
        Which arrays there are, and their type.
    about : mapping of str to JSON values
        What the store says of itself.

    Returns
    -------
    dict from str to bytes
        Keys and contents. The group's own metadata come last: where they are, the rest is too.
    """
    import zarr
    from zarr.storage import MemoryStore

    contents: dict[str, Buffer] = {}
    group = zarr.open_group(MemoryStore(contents), mode="w", zarr_format=3, attributes={"tedm": about})
    _create_arrays(group, settings, storage)
    files = {key: content.to_bytes() for key, content in contents.items()}
    return {**{key: content for key, content in files.items() if key != ROOT}, ROOT: files[ROOT]}


def compressors(storage: Storage, upsampling: Upsampling) -> list[Any]:
    """How chunks of activations are packed before their checksum: measured, see "Codecs" in docs/design.md.

    A store that is there keeps what its metadata say, so another choice here changes new stores only.
    """
    from zarr.codecs import BloscCodec, ZstdCodec

    if storage.layout == "native" and storage.dtype == "float16":
        return []  # zstd takes 8 % off and is twenty times slower to read
    if storage.dtype == "float32" and (storage.layout == "native" or upsampling == "bilinear"):
        return [BloscCodec(typesize=4, cname="lz4", clevel=5, shuffle="shuffle")]
    return [ZstdCodec(level=1)]


def feature_arrays(settings: FeatureSettings, storage: Storage) -> list[str]:
    """Return names of the arrays that hold activations, in the order in which an image's are written."""
    return ["features"] if storage.layout == "upsampled" else [level.name for level in settings.levels]


def shard_key(array: str, index: int, dimensions: int) -> str:
    """Return where an array keeps an image: `level0/c.7.0.0.0.0.0`."""
    return f"{array}/c.{index}" + ".0" * (dimensions - 1)


def _create_arrays(group: zarr.Group, settings: FeatureSettings, storage: Storage) -> None:
    """Create every array, without images."""
    size = settings.image_size
    for name, (dtype, tail, dims) in {**LABEL_ARRAYS, "source": SOURCE_ARRAY}.items():
        _create(group, name, (0, *tail), (LABELS_PER_CHUNK, *tail), dtype, ["image", *dims])
    if settings.axis is not None:
        for name, (dtype, tail, dims) in VOLUME_ARRAYS.items():
            first = "volume" if name == VOLUMES else "image"
            _create(group, name, (0, *tail), (LABELS_PER_CHUNK, *tail), dtype, [first, *dims])
    square = (size, size)
    _create(group, "image", (0, *square, settings.image_channels), None, "float32", ["image", "y", "x", "image_channel"])
    _create(group, "mask", (0, *square), None, "uint8", ["image", "y", "x"])
    timestep = _create(group, "timestep", (len(settings.timesteps),), (len(settings.timesteps),), "int64", ["timestep"])
    timestep[:] = np.array(settings.timesteps)
    lead, packed = (0, len(settings.timesteps), settings.draws), compressors(storage, settings.upsampling)
    if storage.layout == "upsampled":
        dims = ["image", "timestep", "draw", "y", "x", "channel"]
        _create(group, "features", (*lead, *square, settings.channels), None, storage.dtype, dims, packed=packed)
        return
    for level in settings.levels:
        side, of = settings.side(level), level.name
        dims = ["image", "timestep", "draw", f"y_{of}", f"x_{of}", f"channel_{of}"]
        _create(group, level.name, (*lead, side, side, level.channels), None, storage.dtype, dims, packed=packed)


def _create(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...] | None,
    dtype: Any,
    dims: list[str],
    *,
    packed: list[Any] | None = None,
) -> zarr.Array[Any]:
    """Create an array; `chunks` of None means one file an image, which is a shard if its chunks are `packed` on their own."""
    from zarr.codecs import Crc32cCodec, ZstdCodec

    whole = (1, *shape[1:])
    inner = chunks or whole
    if packed is not None:
        rows, row_bytes = shape[3], int(np.prod(shape[4:])) * np.dtype(dtype).itemsize
        while rows % 2 == 0 and rows * row_bytes > CHUNK_BYTES:
            rows //= 2
        inner = (1, 1, 1, rows, *shape[4:])
    array: zarr.Array[Any] = group.create_array(
        name,
        shape=shape,
        chunks=inner,
        shards=None if packed is None else whole,
        dtype=dtype,
        compressors=[*([ZstdCodec(level=3)] if packed is None else packed), Crc32cCodec()],
        fill_value=IGNORE if name == "mask" else "" if dtype is str else 0,
        dimension_names=dims,
        chunk_key_encoding={"name": "default", "separator": "."},
        config={"write_empty_chunks": True},
    )
    return array
