"""Whether files are what a store has read: same pixels under any name and time, other pixels never in silence."""

from __future__ import annotations

import csv
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tedm.cli import evaluate, extract, fit, label, verify
from tedm.extract.sources import as_read
from tedm.store import FeatureStore

QUICK = ["--timesteps", "1", "--layout", "native", "--precision", "float32", "--threads", "1", "--device", "cpu"]
REFUSED = "1 image changed since"


def run(command, *arguments, code=0):
    """What a command says, to both streams."""
    result = CliRunner().invoke(command.main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result.output


def tree(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


class World:
    """A data set and the store that was made from it, both to change."""

    def __init__(self, folder: Path, checkpoint: Path) -> None:
        self.folder, self.checkpoint = folder, checkpoint
        self.data, self.store = folder / "data", folder / "store"

    def extract(self, *options, code=0, source=None, store=None):
        source = source or self.data / "manifest.csv"
        return run(extract, source, store or self.store, "--checkpoint", self.checkpoint, *QUICK, *options, code=code)

    def verify(self, code=0):
        return run(verify, self.store, "--images", self.data / "manifest.csv", code=code)

    def image(self, number=1):
        return self.data / "images" / f"scan {number}.png"

    def mask(self, number=1):
        return self.data / "masks" / f"scan {number}.png"

    def invert(self, path):
        with Image.open(path) as file:
            values = np.asarray(file)
        Image.fromarray(255 - values).save(path)
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))  # a clock may be coarse

    def rows(self):
        with (self.data / "manifest.csv").open(newline="") as file:
            return list(csv.reader(file))

    def write_rows(self, rows):
        with (self.data / "manifest.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)

    def forget(self):
        """Make the store one of before, which kept no record of files."""
        shutil.rmtree(self.store / "source")

    def fresh(self):
        """What a store is that is made of the data as they are now."""
        self.extract(store=self.folder / "fresh")
        return tree(self.folder / "fresh")


@pytest.fixture(scope="module")
def made(dataset, checkpoint, tmp_path_factory):
    world = World(tmp_path_factory.mktemp("world"), checkpoint)
    shutil.copytree(dataset.parent, world.data)
    world.extract()
    return world


@pytest.fixture
def world(made, tmp_path):
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)  # with times of modification
    return World(tmp_path, made.checkpoint)


def test_files_of_the_same_size_and_time_are_not_opened(world):
    told = as_read(world.store)
    assert told("scan 1", [world.image()], world.mask())
    for path in (world.image(), world.mask()):
        before = path.stat()
        path.write_bytes(b"not opened".ljust(before.st_size))
        os.utime(path, ns=(0, before.st_mtime_ns))
    assert "0 images extracted, 7 were there" in world.extract()
    os.utime(world.mask())
    assert not told("scan 1", [world.image()], world.mask())
    assert told("scan 1", [world.image()], None)
    assert as_read(world.folder / "elsewhere") is None


def touched(world):
    for path in world.data.rglob("*.png"):
        os.utime(path)


def packed_otherwise(world):
    with Image.open(world.image()) as file:
        file.load()
    file.save(world.image(), compress_level=0)


def copied_to_another_machine(world):
    for path in world.data.rglob("*.png"):
        os.utime(path, ns=(0, 1))
    world.data.rename(world.folder / "moved")
    world.data = world.folder / "moved"


@pytest.mark.parametrize("change", [touched, packed_otherwise, copied_to_another_machine])
def test_an_image_with_the_same_pixels_is_the_same_and_known_by_its_new_time_then(world, change):
    change(world)
    said = world.extract()
    assert "0 images extracted, 7 were there" in said
    assert "note" not in said
    assert as_read(world.store)("scan 1", [world.image()], world.mask())
    assert tree(world.store) == world.fresh()


def test_one_changed_image_of_many_is_refused_and_computed_anew_on_request(world):
    world.invert(world.image())
    before = tree(world.store)
    said = world.extract(code=1)
    assert REFUSED in said
    assert f"scan 1: {world.image()} has other pixels" in said
    assert "--update" in said
    assert "another store" in said
    assert tree(world.store) == before
    assert "1 images extracted" not in said
    said = world.extract("--update")
    assert "1 image extracted, 6 were there" in said
    assert "computed anew: scan 1" in said
    assert tree(world.store) == world.fresh()
    assert "0 images extracted, 7 were there" in world.extract("--update")


def test_an_image_of_another_size_is_another_and_its_size_and_mask_go_with_it(world):
    for path in (world.image(), world.mask()):
        with Image.open(path) as file:
            file.crop((2, 0, *file.size)).save(path)
    said = world.extract(code=1)
    assert "has 21 x 23 pixels, the store's image 21 x 25" in said
    world.extract("--update")
    assert FeatureStore.open(world.store).labels.original_sizes[1] == (21, 23)
    assert tree(world.store) == world.fresh()


