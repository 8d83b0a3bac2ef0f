"""A shard that is packed here is the file that Zarr writes, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, ShardingCodec, ZstdCodec

from tedm.chunks.encoding import Shard

SHAPE, CHUNK = (3, 2, 8, 4, 5), (1, 1, 2, 4, 5)


def array_in(folder: Path, packing: list[Any], dtype: str = "float16", **more: Any) -> zarr.Array:
    """An array for two images, with a shard for each; a chunk of nothing but zeros is there."""
    config = {"write_empty_chunks": True}
    if "serializer" not in more:
        more = {"chunks": (1, *CHUNK), "shards": (1, *SHAPE), "compressors": [*packing, Crc32cCodec()]}
    return zarr.create_array(folder, shape=(2, *SHAPE), dtype=dtype, fill_value=0, zarr_format=3, config=config, **more)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize(
    "packing", [[], [ZstdCodec(level=1)], [ZstdCodec(level=3, checksum=True)]], ids=["none", "zstd", "checked"]
)
def test_a_packed_shard_is_the_file_that_zarr_writes(tmp_path, rng, packing, dtype):
    array = array_in(tmp_path, packing, dtype)
    values = rng.normal(size=SHAPE).round(1).astype(dtype)
    values[1, 0, 2:4] = 0
    array[1] = values
    shard = Shard.of(array)
    assert shard is not None
    assert b"".join(shard.packed(values)) == (tmp_path / "c/1/0/0/0/0/0").read_bytes()


@pytest.mark.parametrize("packing", [[], [ZstdCodec(level=3)]], ids=["none", "zstd"])
def test_a_packed_picture_is_the_file_that_zarr_writes(tmp_path, rng, packing):
    """A file that is one chunk and no shard, also of nothing but zeros."""
    array = array_in(
        tmp_path,
        packing,
        "float32",
        serializer=BytesCodec(endian="little"),
        chunks=(1, *SHAPE),
        compressors=[*packing, Crc32cCodec()],
    )
    picture = Shard.of(array)
    assert picture is not None
    for index, values in enumerate((rng.random(SHAPE, np.float32), np.zeros(SHAPE, np.float32))):
        array[index] = values
        assert b"".join(picture.packed(values)) == (tmp_path / f"c/{index}/0/0/0/0/0").read_bytes()


def test_what_makes_its_chunks_is_asked_for_each_of_them_once(tmp_path, rng):
    values, asked = rng.normal(size=SHAPE).astype(np.float16), []

    class Made:
        shape = SHAPE

        def __getitem__(self, at: tuple[slice, ...]) -> np.ndarray:
            asked.append(at)
            return values[at].copy()

    shard = Shard.of(array_in(tmp_path, [ZstdCodec(level=1)]))
    assert shard is not None
    assert list(map(bytes, shard.packed(Made()))) == list(map(bytes, shard.packed(values)))
    assert len(asked) == len({str(at) for at in asked}) == 3 * 2 * 4


def test_values_of_another_shape_are_refused(tmp_path):
    shard = Shard.of(array_in(tmp_path, []))
    assert shard is not None
    with pytest.raises(ValueError, match=r"an image has values of shape \(3, 2, 8, 4, 5\), not \(2, 2, 8, 4, 5\)"):
        shard.packed(np.zeros((2, *SHAPE[1:]), np.float16))


def test_other_ways_of_packing_are_left_to_zarr(tmp_path):
    inner = [BytesCodec(endian="little"), Crc32cCodec()]
    sharded = {"chunks": (1, *SHAPE), "compressors": None}
    at_start = ShardingCodec(chunk_shape=(1, *CHUNK), codecs=inner, index_location="start")
    big = ShardingCodec(chunk_shape=(1, *CHUNK), codecs=[BytesCodec(endian="big"), Crc32cCodec()])
    bare = ShardingCodec(chunk_shape=(1, *CHUNK), codecs=[BytesCodec(endian="little")])
    arrays = [
        array_in(tmp_path / "blosc", [BloscCodec(typesize=2, cname="lz4")]),
        array_in(tmp_path / "twice", [ZstdCodec(level=1), ZstdCodec(level=1)]),
        *(
            array_in(tmp_path / name, [], serializer=codec, **sharded)
            for name, codec in (("s", at_start), ("b", big), ("c", bare))
        ),
        array_in(
            tmp_path / "several",
            [],
            serializer=ShardingCodec(chunk_shape=(1, *CHUNK), codecs=inner),
            **sharded | {"chunks": (2, *SHAPE)},
        ),
        zarr.create_array(tmp_path / "plain", shape=(2, *SHAPE), chunks=(1, *SHAPE), dtype="float16", zarr_format=3),
    ]
    assert [Shard.of(array) for array in arrays] == [None] * 7
