"""Raw data sets of nnU-Net, and those of the Decathlon: their cases, channels and labels, and what may be wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.extract.images.listing.found import Found
from tedm.extract.images.listing.nnunet import recognises, rows

NNUNET = {"channel_names": {"0": "FLAIR", "1": "T1gd"}, "labels": {"background": 0, "oedema": 1, "core": 2}}


def data_set(folder: Path, *files: str, **document: Any) -> Path:
    """A folder with a dataset.json and empty files."""
    folder.mkdir(exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(document or NNUNET))
    for name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    return folder


def two_channels(folder: Path, **document: Any) -> Path:
    cases = ("imagesTr/b_01", "imagesTr/a_01", "imagesTs/c")
    files = [f"{case}_{channel:04d}.nii.gz" for case in cases for channel in (1, 0)]
    labels = ["labelsTr/a_01.nii.gz", "labelsTr/b_01.nii.gz"]
    return data_set(folder / "Dataset007", *files, *labels, **(document or {**NNUNET, "file_ending": ".nii.gz"}))


def told(found: Found) -> list[tuple[str, list[str], str | None, str]]:
    return [(row.name, [path.name for path in row.files], row.mask and row.mask.name, row.split) for row in found.rows]


def test_cases_have_a_file_for_each_channel_and_a_label_map(tmp_path):
    folder = two_channels(tmp_path)
    assert recognises(folder)
    found = rows(folder, ())
    assert told(found) == [
        ("a_01", ["a_01_0000.nii.gz", "a_01_0001.nii.gz"], "a_01.nii.gz", "train"),
        ("b_01", ["b_01_0000.nii.gz", "b_01_0001.nii.gz"], "b_01.nii.gz", "train"),
        ("c", ["c_0000.nii.gz", "c_0001.nii.gz"], None, "test"),
    ]
    assert (found.channels, found.problems, found.remarks) == (("FLAIR", "T1gd"), [], [])
    assert found.legend.names == {0: "background", 1: "oedema", 2: "core"}
    assert {(row.group, row.domain) for row in found.rows} == {(name, "Dataset007") for name in ("a_01", "b_01", "c")}
    assert all(row.unsaid == {"group", "domain"} for row in found.rows)


def test_channels_are_chosen_by_name_in_the_order_wanted(tmp_path):
    folder = two_channels(tmp_path)
    swapped = rows(folder, ("t1gd", "flair"))
    assert (told(swapped)[2][1], swapped.channels) == (["c_0001.nii.gz", "c_0000.nii.gz"], ("T1gd", "FLAIR"))
    one = rows(folder, ("T1gd",))
    assert (told(one)[2][1], one.channels) == (["c_0001.nii.gz"], ("T1gd",))
    with pytest.raises(TedmError, match="there is no channel 'T2'; it has FLAIR, T1gd"):
        rows(folder, ("T2",))
    with pytest.raises(TedmError, match="name one twice"):
        rows(folder, ("flair", "FLAIR"))


def test_the_decathlons_cases_are_one_file_each_whatever_their_numbers(tmp_path):
    document = {"modality": {"0": "FLAIR", "1": "T1"}, "labels": {"0": "background", "1": "oedema"}, "numTest": 1}
    files = [f"{part}/BRATS_0{case:03d}.nii.gz" for part in ("imagesTr", "labelsTr") for case in (1, 12)]
    folder = data_set(tmp_path / "Task01", *files, "imagesTs/BRATS_0007.nii.gz", "imagesTr/._BRATS_0001.nii.gz", **document)
    found = rows(folder, ())
    assert told(found) == [
        ("BRATS_0001", ["BRATS_0001.nii.gz"], "BRATS_0001.nii.gz", "train"),
        ("BRATS_0012", ["BRATS_0012.nii.gz"], "BRATS_0012.nii.gz", "train"),
        ("BRATS_0007", ["BRATS_0007.nii.gz"], None, "test"),
    ]
    assert (found.problems, found.channels, found.legend.names) == ([], (), {0: "background", 1: "oedema"})
    with pytest.raises(TedmError, match=r"its files hold all channels \(FLAIR, T1\), and T1 cannot be taken out of them"):
        rows(folder, ("T1",))


def test_the_first_version_of_nnunet_has_the_decathlons_words_and_files_for_channels(tmp_path):
    document = {"modality": {"0": "FLAIR", "1": "T1"}, "labels": {"0": "background", "1": "oedema"}}
    found = rows(two_channels(tmp_path, **document), ())
    assert ([row.name for row in found.rows], found.channels) == (["a_01", "b_01", "c"], ("FLAIR", "T1"))


def test_pictures_of_one_channel_and_colours_in_one_file_are_cases(tmp_path):
    grey = data_set(tmp_path / "grey", "labelsTr/a.png", channel_names={"0": "X-ray"}, file_ending=".png")
    (grey / "imagesTr").mkdir()
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(grey / "imagesTr" / "a_0000.png")
    assert told(rows(grey, ())) == [("a", ["a_0000.png"], "a.png", "train")]
    colours = {"channel_names": {"0": "R", "1": "G", "2": "B"}, "file_ending": ".png"}
    folder = data_set(tmp_path / "colours", "imagesTr/a_0000.png", "labelsTr/a.png", **colours)
    found = rows(folder, ())
    assert (told(found), found.channels, found.problems) == ([("a", ["a_0000.png"], "a.png", "train")], (), [])


def test_images_without_a_folder_of_labels_are_for_training_all_the_same(tmp_path):
    found = rows(data_set(tmp_path, "imagesTr/a_0000.nii", channel_names={"0": "T1"}), ())
    assert (told(found), found.problems) == ([("a", ["a_0000.nii"], None, "train")], [])


def test_a_label_called_ignore_is_none(tmp_path):
    labels = {"background": 0, "lung": 1, "ignore": 2}
    assert rows(data_set(tmp_path, "imagesTr/a_0000.nii", channel_names={"0": "T1"}, labels=labels), ()).legend.ignore == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("-imagesTr/a_01_0001.nii.gz", "imagesTr/a_01: its channel 0001 is not there; there is a_01_0000.nii.gz"),
        ("-imagesTs/c_0000.nii.gz", "imagesTs/c: its channel 0000 is not there; there is c_0001.nii.gz"),
        ("-labelsTr/a_01.nii.gz", "imagesTr/a_01: no a_01 in labelsTr; add it, or move the case to imagesTs"),
        ("+labelsTr/z.nii.gz", "labelsTr/z.nii.gz: no case of this name in imagesTr; move it elsewhere"),
        ("+imagesTr/z.nii.gz", "imagesTr/z.nii.gz: no channel in its name; call it z_0000.nii.gz"),
        ("+imagesTr/z_0000.nrrd", "imagesTr/z_0000.nrrd: not .nii.gz, as dataset.json says of its files"),
        ("+labelsTr/z.nrrd", "labelsTr/z.nrrd: not .nii.gz, as dataset.json says of its files"),
        ("+imagesTr/z_0000.mha", "z_0000.mha: files of this kind are not read"),
    ],
)
def test_what_is_wrong_with_a_case_is_one_line(tmp_path, change, said):
    folder = two_channels(tmp_path)
    (folder / change[1:]).touch() if change[0] == "+" else (folder / change[1:]).unlink()
    (problem,) = rows(folder, ()).problems
    assert problem.startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[" * 5000, "nested deeper"),
        ("[]", "no object"),
        ("{}", "its channels are not named"),
        ('{"channel_names": {}}', "its channels are not named"),
        ('{"channel_names": ["T1"]}', "its channels are not named"),
        ('{"channel_names": {"1": "T1"}}', "its channels are not named"),
        ('{"channel_names": {"0": "T1", "1": "t1"}}', "each with another name"),
        ('{"channel_names": {"0": "T1"}, "labels": {"whole": [1, 2]}}', "label 'whole' is a region of several values"),
        ('{"channel_names": {"0": "T1"}, "labels": {"lung": true}}', "label 'lung' has the value true"),
        ('{"channel_names": {"0": "T1"}, "labels": {"lung": 1.5}}', "label 'lung' has the value 1.5"),
        (
            '{"channel_names": {"0": "T1"}, "labels": {"lung": 1, "heart": 1}}',
            "label 'heart' has the value 1; give each",
        ),
        ('{"channel_names": {"0": "T1"}, "labels": {"1": "lung", "2": "lung"}}', "label 2: name 'lung' is that of class 1 too"),
        ('{"channel_names": {"0": "T1"}, "labels": {"lu\\nng": 1}}', "label 1: name"),
        ('{"channel_names": {"0": "T1"}, "dataset": {"a": {}}}', "lists files of its own in `dataset`"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused_by_its_path(tmp_path, text, said):
    folder = two_channels(tmp_path)
    (folder / "dataset.json").write_text(text)
    with pytest.raises(TedmError, match=said) as caught:
        rows(folder, ())
    assert str(caught.value).startswith(str(folder / "dataset.json"))
    assert "\n" not in str(caught.value)
