"""Decoding chunks into no more memory than their arrays ask for.

A compressed chunk says itself how large it is, and a decoder believes it: a kilobyte can ask for gigabytes. Here the size is
compared with that of the array's chunks before anything is decoded. The codecs are Zarr's own otherwise, under their own names.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import zarr
from zarr.codecs import BloscCodec, ShardingCodec, VLenUTF8Codec, ZstdCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer, NDBuffer

# Names of the codecs that are known to decode within bounds.
KNOWN = frozenset({"bytes", "vlen-utf8", "zstd", "blosc", "crc32c", "sharding_indexed"})
# Bytes of an entry of text on average, at most.
TEXT = 1024


def bounded(array: zarr.Array[Any]) -> zarr.Array[Any]:
    """Let an array decode no chunk to more than its room, and return it; text may take `TEXT` bytes an entry."""
    inner: Any = array._async_array
    pipeline = inner.codec_pipeline
    object.__setattr__(inner, "codec_pipeline", type(pipeline).from_codecs(tuple(map(_bounded, pipeline))))
    return array


class _Zstd(ZstdCodec):
    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        _require_size(zstd_size(_start(chunk_bytes, 18)), chunk_spec)
        return await super()._decode_single(chunk_bytes, chunk_spec)


class _Blosc(BloscCodec):
    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        start = _start(chunk_bytes, 16)
        if len(start) < 16 or int.from_bytes(start[12:16], "little") != len(chunk_bytes):
            raise ValueError("a chunk is no blosc chunk")
        _require_size(int.from_bytes(start[4:8], "little"), chunk_spec)
        return await super()._decode_single(chunk_bytes, chunk_spec)


class _Text(VLenUTF8Codec):
    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        count, room = int.from_bytes(_start(chunk_bytes, 4), "little"), math.prod(chunk_spec.shape)
        if count != room:
            raise ValueError(f"a chunk has {count} entries and not {room}")
        return await super()._decode_single(chunk_bytes, chunk_spec)


def zstd_size(start: bytes) -> int:
    """Return how many bytes a frame of Zstandard says that it holds; a `ValueError` if it is none, or does not say.

    Parameters
    ----------
    start : bytes
        The first 18 bytes of the frame; RFC 8878, 3.1.1.1.
    """
    if start[:4] != b"\x28\xb5\x2f\xfd" or len(start) < 6:
        raise ValueError("a chunk is no frame of Zstandard")
    descriptor = start[4]
    single, kind = descriptor >> 5 & 1, descriptor >> 6
    at = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
    width = (single, 2, 4, 8)[kind]
    if not width or len(start) < at + width:
        raise ValueError("a chunk does not say how large it is")
    return int.from_bytes(start[at : at + width], "little") + 256 * (kind == 1)


def _bounded(codec: Any) -> Any:
    """Return a codec that looks at the size first; those that cannot enlarge anything stay."""
    if isinstance(codec, ShardingCodec):
        return replace(codec, codecs=tuple(map(_bounded, codec.codecs)), index_codecs=tuple(map(_bounded, codec.index_codecs)))
    for plain, careful in ((ZstdCodec, _Zstd), (BloscCodec, _Blosc), (VLenUTF8Codec, _Text)):
        if type(codec) is plain:
            made = object.__new__(careful)
            made.__dict__.update(vars(codec))
            return made
    return codec


def _start(chunk: Buffer, length: int) -> bytes:
    return chunk[:length].to_bytes()


def _require_size(size: int, spec: ArraySpec) -> None:
    """Refuse a chunk that says it is larger than an array's chunk is."""
    count, kind = math.prod(spec.shape), spec.dtype.to_native_dtype()
    most = count * (kind.itemsize if kind.kind in "biuf" else TEXT)
    if size > most:
        raise ValueError(f"a chunk says that it holds {size} bytes, and its array has room for {most}")
