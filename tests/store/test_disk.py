"""The store on disk: what comes back is what went in, and what is not there is refused."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.codecs import ZstdCodec

from tedm.errors import TedmError
from tedm.store import IGNORE, Arithmetic, FeatureSettings, FeatureStore, Level, Registration, Storage, verify

SIZE = 8
LEVELS = (Level("level0", 3, 4), Level("level1", 2, 1))
SETTINGS = FeatureSettings(
    checkpoint_sha256="ab" * 32,
    levels=LEVELS,
    image_size=SIZE,
    image_channels=1,
    geometry="pad",
    input_range=(-1.0, 1.0),
    intensity_range=None,
    upsampling="nearest",
    noise="per-image",
    noise_seed=0,
    timesteps=(1, 50),
    draws=1,
)
ARITHMETIC = Arithmetic("cpu", "float32", False, 4, 1, "2.13.0", "a processor")
NAMES = ["one", "zwei ü", "three"]


def settings(**changes):
    return FeatureSettings.from_json({**SETTINGS.to_json(), **changes})


def registrations(names=NAMES, **changes):
    of = {"split": "train", "group": "", "domain": "here", "original_size": (10, 12)}
    out = []
    for number, name in enumerate(names):
        mask = np.random.default_rng(number).integers(0, 2, (SIZE, SIZE)).astype(np.uint8)
        mask[0, : number + 1] = IGNORE
        out.append(Registration(**{"name": name, **of, "group": f"g{number}", "mask": mask, **changes}))
    return out


def cells_of(name, scale=1.0):
    rng = np.random.default_rng(len(name))
    return [
        (scale * rng.normal(size=(2, 1, SIZE // level.stride, SIZE // level.stride, level.channels))).astype(np.float32)
        for level in LEVELS
    ]


def image_of(name):
    return np.random.default_rng(len(name)).random((SIZE, SIZE, 1), dtype=np.float32)


def filled(path, layout="native", upsampling="nearest", dtype="float16", names=NAMES):
    store = FeatureStore.create(path, settings(upsampling=upsampling), ARITHMETIC, Storage(layout, dtype), {"tedm": "0"})
    store.register(registrations(names), (0, 255))
    for name in names:
        store.write(name, image_of(name), cells_of(name))
    return store


def tree(path: Path) -> dict[str, str]:
    return {str(f.relative_to(path)): hashlib.sha256(f.read_bytes()).hexdigest() for f in path.rglob("*") if f.is_file()}


def test_what_went_in_comes_back(tmp_path):
    filled(tmp_path / "s")
    store = FeatureStore.open(tmp_path / "s")
    assert store.labels.names == tuple(NAMES)
    assert store.labels.splits == ("train",) * 3
    assert store.labels.groups == ("g0", "g1", "g2")
    assert store.labels.classes == (0, 255)
    assert store.labels.labelled == (63, 62, 61)
    assert store.labels.original_sizes == ((10, 12),) * 3
    assert store.settings == SETTINGS
    assert store.arithmetic == ARITHMETIC
    for name, registration in zip(NAMES, registrations(), strict=True):
        assert np.array_equal(store.mask(name), registration.mask)
        assert np.array_equal(store.image(name), image_of(name))
        for ours, theirs in zip(store.block(name).cells, cells_of(name), strict=True):
            assert np.array_equal(ours, theirs.astype(np.float16))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_native_equals_upsampled_in_bits_for_nearest(tmp_path, dtype):
    native, upsampled = filled(tmp_path / "n", dtype=dtype), filled(tmp_path / "u", "upsampled", dtype=dtype)
    for name in NAMES:
        for ours, theirs in zip(native.block(name).cells, upsampled.block(name).cells, strict=True):
            assert ours.tobytes() == theirs.tobytes()
        pixels = native.block(name).at_image_resolution()
        assert pixels.tobytes() == upsampled.block(name).at_image_resolution().tobytes()
        assert pixels.shape == (2, 1, SIZE, SIZE, 5)


def test_native_equals_upsampled_within_rounding_for_bilinear(tmp_path):
    native, upsampled = filled(tmp_path / "n", upsampling="bilinear"), filled(tmp_path / "u", "upsampled", "bilinear")
    for name in NAMES:
        ours, theirs = native.block(name).at_image_resolution(), upsampled.block(name).at_image_resolution()
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-3 * np.abs(theirs).max())


@pytest.mark.parametrize("layout", ["native", "upsampled"])
@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_a_block_without_the_disk_is_the_block_on_disk_in_bits(tmp_path, layout, upsampling):
    store = filled(tmp_path / "s", layout, upsampling)
    for name in NAMES:
        live = store.storage.block(name, store.settings.timesteps, cells_of(name), store.settings)
        for ours, theirs in zip(live.cells, store.block(name).cells, strict=True):
            assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_one_timestep_is_a_part_of_the_block(tmp_path, layout):
    store = filled(tmp_path / "s", layout)
    for ours, theirs in zip(store.block("one", [50]).cells, store.block("one").at([50]).cells, strict=True):
        assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_two_appends_equal_one_in_bytes(tmp_path, layout):
    filled(tmp_path / "once", layout)
    FeatureStore.create(tmp_path / "twice", SETTINGS, ARITHMETIC, Storage(layout, "float16"), {"tedm": "0"})
    for upto in (1, 3):
        store = FeatureStore.open(tmp_path / "twice")
        store.register(registrations()[:upto], (0, 255))
        for name in store.missing():
            store.write(name, image_of(name), cells_of(name))
    assert tree(tmp_path / "once") == tree(tmp_path / "twice")


@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_an_interrupted_write_stays_missing(tmp_path, layout, monkeypatch):
    store = FeatureStore.create(tmp_path / "s", SETTINGS, ARITHMETIC, Storage(layout, "float16"), {})
    store.register(registrations(), (0, 255))
    store.write("one", image_of("one"), cells_of("one"))
    last = "level1" if layout == "native" else "features"
    (tmp_path / "s" / last / "c.1.deadbeef.partial").write_bytes(b"half a shard")
    store = FeatureStore.open(tmp_path / "s")
    assert store.missing() == NAMES[1:]
    store.remove_partial_files()
    assert not list((tmp_path / "s").glob("**/*.partial"))
    with pytest.raises(TedmError, match=r"image three is not in the store .* yet \(2 of 3 still missing\)"):
        store.block("three")


def test_a_lost_file_or_a_flipped_bit_is_named(tmp_path):
    store = filled(tmp_path / "s")
    shard = next((tmp_path / "s" / "level0").glob("c.1.*"))
    content = bytearray(shard.read_bytes())
    content[5] ^= 1
    shard.write_bytes(content)
    with pytest.raises(TedmError, match="image zwei ü: array level0 of the store .* is damaged"):
        store.block("zwei ü")
    shard.unlink()
    with pytest.raises(TedmError, match="image zwei ü: array level0 .*its file is gone"):
        store.block("zwei ü")


def test_zeros_are_not_missing(tmp_path):
    store = FeatureStore.create(tmp_path / "s", SETTINGS, ARITHMETIC, Storage("native", "float16"), {})
    store.register(registrations(["dark"], mask=np.zeros((SIZE, SIZE), np.uint8)), (0, 255))
    store.write("dark", np.zeros((SIZE, SIZE, 1), np.float32), [0 * cells for cells in cells_of("dark")])
    store = FeatureStore.open(tmp_path / "s")
    assert store.missing() == []
    assert not store.block("dark").cells[0].any()
    assert not store.mask("dark").any()
    assert not store.image("dark").any()


def test_an_image_without_a_mask_is_all_ignored(tmp_path):
    store = FeatureStore.create(tmp_path / "s", SETTINGS, ARITHMETIC, Storage("upsampled", "float16"), {})
    store.register(registrations(["unlabelled"], mask=None), ())
    store = FeatureStore.open(tmp_path / "s")
    assert (store.mask("unlabelled") == IGNORE).all()
    assert store.labels.labelled == (0,)
    store.relabel(registrations(["unlabelled"], mask=np.eye(SIZE, dtype=np.uint8)), (0, 9))
    assert FeatureStore.open(tmp_path / "s").labels.classes == (0, 9)


def test_an_overflow_names_image_and_level(tmp_path):
    store = filled(tmp_path / "s", names=NAMES[:1])
    store.register(registrations(["large"]), (0, 255))
    cells = cells_of("large")
    cells[1][1, 0, 0, 0, 0] = 70000
    with pytest.raises(TedmError, match=r"(?s)image large, level level1, timestep 50.*7e\+04 does not fit float16.*float32"):
        store.write("large", image_of("large"), cells)
    assert FeatureStore.open(tmp_path / "s").missing() == ["large"]
    cells[1][1, 0, 0, 0, 0] = np.nan
    with pytest.raises(TedmError, match="not finite"):
        store.write("large", image_of("large"), cells)


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path, monkeypatch):
    store = filled(tmp_path / "s", names=NAMES[:1])
    store.register(registrations(NAMES), (0, 255))

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tedm.store.place.Folder.put", full)
    with pytest.raises(TedmError, match="no space left on the device"):
        store.write("three", image_of("three"), cells_of("three"))
    monkeypatch.undo()
    store = FeatureStore.open(tmp_path / "s")
    assert store.missing() == NAMES[1:]
    store.block("one")


@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_a_store_of_other_codecs_is_continued_with_its_own(tmp_path, monkeypatch, layout):
    """As one that an earlier version made: codecs are a matter of the store, not of the program."""
    monkeypatch.setattr("tedm.store.skeleton.compressors", lambda *_: [ZstdCodec(level=3)])
    filled(tmp_path / "whole", layout)
    old = FeatureStore.create(tmp_path / "s", SETTINGS, ARITHMETIC, Storage(layout, "float16"), {"tedm": "0"})
    old.register(registrations(), (0, 255))
    old.write("one", image_of("one"), cells_of("one"))
    monkeypatch.undo()
    filled(tmp_path / "new", layout)
    store = FeatureStore.open(tmp_path / "s")
    for name in store.missing():
        store.write(name, image_of(name), cells_of(name))
    assert tree(tmp_path / "s") == tree(tmp_path / "whole") != tree(tmp_path / "new")
    assert verify(store) == []


@pytest.mark.parametrize(("layout", "dtype"), [("native", "float16"), ("native", "float32"), ("upsampled", "float16")])
def test_large_chunks_are_packed_into_the_same_bytes_every_time(tmp_path, rng, layout, dtype):
    """Whatever threads a codec would like to use."""
    large = settings(image_size=128, levels=[{"name": "level0", "channels": 96, "stride": 2}])
    cells = [rng.normal(size=(2, 1, 64, 64, 96)).round(1).astype(np.float32)]
    for path in ("a", "b", "c"):
        store = FeatureStore.create(tmp_path / path, large, ARITHMETIC, Storage(layout, dtype), {})
        store.register(registrations(["large"], mask=None), ())
        store.write("large", rng.random((128, 128, 1), dtype=np.float32), cells)
    array = store.feature_arrays()[0]
    assert tree(tmp_path / "a" / array) == tree(tmp_path / "b" / array) == tree(tmp_path / "c" / array)


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_the_files_of_activations_are_those_that_zarr_writes(tmp_path, monkeypatch, layout, dtype, upsampling):
    """Chunks of two rows, so that those of an upsampled store end within the cells of the coarser level."""
    monkeypatch.setattr("tedm.store.skeleton.CHUNK_BYTES", 2 * SIZE * 5 * 2)
    ours = filled(tmp_path / "ours", layout, upsampling, dtype)
    filled(tmp_path / "zarr's", layout, upsampling, dtype, names=[])
    theirs = FeatureStore.open(tmp_path / "zarr's")
    theirs.register(registrations(), (0, 255))
    group = zarr.open_group(tmp_path / "zarr's", mode="r+")
    for name in NAMES:
        index = theirs.labels.index(name)
        values = [image_of(name), *theirs.storage.arrays(cells_of(name), theirs.settings)]
        for array, whole in zip(["image", *theirs.feature_arrays()], values, strict=True):
            group[array].with_config({"write_empty_chunks": True})[index] = whole
    assert tree(tmp_path / "ours") == tree(tmp_path / "zarr's")
    assert verify(ours) == []


@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_cells_that_are_rounded_already_make_the_same_store(tmp_path, layout):
    filled(tmp_path / "whole", layout)
    store = filled(tmp_path / "s", layout, names=[])
    store.register(registrations(), (0, 255))
    assert store.storage.type_of_cells(store.settings) == "float16"
    assert Storage("upsampled", "float16").type_of_cells(settings(upsampling="bilinear")) == "float32"
    for name in NAMES:
        store.write(name, image_of(name), [level.astype(np.float16) for level in cells_of(name)])
    assert tree(tmp_path / "s") == tree(tmp_path / "whole")


def test_an_empty_store_of_other_settings_is_refused(tmp_path):
    FeatureStore.create(tmp_path / "s", SETTINGS, ARITHMETIC, Storage("native", "float16"), {})
    before = tree(tmp_path / "s")
    FeatureStore.create(tmp_path / "s", SETTINGS, ARITHMETIC, Storage("native", "float16"), {})
    for other in ({"noise_seed": 1}, {"timesteps": (1,)}):
        with pytest.raises(TedmError, match=r"is a store of other settings already"):
            FeatureStore.create(tmp_path / "s", settings(**other), ARITHMETIC, Storage("native", "float16"), {})
    assert tree(tmp_path / "s") == before


def test_xarray_opens_a_store_as_labelled_arrays(tmp_path):
    filled(tmp_path / "n")
    filled(tmp_path / "u", "upsampled")
    with xr.open_zarr(tmp_path / "u", consolidated=False) as dataset:
        assert dataset["features"].dims == ("image", "timestep", "draw", "y", "x", "channel")
        assert list(dataset["timestep"].values) == [1, 50]
        assert list(dataset["name"].values) == NAMES
    with xr.open_zarr(tmp_path / "n", consolidated=False) as dataset:
        assert dataset["level0"].dims == ("image", "timestep", "draw", "y_level0", "x_level0", "channel_level0")
        assert dataset["mask"].shape == (3, SIZE, SIZE)


def test_masks_and_splits_can_be_replaced_and_activations_stay(tmp_path):
    store = filled(tmp_path / "s")
    before = tree(tmp_path / "s" / "level0")
    (new,) = registrations(["one"], split="test", group="", domain="", mask=np.eye(SIZE, dtype=np.uint8))
    store.relabel([new], (0, 255))
    store = FeatureStore.open(tmp_path / "s")
    assert store.labels.splits == ("test", "train", "train")
    assert store.labels.groups == ("g0", "g1", "g2")
    assert store.labels.labelled == (64, 62, 61)
    assert np.array_equal(store.mask("one"), np.eye(SIZE))
    assert tree(tmp_path / "s" / "level0") == before
    said = r"2 masks that stay .*zwei ü\) have classes \[0, 255\], the new ones \[0, 1\]\n.*: 1 is no class of theirs"
    with pytest.raises(TedmError, match=said):
        store.relabel([new], (0, 1))
    with pytest.raises(TedmError, match="there is no image four"):
        store.relabel(registrations(["four"]), (0, 255))


def test_only_a_store_is_opened_and_only_an_empty_place_is_taken(tmp_path):
    with pytest.raises(TedmError, match="does not exist"):
        FeatureStore.open(tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("precious")
    with pytest.raises(TedmError, match="is no feature store"):
        FeatureStore.open(tmp_path / "folder")
    with pytest.raises(TedmError, match="is not empty"):
        FeatureStore.create(tmp_path / "folder", SETTINGS, ARITHMETIC, Storage("native", "float16"), {})
    assert (tmp_path / "folder" / "thesis.tex").read_text() == "precious"
    with pytest.raises(TedmError, match=r"its classes are \[0, 255\], these masks have \[0, 1\]"):
        filled(tmp_path / "s").register(registrations(["another"]), (0, 1))


def test_selections_say_what_there_is(tmp_path):
    labels = filled(tmp_path / "s").labels
    assert labels.select(split="train", domain="here") == NAMES
    with pytest.raises(TedmError, match=r"no labelled image of split 'val'\n  3 images: here train: 3 \(3 labelled\)"):
        labels.select(split="val", labelled=True)
