"""Extraction: images once, whatever interrupts it, the same bytes."""

from __future__ import annotations

import csv
import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.extract.arithmetic import available_cores, choose_arithmetic
from tedm.extract.backbones import load_backbone
from tedm.extract.images import read_manifest
from tedm.extract.live import LiveFeatures
from tedm.extract.run import extract
from tedm.store import FeatureStore
from tedm.store.place import Folder

SETTINGS = {"timesteps": (1, 50, 800), "device": "cpu", "precision": "float32", "threads": 1, "batch_size": 4}


def tree(path: Path) -> dict[str, bytes]:
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()}


@pytest.fixture
def run(dataset, checkpoint, tmp_path):
    """Extract into tmp_path / name with some settings changed."""

    def run(name="store", manifest=dataset, **changes):
        return extract(read_manifest(manifest), tmp_path / name, load_backbone(checkpoint), **{**SETTINGS, **changes})

    return run


def interrupt_after(images):
    def progress(done, *_):
        if done == images:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_a_resumed_store_equals_an_uninterrupted_one_in_bytes(run, tmp_path, layout):
    whole = run("whole", layout=layout)
    assert (whole.computed, whole.reused) == (7, 0)
    for stop in (1, 2, 6):
        with pytest.raises(KeyboardInterrupt):
            run("resumed", layout=layout, progress=interrupt_after(stop))
        assert len(FeatureStore.open(tmp_path / "resumed").missing()) == 7 - stop
    done = run("resumed", layout=layout)
    assert (done.computed, done.reused) == (1, 6)
    assert tree(tmp_path / "resumed") == tree(tmp_path / "whole")
    assert run("resumed", layout=layout).computed == 0


def test_a_store_that_died_before_its_first_image_is_made_anew(run, tmp_path, monkeypatch):
    run("whole", layout="native")

    put_new = Folder.put_new

    def killed(self, key, content):
        if key == "zarr.json":
            raise KeyboardInterrupt
        put_new(self, key, content)

    monkeypatch.setattr(Folder, "put_new", killed)
    with pytest.raises(KeyboardInterrupt):
        run("store", layout="native")
    monkeypatch.undo()
    with pytest.raises(TedmError, match="left before its first image"):
        FeatureStore.open(tmp_path / "store")
    run("store", layout="native")
    assert tree(tmp_path / "store") == tree(tmp_path / "whole")


def test_images_added_later_are_all_that_is_computed(run, dataset, tmp_path):
    rows = list(csv.reader(dataset.read_text().splitlines()))
    some = dataset.parent / "some.csv"
    with some.open("w", newline="") as file:
        csv.writer(file).writerows(rows[:4])
    run("whole", layout="native")
    assert run("grown", manifest=some, layout="native").computed == 3
    done = run("grown", layout="native")
    assert (done.computed, done.reused) == (4, 3)
    assert tree(tmp_path / "grown") == tree(tmp_path / "whole")


def test_an_entry_does_not_depend_on_its_neighbours_or_its_slot(run, dataset):
    rows = list(csv.reader(dataset.read_text().splitlines()))
    others = dataset.parent / "others.csv"
    with others.open("w", newline="") as file:
        csv.writer(file).writerows([rows[0], rows[6], rows[3], rows[2]])
    whole, part = run("whole").store, run("part", manifest=others).store
    for name in part.labels.names:
        for ours, theirs in zip(part.block(name).cells, whole.block(name).cells, strict=True):
            assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 5e-2)])
