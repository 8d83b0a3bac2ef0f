"""Rows come in the documented order, whatever they are read from."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import torch

from tedm.errors import TedmError
from tedm.heads.data.rows import block_bytes, dask_rows, dense_rows, empty_by_place, gather_rows, row_labels, single_rows
from tedm.store import OnLevels, Registration

LAYOUTS = ["share", "concatenate"]


@pytest.mark.parametrize("rows", LAYOUTS)
@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_rows_and_features_have_the_documented_order(make_store, by_hand, rows, upsampling):
    store = make_store(upsampling=upsampling, draws=2)
    for name in ("one", "three"):
        block = store.block(name)
        np.testing.assert_allclose(dense_rows(block, rows), by_hand(block, rows), rtol=0, atol=1e-5)


@pytest.mark.parametrize("rows", LAYOUTS)
def test_labels_follow_the_rows(make_store, rows):
    store = make_store(draws=2)
    mask = store.mask("two")
    labels = row_labels(mask, 3, 2, rows)
    assert len(labels) == len(dense_rows(store.block("two"), rows))
    for copy in labels.reshape(-1, *mask.shape):
        assert np.array_equal(copy, mask)


@pytest.mark.parametrize("rows", LAYOUTS)
@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_dask_equals_numpy(make_store, rows, layout):
    store = make_store(layout=layout, draws=2, dtype="float16")
    names, timesteps = ["three", "one"], (400, 1)
    x, y = dask_rows(store, names, rows=rows, timesteps=timesteps)
    blocks = [store.block(name, timesteps) for name in names]
    per_image = 2 * 64 * (2 if rows == "share" else 1)
    assert x.chunks == ((per_image, per_image), (5 if rows == "share" else 10,))
    assert y.chunks == ((per_image, per_image),)
    assert x.dtype == np.float16
    assert np.array_equal(x.compute(), np.concatenate([dense_rows(block, rows) for block in blocks]))
    assert np.array_equal(y.compute(), np.concatenate([row_labels(store.mask(name), 2, 2, rows) for name in names]))
    assert da.mean(x[y == 1], axis=0).compute().shape == (x.shape[1],)


def test_dask_rows_see_masks_that_were_replaced(make_store):
    store = make_store(own=True)
    _, before = dask_rows(store, ["one"])
    store.relabel([Registration("one", "", "", "", (10, 12), 1 - np.eye(8, dtype=np.uint8))], (0, 255))
    _, after = dask_rows(store, ["one"])
    assert before.name != after.name
    assert np.array_equal(after.compute()[:64].reshape(8, 8), 1 - np.eye(8))


@pytest.mark.parametrize("rows", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_native_and_upsampled_stores_give_the_same_rows_in_bits(make_store, rows, dtype):
    native, upsampled = make_store(dtype=dtype), make_store(dtype=dtype, layout="upsampled")
    for name in native.labels.names:
        assert dense_rows(native.block(name), rows).tobytes() == dense_rows(upsampled.block(name), rows).tobytes()


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("layout", ["native", "upsampled"])
@pytest.mark.parametrize(("level", "columns"), [("level0", slice(0, 3)), ("level1", slice(3, 5))])
def test_features_on_a_level_have_the_columns_of_that_level(make_store, layout, upsampling, level, columns):
    store = make_store(layout=layout, upsampling=upsampling, draws=2)
    some = OnLevels(store, [level])
    (block,), (of_all,) = some.blocks(["two"], [400, 1]), store.blocks(["two"], [400, 1])
    expected = dense_rows(of_all, "share")[:, columns]
    np.testing.assert_array_equal(dense_rows(block, "share"), expected)
    assert some.settings.channels == expected.shape[1]
    np.testing.assert_array_equal(some.mask("two"), store.mask("two"))


def test_features_on_levels_keep_the_networks_order(make_store):
    store = make_store()
    (block,) = OnLevels(store, ["level1", "level0"]).blocks(["one"])
    np.testing.assert_array_equal(dense_rows(block, "share"), dense_rows(store.block("one"), "share"))


def test_reading_a_level_of_an_upsampled_store_takes_the_bytes_of_all(make_store):
    store = make_store(layout="upsampled")
    assert block_bytes(OnLevels(store, ["level0"]), 1)[1] == block_bytes(store, 1)[1]


def test_a_level_that_is_not_there_is_named(make_store):
    with pytest.raises(TedmError, match="there is no level level7; the features have level0, level1"):
        OnLevels(make_store(), ["level7"])


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("rows", LAYOUTS)
@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_gathered_rows_are_the_dense_rows_of_these_pixels(make_store, rows, upsampling, layout):
    store = make_store(upsampling=upsampling, layout=layout, draws=2)
    blocks = list(store.blocks(["one", "two", "three"]))
    cells = [torch.from_numpy(np.stack(level)) for level in zip(*(block.cells for block in blocks), strict=True)]
    image, y, x = torch.tensor([[2, 0, 1, 2, 0, 0], [0, 7, 3, 5, 0, 7], [1, 0, 6, 7, 0, 7]])
    ours = gather_rows(cells, (image, y, x), 8, upsampling, rows).numpy()
    lead = (3, 2) if rows == "share" else (2,)
    whole = np.stack([dense_rows(block, rows).reshape(*lead, 8, 8, -1) for block in blocks])
    expected = np.concatenate(
        [whole[i][..., j, k, :].reshape(-1, whole.shape[-1]) for i, j, k in zip(image, y, x, strict=True)]
    )
    if upsampling == "nearest":
        assert ours.tobytes() == expected.tobytes()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("rows", LAYOUTS)
def test_single_rows_are_the_dense_row_of_each_pixel(make_store, rows, upsampling):
    block = make_store(upsampling=upsampling, draws=2).block("two")
    pixels, repeats = (
        np.array([5, 63, 0, 5, 17]),
        np.array([1, 0, 1, 0, 1]) if rows == "concatenate" else np.array([5, 0, 3, 2, 1]),
    )
    whole = dense_rows(block, rows).reshape(-1, 64, single_rows(block, pixels, repeats, rows).shape[1])
    np.testing.assert_allclose(single_rows(block, pixels, repeats, rows), whole[repeats, pixels], rtol=0, atol=1e-5)


def test_rows_of_what_is_not_there_are_refused_at_once(make_store):
    store = make_store()
    for names, timesteps, said in (
        (["one"], [7, 50], "there is no timestep 7; the features have 1, 50, 400"),
        (["one"], [], "no timestep is asked for"),
        (["nobody"], None, "nobody"),
        ([], None, "no image is named"),
    ):
        with pytest.raises(TedmError, match=said):
            dask_rows(store, names, timesteps=timesteps)


@pytest.mark.parametrize("rows", LAYOUTS)
@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_cells_that_lie_by_place_give_the_same_rows_in_bits(make_store, rows, upsampling, dtype):
    store = make_store(upsampling=upsampling, draws=2, dtype=dtype)
    blocks = [store.block(name) for name in ("one", "three")]
    plain = [torch.stack([torch.tensor(level) for level in levels]) for levels in zip(*(b.cells for b in blocks), strict=True)]
    by_place = [empty_by_place(2, level[0], "cpu").copy_(level) for level in plain]
    where = (torch.tensor([1, 0, 1]), torch.tensor([0, 7, 3]), torch.tensor([5, 2, 3]))
    ours, theirs = (gather_rows(cells, where, 8, upsampling, rows) for cells in (by_place, plain))
    assert by_place[0].shape == plain[0].shape
    assert torch.equal(ours, theirs)
    dense = [dense_rows(block, rows).reshape(-1, 2, 8, 8, ours.shape[1]) for block in blocks]
    expected = np.concatenate([dense[i][:, :, y, x].reshape(-1, ours.shape[1]) for i, y, x in zip(*where, strict=True)])
    np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-3)
