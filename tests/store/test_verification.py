"""Damage: found wherever it is, named by image and array, and mended by computing the image again."""

from __future__ import annotations

import pickle
import runpy
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import zarr

from tedm.errors import TedmError
from tedm.store import Damage, DamagedError, FeatureStore, Registration, Storage, verify
from tedm.store.verification import listed

SMALL = runpy.run_path(str(Path(__file__).with_name("test_disk.py")))
NAMES, filled, tree = SMALL["NAMES"], SMALL["filled"], SMALL["tree"]
LAYOUTS = ["native", "upsampled"]


def read(store: FeatureStore, name: str) -> None:
    """All that a reader can ask of an image, and the parts of it that decode a shard piece by piece."""
    store.image(name)
    store.mask(name)
    store.block(name)
    for timestep in store.settings.timesteps:
        store.block(name, [timestep])


def refill(store: FeatureStore) -> None:
    """What tedm-extract does for images that are missing."""
    for name in store.missing():
        store.write(name, SMALL["image_of"](name), SMALL["cells_of"](name))


def damages(path: Path) -> list[tuple[str, str]]:
    return [(damage.image, damage.array) for damage in verify(FeatureStore.open(path))]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_whole_store_has_no_damage(tmp_path, layout):
    seen = []
    assert verify(filled(tmp_path / "s", layout), progress=lambda *at: seen.append(at)) == []
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["some bytes", "every byte"])
@pytest.mark.parametrize(("layout", "dtype"), [("native", "float16"), ("native", "float32"), ("upsampled", "float16")])
def test_a_flipped_bit_is_found_wherever_it_is(tmp_path, rng, layout, dtype, every):
    """In the image, the mask, the chunks, their checksums, the shard's index: all over every file of an image."""
    store, name = filled(tmp_path / "s", layout, dtype=dtype), NAMES[1]
    for array, key in store.files_of(name).items():
        path = tmp_path / "s" / key
        whole = path.read_bytes()
        some = {0, *rng.integers(0, len(whole), 5), *rng.integers(len(whole) - 36, len(whole), 6)}
        positions = range(len(whole)) if every else some
        for position in positions:
            content = bytearray(whole)
            content[position] ^= 1 << rng.integers(0, 8)
            path.write_bytes(content)
            assert [(found.image, found.array) for found in verify(store, [name])] == [(name, array)], position
            with pytest.raises(DamagedError, match=f"image {name}: array {array} of the store"):
                read(store, name)
        path.write_bytes(whole)
    assert verify(store) == []


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("length", [0, 1, 7, 0.5, -1])
def test_a_truncated_file_is_found_and_named(tmp_path, layout, length):
    store, name = filled(tmp_path / "s", layout), NAMES[1]
    for array, key in store.files_of(name).items():
        path = tmp_path / "s" / key
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * length) if length == 0.5 else length])
        assert damages(tmp_path / "s") == [(name, array)]
        with pytest.raises(DamagedError, match=f"image {name}: array {array} of the store"):
            read(store, name)
        path.write_bytes(whole)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_deleted_file_is_found_and_named(tmp_path, layout):
    store, name = filled(tmp_path / "s", layout), NAMES[1]
    for array, key in store.files_of(name).items():
        path = tmp_path / "s" / key
        whole = path.read_bytes()
        path.unlink()
        assert verify(store) == listed(store) == [Damage(name, array, "its file is gone")]
        assert store.missing() == [name] * (array != "mask")
        with pytest.raises(DamagedError, match=f"image {name}: array {array} .*its file is gone") as raised:
            read(store, name)
        error = pickle.loads(pickle.dumps(raised.value))  # on its way from a worker
        assert (str(error), error.image, error.array) == (str(raised.value), name, array)
        path.write_bytes(whole)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_discarded_images_are_missing_and_come_back_in_the_same_bytes(tmp_path, layout):
    store = filled(tmp_path / "s", layout)
    before = tree(tmp_path / "s")
    store.discard([NAMES[2], NAMES[0]])
    assert store.missing() == [NAMES[0], NAMES[2]]
    assert verify(store) == []  # to be computed, not damaged
    with pytest.raises(TedmError, match=r"not in the store .* yet \(2 of 3 still missing\)"):
        store.block(NAMES[2])
    refill(store)
    assert tree(tmp_path / "s") == before