def test_other_content_of_the_same_time_is_noticed_by_its_size(world):
    modified = world.image().stat().st_mtime_ns
    world.invert(world.image())
    os.utime(world.image(), ns=(0, modified))
    assert REFUSED in world.extract(code=1)


def test_other_content_of_the_same_time_and_size_is_noticed_when_files_are_read(world):
    before = world.image().stat()
    world.invert(world.image())
    content = world.image().read_bytes()
    assert len(content) <= before.st_size + 64
    padded = FeatureStore.open(world.store)
    record = padded.sources()["scan 1"]
    padded.record({"scan 1": type(record)(type(record.image)(len(content), before.st_mtime_ns), record.mask)})
    os.utime(world.image(), ns=(0, before.st_mtime_ns))
    assert "7 were there" in world.extract()
    assert "image scan 1: changed" in world.verify(code=1)


def test_another_data_set_of_the_same_names_is_refused_also_by_a_store_of_before(world):
    for number in range(7):
        world.invert(world.image(number))
    assert "7 images changed since" in world.extract(code=1)
    world.forget()
    said = world.extract(code=1)
    assert "7 images changed since" in said
    assert "a column `name`" in said


def test_a_store_of_before_is_compared_once_and_goes_on_as_one_of_today(world):
    world.forget()
    said = world.extract()
    assert "did not record size and time of the files it read" in said
    assert "7 images were compared" in said
    assert "note" not in world.extract()
    assert tree(world.store) == world.fresh()
    assert "0 damaged" in run(verify, world.store)


def test_a_store_of_before_is_labelled_and_verified_as_it_is(world):
    world.forget()
    run(label, world.store, world.data / "manifest.csv")
    assert "0 different" in world.verify()
    assert not (world.store / "source").exists()


def test_an_edited_mask_is_said_and_taken_on_request_without_the_image(world):
    world.invert(world.mask())
    before = tree(world.store)
    said = world.extract()
    assert "0 images extracted" in said
    assert f"masks that differ from those in {world.store}, not taken; tedm-label" in said
    assert "scan 1 (1 in all)" in said
    assert tree(world.store) == before
    assert "image scan 1: its mask is another one" in world.verify(code=1)
    said = world.extract("--update")
    assert "0 images extracted" in said
    assert tree(world.store) == world.fresh()


def test_a_mask_that_was_labelled_is_known(world):
    world.invert(world.mask())
    run(label, world.store, world.data / "manifest.csv")
    assert "note" not in world.extract()
    assert tree(world.store) == world.fresh()


def test_a_mask_that_the_store_lacks_is_said(world):
    rows = world.rows()
    world.write_rows([row[:1] + [""] * (number == 2) + row[1 + (number == 2) :] for number, row in enumerate(rows)])
    world.extract(store=world.folder / "less")
    world.write_rows(rows)
    said = world.extract(store=world.folder / "less")
    assert "masks of images that have none" in said
    assert "scan 1 (1 in all)" in said


def test_labels_that_a_manifest_says_otherwise_are_said_and_taken_on_request(world):
    rows = world.rows()
    rows[1][2:] = ["val", "p0", "elsewhere"]
    world.write_rows(rows)
    said = world.extract()
    assert "scan 0 (split val, in the store train; domain elsewhere, in the store there)" in said
    assert FeatureStore.open(world.store).labels.splits[0] == "train"
    world.extract("--update")
    assert tree(world.store) == world.fresh()
    assert "note" not in world.extract()


def test_defaults_of_a_folder_are_no_other_labels(world):
    (world.data / "manifest.csv").unlink()
    assert "differ" not in world.extract(source=world.data)


def test_a_renamed_image_is_a_new_one_and_named_by_a_comparison(world):
    rows = world.rows()
    world.image().rename(world.image(9))
    rows[2][0] = "images/scan 9.png"
    world.write_rows(rows)
    said = world.verify(code=1)
    assert "image scan 1: missing: in" in said
    assert "image scan 9: extra: in" in said
    assert "1 image extracted, 6 were there" in world.extract()


def test_a_changed_file_that_cannot_be_read_costs_no_features(world):
    world.image().write_bytes(world.image().read_bytes()[:-30])
    before = tree(world.store)
    for options in ([], ["--update"]):
        world.extract(*options, code=1)
    assert tree(world.store) == before
    assert f"image scan 1: cannot be read: {world.image()}: " in world.verify(code=1)


def test_a_file_that_is_gone_leaves_its_image_and_is_said(world):
    world.image().unlink()
    assert "whose files are gone, kept as they are: scan 1" in world.extract()
    assert "image scan 1: missing: its file is gone" in world.verify(code=1)


