"""Rows opened and checked: pictures, volumes, and those that a store has already."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from small_volumes import AFFINE, SHAPE, label_map, scan, write_nifti

from tedm.extract.images.check import Check, Known, rows_without
from tedm.extract.images.listing.rows import Row, rows_of_folder
from tedm.extract.images.palettes import Palettes
from tedm.extract.images.slices.options import VolumeOptions
from tedm.extract.registration import whole_images
from tedm.store import FeatureStore, Labels, Slice, Storage

SMALL = runpy.run_path(str(Path(__file__).parents[2] / "store" / "test_disk.py"))


def check(known: Known | None = None, ignore: int | None = None, **options) -> Check:
    return Check(None, ignore, None, VolumeOptions(**options), Palettes(), known=known)


def rows(folder: Path) -> list[Row]:
    found, problems = rows_of_folder(folder)
    assert problems == []
    return found


def one_volume(folder: Path) -> Row:
    write_nifti(folder / "images" / "p.nii.gz", scan())
    write_nifti(folder / "masks" / "p.nii.gz", label_map())
    (row,) = rows(folder)
    return row


def known(volume_row: Row, indices: tuple[int, ...]) -> Known:
    """A store's labels: a picture `flat`, and some slices of the volume, cropped, in another order than the file's."""
    volume = check().opened(volume_row).volume
    assert volume is not None
    gone = replace(volume, name="gone")
    slices = [Slice(-1, 0), *(Slice(1, index, 1, 1, 3, 4) for index in indices)]
    names = ["flat", *(volume.slice_name(index) for index in indices)]
    count = len(names)
    return Known(
        Labels(
            tuple(names), ("val",) * count, ("g",) * count, ("d",) * count, ((7, 9), *[volume.slice_size] * len(indices)),
            (0,) * count, (0, 1), volumes=(gone, volume), slices=tuple(slices),
        )
    )  # fmt: skip


def test_a_volume_becomes_its_slices_in_order_with_the_labels_that_each_shows(tmp_path):
    checked = check().opened(one_volume(tmp_path))
    assert (checked.problems, checked.volume.axes, checked.volume.flips[0]) == ((), (2, 1, 0), False)
    assert [place.name for place in checked.places] == ["p_000", "p_001", "p_002", "p_003"]
    assert [place.slice.index for place in checked.places] == [0, 1, 2, 3]
    assert {place.size for place in checked.places} == {(SHAPE[1], SHAPE[0])}
    labels = label_map()
    assert [place.values for place in checked.places] == [set(np.unique(labels[..., index])) for index in range(4)]
    assert checked.mask.pixels == {value: int((labels == value).sum()) for value in (0, 1, 2)}


def test_slices_of_an_ignored_value_and_background_show_no_structure_as_pictures_do(tmp_path):
    labels = label_map()
    labels[0, 0, 2] = 9
    row = replace(one_volume(tmp_path), mask=write_nifti(tmp_path / "m.nii", labels))
    checked = check(ignore=9).opened(row)
    assert [place.values for place in checked.places][2] == {0}
    assert [entry.name for entry, _ in checked.entries(frozenset([0]))] == ["p_000", "p_001", "p_003"]
    assert len(list(checked.entries(None))) == 4
    for kept in (replace(row, split="val"), replace(row, split="test"), replace(row, mask=None)):
        assert len(list(check(ignore=9).opened(kept).entries(frozenset([0])))) == 4


def test_the_files_of_a_volume_that_is_known_are_not_opened(tmp_path):
    row = one_volume(tmp_path)
    store = known(row, (3, 1))
    row.image.write_text("no volume any more")
    assert store.has(row)
    checked = store.as_it_is(row)
    assert [(place.name, place.slice) for place in checked.places] == [
        ("p_003", Slice(-1, 3, 1, 1, 3, 4)),
        ("p_001", Slice(-1, 1, 1, 1, 3, 4)),
    ]
    anew = check(store).opened(row)
    assert anew.problems == ()
    assert [place.values for place in anew.places] == [set(np.unique(label_map()[..., index])) for index in (3, 1)]


def test_a_row_of_another_kind_than_what_is_known_under_its_name_is_not_known(tmp_path):
    row = one_volume(tmp_path)
    store = known(row, (3, 1))
    picture = replace(row, image=tmp_path / "p.png")
    assert [store.has(replace(each, name=name)) for each, name in ((row, "flat"), (picture, "p"), (picture, "p_001"))] == [
        False
    ] * 3
    assert store.has(replace(picture, name="flat"))
    assert not store.has(replace(row, name="gone"))  # the store has none of its slices
    assert (store.names(row), store.names(replace(row, name="gone"))) == (["p_003", "p_001"], [])


def test_a_volume_of_which_a_slice_is_missing_is_opened_again(tmp_path):
    row = one_volume(tmp_path)
    volume = check().opened(row).volume
    store = FeatureStore.create(
        tmp_path / "s", SMALL["settings"](axis="axial"), SMALL["ARITHMETIC"], Storage("native", "float16"), {}
    )
    names = ["flat", *(volume.slice_name(index) for index in range(2))]
    every = SMALL["registrations"](names)
    store.register(
        [every[0], *(replace(each, volume=volume, slice=Slice(-1, at)) for at, each in enumerate(every[1:]))], (0, 255)
    )
    told = []
    for name in names:
        store.write(name, SMALL["image_of"](name), SMALL["cells_of"](name))
        known = Known(whole_images(store.path))
        told.append((known.names(row), known.has(row), known.labels.names))
    assert told == [([], False, ("flat",)), ([], False, ("flat",)), (["p_000", "p_001"], True, tuple(names))]


def test_a_volume_is_labelled_anew_wherever_its_own_file_is(tmp_path):
    row = one_volume(tmp_path)
    store = known(row, (0, 1, 2, 3))
    elsewhere = replace(row, image=Path("/elsewhere/a folder of a series"))
    assert [place.name for place in check(store).opened(elsewhere).places] == ["p_000", "p_001", "p_002", "p_003"]
    other = write_nifti(tmp_path / "other.nii", label_map(), AFFINE + np.array([[0, 0, 0, 4.0]] + [[0] * 4] * 3))
    (problem,) = check(store).opened(replace(elsewhere, mask=other)).problems
    assert problem.startswith(f"mask {other} and the volume p lie up to 4 mm apart")


def test_the_channels_of_a_picture_are_of_one_size(tmp_path):
    for name, height in (("a", 4), ("b", 5)):
        Image.fromarray(np.arange(height * 6, dtype=np.uint8).reshape(height, 6)).save(tmp_path / f"{name}.png")
    row = Row("line 2", "p", tmp_path / "a.png", None, "", "p", "", "", more=(tmp_path / "b.png",))
    (problem,) = check().opened(row).problems
    assert problem == (f"image {tmp_path / 'b.png'}: 5 x 6 pixels (height x width), its channel {tmp_path / 'a.png'} has 4 x 6")


def test_a_side_that_is_too_long_is_told_by_the_header(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("L", (150_000, 1)).save(tmp_path / "images" / "strip.png")
    (row,) = rows(tmp_path)
    (problem,) = check().opened(row).problems
    assert problem == (
        f"image {tmp_path / 'images' / 'strip.png'}: 1 x 150000 pixels; a side of more than 131072 is not taken, "
        "cut the image into pieces"
    )


def test_rows_go_without_their_masks_where_none_is_wanted(tmp_path):
    row = one_volume(tmp_path)
    assert [each.mask for each in (*rows_without([row], True), *rows_without([row], False))] == [row.mask, None]
