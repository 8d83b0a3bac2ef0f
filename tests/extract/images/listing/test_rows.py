"""What a CSV or a folder says, before any image is opened: none of these files needs to be one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tedm.errors import TedmError
from tedm.extract.images.listing.find import find_rows
from tedm.extract.images.listing.rows import UNSAID, problems_between, rows_of_csv, rows_of_file, rows_of_folder


def csv(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "clinic" / "list.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def test_what_is_not_said_is_a_default_and_known_as_one(tmp_path):
    rows, problems = rows_of_csv(csv(tmp_path, "image,mask,patient", "a.png,m.png,p7", "b.tif,,"))
    assert problems == []
    first, second = rows
    assert (first.name, first.split, first.group, first.domain) == ("a", "train", "p7", "clinic")
    assert first.mask == tmp_path / "clinic" / "m.png"
    assert first.unsaid == {"split", "domain"}
    assert (second.name, second.split, second.group, second.mask) == ("b", "", "b", None)
    assert second.unsaid == UNSAID


def test_lines_that_are_wrong_are_left_out_and_told(tmp_path):
    rows, problems = rows_of_csv(csv(tmp_path, "image,split", "a.png,train,extra", ",test", "b.png,val"))
    assert [row.name for row in rows] == ["b"]
    assert problems == [
        "line 2: 3 cells for 2 columns; put values with commas between quotes",
        "line 3: no image",
    ]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["picture", "a.png"], "no column `image` among picture"),
        (["image;mask", "a.png;b.png"], "separate columns by commas"),
        (["image,split,split", "a.png,train,val"], "column split is there twice"),
        ([""], "an empty file"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path, lines, text):
    with pytest.raises(TedmError, match=text):
        rows_of_csv(csv(tmp_path, *lines))


def test_a_folder_is_paired_by_stem_and_what_is_left_is_told(tmp_path):
    for name in ("images/b.png", "images/a.jpg", "images/c.mha", "images/notes.txt", "masks/b.tif", "masks/z.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    rows, problems = rows_of_folder(tmp_path)
    assert [(row.name, row.split, row.mask) for row in rows] == [
        ("a", "", None),
        ("b", "train", tmp_path / "masks" / "b.tif"),
    ]
    assert [problem.split(":")[0] for problem in problems] == ["c.mha", "masks/z.png"]


def test_a_patient_in_two_splits_and_a_name_used_twice_are_told_with_their_places(tmp_path):
    rows, _ = rows_of_csv(
        csv(tmp_path, "name,image,split,patient", "a,1.png,train,p1", "a,2.png,test,p1", "../b,3.png,validation,p2")
    )
    problems = problems_between(rows)
    assert "line 4: split 'validation'; expected train, val, test or nothing" in problems
    assert "line 2, line 3: 2 images of the name a; give each its own in a column `name`" in problems
    assert "group p1 is in train (line 2) and test (line 3); keep it in one split" in problems
    assert any("cannot be a file's name" in problem for problem in problems)


def test_a_pipe_or_a_device_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    lines = ("image,mask", f"{tmp_path}/pipe.png,", "a.png,/dev/zero", "b.png,")
    rows, problems = rows_of_csv(csv(tmp_path, *lines))
    assert [row.name for row in rows] == ["b"]
    assert problems == [
        f"line 2: {tmp_path}/pipe.png is no file, but a pipe or a device; name a file",
        "line 3: /dev/zero is no file, but a pipe or a device; name a file",
    ]
    with pytest.raises(TedmError, match="pipe.png is no plain file"):
        rows_of_csv(tmp_path / "pipe.png")


def test_a_cell_with_a_nul_and_a_giant_cell_are_refused(tmp_path):
    rows, problems = rows_of_csv(csv(tmp_path, "image,group", "a\0.png,", "b.png,g\0", "c.png,g"))
    assert [row.name for row in rows] == ["c"]
    assert problems == [f"line {line}: a cell holds a NUL character; write it again as text" for line in (2, 3)]
    with pytest.raises(TedmError, match="no CSV in UTF-8"):
        rows_of_csv(csv(tmp_path, "image", "x" * 10**6))


def test_images_elsewhere_are_allowed(tmp_path):
    rows, problems = rows_of_csv(csv(tmp_path, "image", "../scans/a.png", "/data/b.png"))
    assert problems == []
    assert [str(row.image) for row in rows] == [f"{tmp_path}/clinic/../scans/a.png", "/data/b.png"]


def test_names_are_read_back_as_a_table_of_ours_has_them(tmp_path):
    rows, problems = rows_of_csv(csv(tmp_path, "name,image", "'=1+1,'-scan.png", "'s,a.png"))
    assert (problems, [(row.name, row.image.name) for row in rows]) == ([], [("=1+1", "-scan.png"), ("'s", "a.png")])
    assert problems_between(rows) == []


@pytest.mark.parametrize("name", ["../b", "a\\b", "CON", "a\u202eb", "x" * 201])
def test_a_name_that_cannot_be_a_files_is_told_with_its_line(tmp_path, name):
    rows, _ = rows_of_csv(csv(tmp_path, "name,image", f"{name},1.png"))
    (problem,) = problems_between(rows)
    assert problem.startswith("line 2: name ")
    assert problem.endswith("; write another")


def test_columns_of_channels_are_files_of_one_image_called_after_the_patient_or_the_folder(tmp_path):
    table = csv(
        tmp_path, "T1GD,flair,patient,brainmask,name", "p1/t1gd.nii.gz,p1/flair.nii.gz,s-7,p1/brain.nii,",
        "p2/t1gd.nii.gz,p2/flair.nii.gz,,,", "p3/t1gd.nii.gz,p3/flair.nii.gz,s-9,,third",
    )  # fmt: skip
    rows, problems = rows_of_csv(table, ("flair", "t1gd"))
    assert problems == []
    assert [[path.name for path in row.files] for row in rows] == [["flair.nii.gz", "t1gd.nii.gz"]] * 3
    assert [(row.name, row.group) for row in rows] == [("s-7", "s-7"), ("p2", "p2"), ("third", "s-9")]
    assert [row.brain and row.brain.name for row in rows] == ["brain.nii", None, None]
    assert all(row.is_volume for row in rows)
    (alone,), _ = rows_of_csv(csv(tmp_path, "t1gd", "p1/t1gd.nii.gz"), ("T1GD",))
    assert (alone.name, alone.more) == ("p1", ())


@pytest.mark.parametrize(
    ("channels", "text"),
    [
        (("flair", "t2"), "no column `t2` among flair, mask, flair2"),
        (("flair", "FLAIR"), "the channels name column flair twice; large and small letters are the same"),
        (("flair", "mask"), "column mask is no channel"),
        (
            (),
            "no column `image` among flair, mask, flair2; if images have .* name these with --channels",
        ),
    ],
)
def test_channels_that_a_table_cannot_give_are_refused(tmp_path, channels, text):
    with pytest.raises(TedmError, match=text):
        rows_of_csv(csv(tmp_path, "flair,mask,flair2", "a.nii,m.nii,b.nii"), channels)


def test_brain_masks_are_paired_like_masks_and_what_is_left_of_them_is_told(tmp_path):
    for name in ("images/a.nii.gz", "images/b.nrrd", "brainmasks/a.nii", "brainmasks/b_mask.nii", "brainmasks/a.nrrd"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    rows, problems = rows_of_folder(tmp_path)
    assert [(row.name, row.mask, row.brain and row.brain.name, row.split) for row in rows] == [
        ("a", None, "a.nii", ""),
        ("b", None, None, ""),
    ]
    assert problems == [
        "brainmasks/a.nrrd: the same stem as a.nii; a mask is paired by its stem",
        "brainmasks/b_mask.nii: no image of this stem in images/; a mask is paired by its stem: rename it to b.nii if it "
        "is the mask of b",
    ]


def test_a_modality_in_two_splits_is_told_as_an_image_is(tmp_path):
    rows, _ = rows_of_csv(csv(tmp_path, "name,a,b,split", "x,1.nii,2.nii,train", "y,3.nii,2.nii,test"), ("a", "b"))
    assert problems_between(rows) == [
        f"image {tmp_path}/clinic/2.nii is in train (line 2) and test (line 3); keep it in one split"
    ]


def test_an_image_by_itself_is_of_no_split(tmp_path):
    ((row,), problems) = rows_of_file(tmp_path / "a.b.nii.gz")
    assert (row.name, row.group, row.split, row.unsaid, problems) == ("a.b", "a.b", "", UNSAID, [])


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("https://example.org/a.png", "https://example.org/a.png is an address, and files are read from disks; fetch it"),
        ("s3://bucket/a.png", "s3://bucket/a.png is an address"),
        ("file:///data/a.png", "file:///data/a.png is an address"),
        ("images\\a.png", "images\\a.png: no such file; write / between folders, not \\"),
        ("C:\\data\\a.png", "C:\\data\\a.png: no such file; write / between folders"),
    ],
)
@pytest.mark.parametrize("column", ["image", "mask"])
def test_addresses_and_paths_of_windows_are_said_to_be_such(tmp_path, cell, said, column):
    cells = {"image": "a.png", "mask": "a.png", column: cell}
    (tmp_path / "m.csv").write_text(f"image,mask\n{cells['image']},{cells['mask']}\n")
    rows, (problem,) = rows_of_csv(tmp_path / "m.csv")
    assert rows == []
    assert problem.startswith(f"line 2: {said}")


def test_a_file_with_a_backslash_in_its_name_is_a_file(tmp_path):
    (tmp_path / "a\\b.png").write_bytes(b"")
    (tmp_path / "m.csv").write_text("image,name\na\\b.png,b\n")
    rows, problems = rows_of_csv(tmp_path / "m.csv")
    assert ([row.image for row in rows], problems) == ([tmp_path / "a\\b.png"], [])


def test_a_line_that_spreadsheets_write_for_themselves_is_passed_over(tmp_path):
    (tmp_path / "m.csv").write_text("sep=,\nimage,split\na.png,test\n")
    rows, problems = rows_of_csv(tmp_path / "m.csv")
    assert ([row.split for row in rows], problems) == (["test"], [])
    (tmp_path / "m.csv").write_text("sep=;\nimage;split\na.png;test\n")
    with pytest.raises(TedmError, match=r"m.csv: begins with `sep=;`; separate columns by commas, and delete that line"):
        rows_of_csv(tmp_path / "m.csv")


def test_pipes_are_never_waited_for(tmp_path):
    (tmp_path / "images").mkdir()
    os.mkfifo(tmp_path / "images" / "z.png")
    os.mkfifo(tmp_path / "images" / "notes")
    rows, problems = rows_of_folder(tmp_path)
    assert (rows, problems) == ([], ["z.png: no file, but a pipe or a device; take it out"])
    with pytest.raises(TedmError, match=r"z\.png is no file, but a pipe or a device; name a file"):
        find_rows(tmp_path / "images" / "z.png", ())
