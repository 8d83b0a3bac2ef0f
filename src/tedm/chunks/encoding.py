"""Packing an image's file without the copies that Zarr makes of it, and without waiting for Zarr's one thread.

A shard is its chunks one after the other, each with a checksum, and at the end where each of them lies. Zarr copies a chunk
when it is cut out, when the checksum is put behind it and when the shard is put together: for activations, of which an image
has hundreds of megabytes, that costs as much as compressing them. Here a chunk is asked for when its turn has come, so that
pixels need not all exist at once, and what is written lies where it was made. A file that is one chunk and no shard, a picture,
is packed here, too: where several threads write, they would wait for each other in Zarr. The bytes are those that Zarr writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import zarr
from numcodecs.zstd import Zstd
from numpy.typing import NDArray
from zarr.codecs import ShardingCodec, ZstdCodec
from zarr.core.indexing import morton_order_iter

from tedm.chunks.checksum import crc32c
from tedm.jsons import JsonObject

# Codecs as the metadata of an array name them.
LITTLE_ENDIAN = {"name": "bytes", "configuration": {"endian": "little"}}
CHECKSUM = {"name": "crc32c"}
ENDS = [LITTLE_ENDIAN, CHECKSUM]
Piece = bytes | memoryview


class Parts(Protocol):
    """Values that can be asked for chunk by chunk: an array, or what makes each chunk when it is asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all values together."""

    def __getitem__(self, at: tuple[slice, ...], /) -> NDArray[Any]:
        """Return the values there."""


@dataclass(frozen=True)
class Shard:
    """How the file of an image is packed: a shard, or a chunk that is all of it.

    Parameters
    ----------
    shape, chunk : tuple of int
        Of an image's values and of one of their chunks; the chunks divide the shape.
    dtype : numpy.dtype
        Of the values on the disk.
    zstd : Zstd or None
        What packs a chunk before its checksum; None leaves it as it is.
    indexed : bool
        Whether it is a shard, which ends with where its chunks lie.
    """

    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: np.dtype[Any]
    zstd: Zstd | None
    indexed: bool = True

    @classmethod
    def of(cls, array: zarr.Array[Any]) -> Self | None:
        """Return how an array that has one file an image packs it; None if that is not known here, and left to Zarr."""
        metadata: Any = array.metadata
        codecs, whole = metadata.codecs, array.shape[1:]
        indexed = isinstance(codecs[0], ShardingCodec)
        chunk = whole
        if (array.shards if indexed else array.chunks) != (1, *whole):
            return None
        if indexed:
            sharding: Any = codecs[0]
            if len(codecs) > 1 or _named(sharding.index_codecs) != ENDS or sharding.index_location.value != "end":
                return None
            codecs, chunk = sharding.codecs, tuple(sharding.chunk_shape[1:])
        packing = codecs[1:-1]
        if _named([*codecs[:1], *codecs[-1:]]) != ENDS:
            return None
        if len(packing) > 1 or not all(isinstance(codec, ZstdCodec) for codec in packing):
            return None
        zstd = Zstd(level=packing[0].level, checksum=packing[0].checksum) if packing else None
        return cls(whole, chunk, np.dtype(array.dtype).newbyteorder("<"), zstd, indexed)

    def packed(self, values: Parts) -> list[Piece]:
        """Return the file of an image's values, in pieces.

        Parameters
        ----------
        values : array of the image's shape, or what makes its chunks

        Raises
        ------
        ValueError
            If they have another shape.
        """
        if tuple(values.shape) != self.shape:
            raise ValueError(f"an image has values of shape {self.shape}, not {tuple(values.shape)}")
        counts = tuple(length // step for length, step in zip(self.shape, self.chunk, strict=True))
        index = np.empty((*counts, 2), "<u8")
        pieces: list[Piece] = []
        start = 0
        for place in morton_order_iter(counts):
            at = tuple(slice(step * which, step * (which + 1)) for step, which in zip(self.chunk, place, strict=True))
            chunk = np.ascontiguousarray(values[at], self.dtype)
            content = _bytes(chunk) if self.zstd is None else np.frombuffer(self.zstd.encode(chunk), np.uint8)
            pieces += _with_checksum(content)
            index[place] = start, len(content) + 4
            start += len(content) + 4
        return [*pieces, *_with_checksum(_bytes(index))] if self.indexed else pieces


def _bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    return values.reshape(-1).view(np.uint8)


def _with_checksum(content: NDArray[np.uint8]) -> list[Piece]:
    return [content.data, crc32c(content).to_bytes(4, "little")]


def _named(codecs: Sequence[Any]) -> list[JsonObject]:
    return [codec.to_dict() for codec in codecs]