@pytest.mark.parametrize("step", ["discard", "relabel", "write"])
def test_an_update_that_was_killed_leaves_nothing_stale(world, monkeypatch, step):
    world.invert(world.image())
    world.invert(world.mask())

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(FeatureStore, step, killed)
        world.extract("--update", code=130)
    if step == "discard":
        assert REFUSED in world.extract(code=1)
        world.extract("--update")
    else:
        assert FeatureStore.open(world.store).missing() == ["scan 1"]
        assert "1 image extracted" in world.extract()
    assert tree(world.store) == world.fresh()


def test_an_image_that_changes_before_it_is_computed_is_taken_as_it_is(world):
    FeatureStore.open(world.store).discard(["scan 1"])
    world.invert(world.image())
    assert "1 image extracted" in world.extract()
    assert tree(world.store) == world.fresh()


def test_masks_of_other_classes_than_those_that_stay_change_nothing(world):
    Image.fromarray(np.full((21, 25), 7, np.uint8)).save(world.mask())
    world.invert(world.image())
    before = tree(world.store)
    assert "masks that stay" in world.extract("--update", code=1)
    assert tree(world.store) == before


def test_an_update_is_one_run(world):
    assert "without --shard" in world.extract("--update", "--shard", "0/2", code=2)
    assert "--update" in world.extract("--update", "--dry-run", code=2)


def test_shards_compare_their_own_images_and_end_in_one_record(world):
    touched(world)
    for shard in ("0/2", "1/2"):
        world.extract("--shard", shard)
    assert tree(world.store) == world.fresh()


def test_a_comparison_of_files_as_they_were_finds_nothing(world):
    assert "7 images read, 0 missing, 0 damaged, 0 different from" in world.verify()


def test_one_picture_under_two_names_in_two_splits_is_a_leak(world):
    rows = world.rows()
    shutil.copy(world.image(1), world.image(8))
    shutil.copy(world.mask(1), world.mask(8))
    world.write_rows([*rows, ["images/scan 8.png", "masks/scan 8.png", "test", "p8", "here"]])
    world.extract()
    run(fit, world.store, world.folder / "head", "--method", "timestep:1")
    said = run(evaluate, world.store, world.folder / "head", code=1)
    assert "scan 8" in said
    assert "scan 1" in said


def test_a_mask_that_is_gone_stays_and_is_said(world):
    world.mask().unlink()
    world.write_rows([[cell if "scan 1" not in cell or "mask" not in cell else "" for cell in row] for row in world.rows()])
    for options in ([], ["--update"]):
        assert "images without a mask here, whose masks in" in (said := world.extract(*options))
        assert "scan 1 (1 in all)" in said
    assert FeatureStore.open(world.store).labels.labelled[1] > 0


def test_classes_keep_the_order_that_was_asked_for(world):
    store = world.folder / "white first"
    for _ in range(2):
        world.extract("--classes", "255,0", store=store)
    assert FeatureStore.open(store).labels.classes == (255, 0)
    run(label, world.store, world.data / "manifest.csv", "--classes", "255,0")
    there = FeatureStore.open(world.store)
    ours, theirs = (FeatureStore.open(path).mask("scan 1") for path in (world.store, store))
    assert there.labels.classes == (255, 0)
    assert np.array_equal(ours, theirs)


def classes_of(world):
    return FeatureStore.open(world.store).labels.classes


def test_masks_that_are_read_in_another_way_are_compared_said_and_taken_on_request(world):
    before = tree(world.store)
    said = world.extract("--threshold", "100")
    assert "note: masks that differ from those in" in said
    assert "not taken" in said
    assert classes_of(world) == (0, 255)
    taken = world.extract("--threshold", "100", "--update")
    assert "taken: " in taken
    assert classes_of(world) == (0, 1)
    assert "note" not in world.extract("--threshold", "100")  # they are known, read so
    assert tree(world.store) != before


def test_classes_and_thresholds_that_masks_of_known_images_do_not_have_are_refused(world):
    before = tree(world.store)
    for asked, words in (
        (["--threshold", "300"], "--threshold 300 leaves class 1 without a pixel"),
        (["--classes", "0,7"], "values 255 are none of the classes 0, 7"),
        (["--classes", "255,0"], "--classes 255,0 is asked for, and .* has 0,255; leave it out, or write to a new store"),
        (["--classes", "255,0", "--update"], "--classes 255,0 is asked for, and .* has 0,255"),
    ):
        assert re.search(words, world.extract(*asked, code=1))
        assert tree(world.store) == before


def test_masks_that_are_refused_are_not_said_to_be_taken(world):
    with Image.open(world.mask()) as file:
        mask = np.array(file)
    mask[:2] = 7
    Image.fromarray(mask).save(world.mask())
    said = world.extract("--update", code=1)
    assert "cannot relabel" in said
    assert "taken" not in said