def test_values_that_are_not_finite_are_damage(tmp_path):
    store = filled(tmp_path / "s")
    array = zarr.open_group(tmp_path / "s", mode="r+")["level1"]
    values = np.asarray(array[1])
    values[0, 0, 0, 0, 0] = np.inf
    array[1] = values
    assert verify(store) == [Damage(NAMES[1], "level1", "it has values that are not finite")]


def test_strays_are_found_and_partial_files_are_told_from_others(tmp_path):
    store = filled(tmp_path / "s")
    (tmp_path / "s" / "level1" / "c.1.0.0.0.0.ab.partial").write_bytes(b"half")
    (tmp_path / "s" / "level1" / "c.9.0.0.0.0.0").write_bytes(b"whose?")
    (tmp_path / "s" / "thesis.tex").write_text("precious")
    found = {damage.array: damage.cause for damage in verify(store)}
    assert list(found) == ["level1/c.1.0.0.0.0.ab.partial", "level1/c.9.0.0.0.0.0", "thesis.tex"]
    assert "killed" in found["level1/c.1.0.0.0.0.ab.partial"]
    assert "delete it" in found["thesis.tex"]


@pytest.mark.parametrize("column", ["name", "split", "original_size", "labelled"])
@pytest.mark.parametrize("harm", ["gone", "flipped", "no metadata"])
def test_labels_that_are_lost_are_never_read_as_empty(tmp_path, column, harm):
    filled(tmp_path / "s")
    path = next((tmp_path / "s" / column).glob("c.*"))
    if harm == "gone":
        path.unlink()
    elif harm == "flipped":
        path.write_bytes(bytes([path.read_bytes()[0] ^ 4]) + path.read_bytes()[1:])
    else:
        (tmp_path / "s" / column / "zarr.json").unlink()
    with pytest.raises(TedmError, match=f"is damaged: the .*{column}"):
        FeatureStore.open(tmp_path / "s")


@pytest.mark.slow
def test_ten_thousand_images_are_listed_in_seconds(tmp_path):
    """Their scan does not open a file; half of them are there, and one of those has lost a level."""
    small = SMALL["settings"]
    store = FeatureStore.create(tmp_path / "s", small(), SMALL["ARITHMETIC"], Storage("native", "float16"), {})
    names = [f"image {number}" for number in range(10_000)]
    store.register([Registration(name, "", "", "", (9, 9), None) for name in names], ())
    whole = filled(tmp_path / "one", names=["image 0"])
    for array, key in whole.files_of("image 0").items():
        if array != "mask":
            content = (tmp_path / "one" / key).read_bytes()
            for number in range(5_000):
                (tmp_path / "s" / key.replace("c.0", f"c.{number}")).write_bytes(content)
    (tmp_path / "s" / "level0" / "c.77.0.0.0.0.0").unlink()
    start = time.perf_counter()
    assert FeatureStore.open(tmp_path / "s").missing() == ["image 77", *names[5_000:]]
    assert time.perf_counter() - start < 5
    start = time.perf_counter()
    assert [store.labels.index(name) for name in names] == list(range(10_000))
    assert time.perf_counter() - start < 1
    shutil.rmtree(tmp_path / "s")


def test_other_timesteps_in_the_array_than_in_the_settings_are_damage(tmp_path):
    filled(tmp_path / "s")
    zarr.open_group(tmp_path / "s", mode="r+")["timestep"][:] = [1, 51]
    store = FeatureStore.open(tmp_path / "s")
    assert verify(store) == [Damage("", "timestep/c.0", "it has the timesteps 1, 51, and the settings 1, 50")]
    shutil.rmtree(tmp_path / "s" / "timestep")
    assert verify(store) == [Damage("", "timestep/c.0", "it cannot be read, and the settings 1, 50")]


def test_a_mask_with_other_labelled_pixels_than_the_labels_say_is_damaged(tmp_path):
    filled(tmp_path / "s")
    zarr.open_group(tmp_path / "s", mode="r+")["labelled"][0] = 60
    assert verify(FeatureStore.open(tmp_path / "s")) == [
        Damage("one", "mask", "it has 63 labelled pixels, and the labels say 60")
    ]


def test_a_name_from_elsewhere_cannot_write_lines_of_its_own():
    assert str(Damage("a\nall is well\x1b[1m", "mask", "gone")) == "image a\\nall is well\\x1b[1m: array mask: gone"
