"""A chunk decodes to what its array has room for, and to nothing larger."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import google_crc32c
import numcodecs
import numpy as np
import pytest
import zarr
from numcodecs.vlen import VLenUTF8
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

from tedm.chunks.decoding import bounded, zstd_size

BOMB = bytes(200_000_000)


def array_in(folder: Path, codec: object, *, dtype: object = "int32", shards: tuple[int, ...] | None = None) -> zarr.Array:
    return zarr.create_array(
        folder, shape=(8,), chunks=(4,), shards=shards, dtype=dtype, compressors=[codec, Crc32cCodec()], zarr_format=3
    )


def put(path: Path, content: bytes) -> None:
    """Write a chunk with its checksum."""
    path.write_bytes(content + int(google_crc32c.value(content)).to_bytes(4, "little"))


@pytest.mark.parametrize(
    "codec", [ZstdCodec(level=3), BloscCodec(typesize=4, cname="lz4", shuffle="shuffle")], ids=["zstd", "blosc"]
)
@pytest.mark.parametrize("shards", [None, (8,)], ids=["plain", "in a shard"])
def test_what_was_written_is_read(tmp_path, codec, shards):
    array = bounded(array_in(tmp_path, codec, shards=shards))
    array[:] = np.arange(8)
    assert np.array_equal(bounded(zarr.open_array(tmp_path))[:], np.arange(8))


def test_text_is_read_and_the_metadata_are_those_of_zarr(tmp_path):
    before = (array_in(tmp_path, ZstdCodec(level=3), dtype=str), (tmp_path / "zarr.json").read_text())[1]
    array = bounded(zarr.open_array(tmp_path))
    array[:] = np.array(["a", "ü", "", "x" * 3000, *"efgh"])
    array.resize((9,))
    assert (tmp_path / "zarr.json").read_text() == before.replace("8\n  ]", "9\n  ]", 1)
    assert list(bounded(zarr.open_array(tmp_path))[:5]) == ["a", "ü", "", "x" * 3000, "e"]


@pytest.mark.parametrize(
    ("codec", "packed"),
    [
        (ZstdCodec(level=3), numcodecs.Zstd(level=3).encode(BOMB)),
        (BloscCodec(typesize=4, cname="lz4"), numcodecs.Blosc(cname="zstd").encode(BOMB)),
    ],
    ids=["zstd", "blosc"],
)
def test_a_chunk_that_says_it_is_large_is_not_decoded(tmp_path, codec, packed):
    array = array_in(tmp_path, codec)
    (tmp_path / "c").mkdir()
    put(tmp_path / "c" / "0", packed)
    assert len(packed) < 1_000_000
    tracemalloc.start()
    with pytest.raises(ValueError, match="a chunk says that it holds 200000000 bytes, and its array has room for 16"):
        bounded(array)[:4]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_text_that_says_it_has_billions_of_entries_is_not_decoded(tmp_path):
    array = array_in(tmp_path, ZstdCodec(level=3), dtype=str)
    (tmp_path / "c").mkdir()
    text = VLenUTF8().encode(np.array(list("abcd"), dtype=object))
    put(tmp_path / "c" / "0", numcodecs.Zstd().encode((2**32 - 1).to_bytes(4, "little") + bytes(text)[4:]))
    with pytest.raises(ValueError, match="a chunk has 4294967295 entries and not 4"):
        bounded(array)[:4]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65791, 65792, 70_000, 1_000_000])
def test_a_frame_says_how_much_it_holds(size):
    assert zstd_size(bytes(numcodecs.Zstd(level=1).encode(bytes(size)))[:18]) == size


@pytest.mark.parametrize(
    "start", [b"", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18" + bytes(9), b"\x28\xb5\x2f\xfd\x00" + bytes(9)]
)
def test_what_does_not_say_how_much_it_holds_is_refused(start):
    with pytest.raises(ValueError, match=r"no frame of Zstandard|does not say how large"):
        zstd_size(start)