def test_batch_sizes_agree_within_rounding(run, precision, tolerance):
    four = run("four", dtype="float32", precision=precision).store
    five = run("five", dtype="float32", precision=precision, batch_size=5).store
    for name in four.labels.names:
        for ours, theirs in zip(four.block(name).cells, five.block(name).cells, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


@pytest.mark.parametrize(("upsampling", "tolerance"), [("nearest", 0), ("bilinear", 1e-3)])
def test_native_equals_upsampled(run, upsampling, tolerance):
    native = run("native", layout="native", upsampling=upsampling).store
    upsampled = run("upsampled", layout="upsampled", upsampling=upsampling).store
    for name in native.labels.names:
        ours, theirs = (store.block(name).at_image_resolution() for store in (native, upsampled))
        if not tolerance:
            assert ours.tobytes() == theirs.tobytes()
        np.testing.assert_allclose(ours.astype(float), theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


@pytest.mark.parametrize("layout", ["native", "upsampled"])
@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("timesteps", [None, (50,)])
def test_live_features_equal_the_stores_in_bits(run, dataset, checkpoint, layout, upsampling, timesteps):
    store = run(layout=layout, upsampling=upsampling, draws=2).store
    manifest = read_manifest(dataset)
    live = LiveFeatures(manifest, load_backbone(checkpoint), store.settings, store.arithmetic, store.storage)
    names = store.labels.names[::-1]
    for name, block in zip(names, live.blocks(names, timesteps), strict=True):
        assert block.name == name
        for ours, theirs in zip(block.cells, store.block(name, timesteps).cells, strict=True):
            assert ours.tobytes() == theirs.tobytes()
        assert np.array_equal(live.mask(name), store.mask(name))
        assert np.array_equal(live.image(name), store.image(name))
    level = [store.settings.levels[-1].name]
    for ours, theirs in zip(live.blocks(names[:1], timesteps, level), store.blocks(names[:1], timesteps, level), strict=True):
        assert [cells.tobytes() for cells in ours.cells] == [cells.tobytes() for cells in theirs.cells]
        assert ours.channels == store.settings.levels[-1].channels
    assert live.labels.names == store.labels.names
    assert live.labels.classes == store.labels.classes


def test_draws_and_seeds_and_noise_modes_differ(run):
    first = run("first", draws=2).store.block("scan 0").cells[0]
    assert not np.array_equal(first[:, 0], first[:, 1])
    assert np.array_equal(first[:, :1], run("one").store.block("scan 0").cells[0])
    assert not np.array_equal(first[:, :1], run("seed", noise_seed=1).store.block("scan 0").cells[0])
    assert not np.array_equal(first[:, :1], run("none", noise="none").store.block("scan 0").cells[0])
    assert not np.array_equal(first[:, :1], run("shared", noise="shared").store.block("scan 0").cells[0])


def test_the_last_level_needed_ends_the_pass(dataset, checkpoint, tmp_path):
    backbone = load_backbone(checkpoint)
    whole = extract(read_manifest(dataset), tmp_path / "whole", backbone, **SETTINGS, layout="native").store
    coarse = extract(
        read_manifest(dataset), tmp_path / "coarse", backbone.with_levels(["level0"]), **SETTINGS, layout="native"
    ).store
    assert [level.name for level in coarse.settings.levels] == ["level0"]
    for name in whole.labels.names:
        assert coarse.block(name).cells[0].tobytes() == whole.block(name).cells[0].tobytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise_seed": 7}, "noise seed: the store has 0, this run has 7"),
        ({"timesteps": (1, 50)}, "timesteps: the store has 1, 50, 800, this run has 1, 50"),
        ({"layout": "native"}, "layout: the store has upsampled, this run has native"),
        ({"geometry": "stretch"}, "geometry: the store has pad, this run has stretch"),
        ({"input_range": (0.0, 1.0)}, r"input range: the store has -1\.0, 1\.0, this run has 0\.0, 1\.0"),
        ({"batch_size": 5}, "batch size: the store has 4, this run has 5"),
        ({"precision": "bfloat16"}, "precision: the store has float32, this run has bfloat16"),
    ],
)
def test_a_store_of_other_settings_is_refused_and_stays_whole(run, tmp_path, changes, message):
    run("store")
    before = tree(tmp_path / "store")
    with pytest.raises(TedmError, match=message):
        run("store", **changes)
    assert tree(tmp_path / "store") == before


def test_another_machine_may_continue_only_when_told_to(run, tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        run("store", progress=interrupt_after(2))
    monkeypatch.setattr("tedm.extract.arithmetic._processor", lambda _: "another processor")
    with pytest.raises(TedmError, match="(?s)other bits.*processor.*--allow-other-arithmetic"):
        run("store")
    assert run("store", allow_other_arithmetic=True).computed == 5


def test_what_was_left_open_follows_the_store(run, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run("store", progress=interrupt_after(2))
    done = run("store", batch_size=None, precision="auto", device="auto", threads=None)
    assert done.computed == 5
    assert done.store.arithmetic.batch_size == 4


def test_an_image_that_cannot_be_decoded_is_named_and_the_others_are_finished(dataset, checkpoint, tmp_path):
    copy = tmp_path / "data"
    shutil.copytree(dataset.parent, copy)
    manifest = read_manifest(copy / "manifest.csv")
    broken = copy / "images" / "scan 2.png"
    content = bytearray(broken.read_bytes())
    content[len(content) // 2] ^= 255  # the headers and the end stay right
    broken.write_bytes(content)
    with pytest.raises(TedmError, match=r"(?s)1 of 7 images could not be read; all others are in .*scan 2\.png"):
        extract(manifest, tmp_path / "store", load_backbone(checkpoint), **SETTINGS)
    assert FeatureStore.open(tmp_path / "store").missing() == ["scan 2"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"timesteps": (1, 1000)}, "1000"),
        ({"timesteps": ()}, "no timestep"),
        ({"draws": 0}, "--draws is 0"),
        ({"batch_size": 0}, "--batch-size is 0"),
    ],
)
def test_impossible_settings_are_refused_before_anything_is_written(run, tmp_path, changes, message):
    with pytest.raises(TedmError, match=message):
        run("store", **changes)
    assert not (tmp_path / "store").exists()


def test_no_such_device_is_said(run):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(TedmError, match="no CUDA device here"):
        run(device="cuda")


def test_auto_follows_the_device_and_is_recorded(run):
    store = run("auto", precision="auto", batch_size=None, threads=None).store
    assert store.arithmetic == choose_arithmetic(device="cpu")
    assert store.arithmetic.channels_last  # float32 or bfloat16: on a CPU always
    threads = available_cores()
    assert dataclasses.asdict(store.arithmetic)["batch_size"] == -(-8 // threads) * threads


def test_grey_images_of_16_bits_keep_their_range(run, tmp_path, checkpoint):
    folder = tmp_path / "deep"
    folder.mkdir()
    values = (np.arange(400).reshape(20, 20) * 10).astype(np.uint16)
    Image.fromarray(values).save(folder / "scan.png")
    store = extract(
        read_manifest(folder), tmp_path / "store", load_backbone(checkpoint), **SETTINGS, intensity_range=(0, 4000)
    ).store
    assert store.image("scan").max() > 0.9
    assert store.settings.intensity_range == (0, 4000)


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu(run):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    cpu, cuda = run("cpu", dtype="float32").store, run("cuda", dtype="float32", device="cuda").store
    for name in cpu.labels.names:
        for ours, theirs in zip(cuda.block(name).cells, cpu.block(name).cells, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())
