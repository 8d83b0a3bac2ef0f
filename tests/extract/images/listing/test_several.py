"""Several places are read as each would be alone, in the order in which they are named."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.extract.images import read_manifest
from tedm.extract.images.listing.several import found_in


def picture(path: Path, value: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.arange(value, value + 30, dtype=np.uint8).reshape(5, 6)).save(path)
    return path


@pytest.mark.parametrize("ending", [".png", ".PNG", ".jpg", ".tif", ".tiff"])
def test_a_picture_by_itself_is_one_image(tmp_path, ending):
    manifest = read_manifest(picture(tmp_path / f"a.b{ending}"))
    assert [(entry.name, entry.size) for entry in manifest.entries] == [("a.b", (5, 6))]
    assert manifest.remarks == ()


def test_pictures_folders_and_tables_are_read_together(tmp_path):
    alone = picture(tmp_path / "b.png")
    picture(tmp_path / "folder" / "images" / "a.png")
    picture(tmp_path / "folder" / "masks" / "a.png", 0)
    picture(tmp_path / "other" / "c.png")
    (tmp_path / "other" / "notes.bmp").write_bytes(b"")
    table = tmp_path / "t.csv"
    table.write_text("image,name,split\nother/c.png,d,test\n")
    manifest = read_manifest([alone, tmp_path / "folder", table])
    assert [(entry.name, entry.split, entry.domain) for entry in manifest.entries] == [
        ("b", "", tmp_path.name),
        ("a", "train", "folder"),
        ("d", "test", tmp_path.name),
    ]
    assert [path.name for path in manifest.entries[1].files] == ["a.png"]
    assert read_manifest([alone]) == read_manifest(alone)


def test_what_is_wrong_says_in_which_place(tmp_path):
    one, two = picture(tmp_path / "one" / "a.png"), picture(tmp_path / "two" / "a.png")
    table = tmp_path / "t.csv"
    table.write_text("image\none/b.png\n")
    (tmp_path / "cuts.webp").write_bytes(b"RIFF")
    for name, words in (("one", "background,lung"), ("two", "background,heart")):
        zero, first = words.split(",")
        (tmp_path / name / "classes.csv").write_text(f"value,name\n0,{zero}\n1,{first}\n")
    shutil.copy(one, tmp_path / "one" / "c.png")
    cases = [
        ([one, two], r"one/a.png, .*two/a.png: 2 images of the name a; give each its own"),
        ([one, one], "one/a.png is named twice; name each place once"),
        ([one, tmp_path / "absent.png"], "absent.png: no such file or folder"),
        ([], "no image is named"),
        ([one, table], "t.csv, line 2: .*b.png"),
        (tmp_path / "cuts.webp", r"cuts.webp: files of this kind are not read; convert it to one of .png, .jpg"),
        ([tmp_path / "one", tmp_path / "two"], "one/classes.csv and .*two/classes.csv name other classes"),
    ]
    for source, said in cases:
        with pytest.raises(TedmError, match=said):
            read_manifest(source)
    assert [row.where for row in found_in([one, table], ()).rows] == [str(one), f"{table}, line 2"]
