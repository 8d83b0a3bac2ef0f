"""What a user may name: a table, a folder, a data set, an image; and which of them it is, where a folder could be several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dicom_files import voxels_of, write_series
from small_volumes import scan, write_nifti

from tedm.errors import TedmError
from tedm.extract.images.listing.find import find_rows


def names(source: Path, *channels: str) -> list[str]:
    return [row.name for row in find_rows(source, channels).rows]


def test_a_volume_by_itself_is_one_row_called_after_its_file_or_folder(tmp_path):
    write_series(tmp_path / "t1.series", voxels_of())
    alone = write_nifti(tmp_path / "patient.7.nii.gz", scan())
    of_series = sorted((tmp_path / "t1.series").iterdir())[0]
    assert [names(path) for path in (alone, tmp_path / "t1.series", of_series)] == [["patient.7"], ["t1.series"], ["IM0000"]]
    (row,) = find_rows(alone, ()).rows
    assert (row.image, row.mask, row.split, row.group, row.domain) == (alone, None, "", "patient.7", tmp_path.name)


def test_a_folder_is_its_table_then_its_layout_then_its_images_then_the_series_in_it(tmp_path):
    write_series(tmp_path, voxels_of())
    assert names(tmp_path) == [tmp_path.name]
    write_nifti(tmp_path / "images" / "a.nii", scan())
    assert names(tmp_path) == ["a"]
    write_nifti(tmp_path / "imagesTr" / "b_0000.nii", scan())
    (tmp_path / "dataset.json").write_text(json.dumps({"channel_names": {"0": "T1"}}))
    assert names(tmp_path) == ["b"]
    (tmp_path / "manifest.csv").write_text("image,name\nimages/a.nii,c\n")
    found = find_rows(tmp_path, ())
    assert ([row.name for row in found.rows], found.table, found.is_data_set) == (["c"], tmp_path / "manifest.csv", False)


def test_series_in_folders_of_their_own_are_images_of_a_folder(tmp_path):
    for name in ("p2", "p1"):
        write_series(tmp_path / name, voxels_of())
    write_nifti(tmp_path / "p3.nii.gz", scan())
    assert names(tmp_path) == ["p1", "p2", "p3"]


def test_a_folder_and_an_image_say_nothing_of_several_channels(tmp_path):
    alone = write_nifti(tmp_path / "a.nii", scan())
    for source in (tmp_path, alone):
        with pytest.raises(TedmError, match="does not say which files are the channels flair, t1gd .* list them in a CSV"):
            find_rows(source, ("flair", "t1gd"))
        assert find_rows(source, ("flair",)).channels == ("flair",)
