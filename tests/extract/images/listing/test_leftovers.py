"""What is in a folder or a table is used, refused, or named as left out."""

from __future__ import annotations

import shutil
import unicodedata

import numpy as np
import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.extract import labels_of
from tedm.extract.images import read_manifest

PICTURE = np.random.default_rng(3).integers(0, 256, (9, 11), np.uint8)
MASK = (PICTURE > 99).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """A folder `clinic` with images and masks a and b."""
    root = tmp_path / "clinic"
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for name in "ab":
        save(root / "images" / f"{name}.png")
        save(root / "masks" / f"{name}.png", MASK)
    return root


def save(path, array=PICTURE, **options):
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(array).save(path, **options)


def test_a_clean_folder_and_a_clean_table_leave_nothing_to_say(folder):
    for name in ("README.md", "LICENSE", "images/Thumbs.db", "images/.DS_Store", "images/notes.txt", "masks/desktop.ini"):
        (folder / name).write_text("nobody's business")
    save(folder / "images" / "._a.png")
    assert read_manifest(folder, strict=True).remarks == ()
    (folder / "manifest.csv").write_text("image,mask\nimages/a.png,masks/a.png\nimages/b.png,\n")
    (folder / "masks" / "b.png").unlink()
    assert read_manifest(folder, strict=True).remarks == ()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("images/c.pnf", "1 file not read (c.pnf)"),
        ("images/scan0007", "1 file not read (scan0007)"),
        ("images/.c.png", "1 file not read (.c.png)"),
        ("masks/b.png~", "1 file not read (b.png~)"),
        ("images/second/c.png", "1 folder not looked into: images/second/ with 1 picture"),
        ("images/2024/05/c.png", "1 folder not looked into: images/2024/ with 1 picture"),
        ("labels/a.png", "1 folder not looked into: labels/ with 1 picture;"),
        ("test/a.mha", "1 folder not looked into: test/ with 1 picture;"),
        ("c.png", "1 picture beside images/ not read (c.png)"),
        ("images/c.png", "1 of 3 images without a mask in masks/ (c.png)"),
        ("images/c.JFIF", "1 of 3 images without a mask in masks/ (c.JFIF)"),
    ],
)
def test_what_a_folder_holds_besides_is_named_and_refused_if_strict(folder, made, said):
    path = folder / made
    path.parent.mkdir(exist_ok=True, parents=True)
    save(path, format="JPEG" if made.endswith("JFIF") else "PNG")
    (remark,) = read_manifest(folder).remarks
    assert said in remark
    with pytest.raises(TedmError, match="--strict refuses") as refused:
        read_manifest(folder, strict=True)
    assert said in str(refused.value)


def test_a_jfif_file_is_a_jpeg(folder):
    save(folder / "images" / "c.jfif", format="JPEG")
    assert [entry.name for entry in read_manifest(folder).entries] == ["a", "b", "c"]


@pytest.mark.parametrize("link", ["images/c.png", "masks/b.png", "masks/c.png"])
def test_a_link_to_nothing_is_refused_with_its_name(folder, link):
    (folder / link).unlink(missing_ok=True)
    (folder / link).symlink_to("../.git/annex/objects/x")
    with pytest.raises(TedmError) as refused:
        read_manifest(folder)
    assert link.split("/")[1] in str(refused.value)
    if link != "masks/c.png":
        assert "a link to ../.git/annex/objects/x, which is not there; fetch it" in str(refused.value)


@pytest.mark.parametrize("link", ["images", "masks", "manifest.csv"])
def test_a_folder_or_table_that_is_a_link_to_nothing_is_refused(folder, link):
    if (folder / link).is_dir():
        shutil.rmtree(folder / link)
    (folder / link).symlink_to("/mnt/disk/away")
    with pytest.raises(TedmError, match=rf"{link}: a link to /mnt/disk/away, which is not there"):
        read_manifest(folder)


@pytest.mark.parametrize(("name", "meant"), [("Images", "images"), ("imgs", "images"), ("labels", "masks"), ("Mask", "masks")])
def test_a_folder_of_another_name_gets_a_hint(folder, name, meant):
    (folder / meant).rename(folder / name)
    if meant == "images":
        with pytest.raises(TedmError, match=rf"no images; (.|\n)*{name}/ with 2 pictures \(did you mean images/\?\)"):
            read_manifest(folder)
    else:
        assert f"{name}/ with 2 pictures (did you mean masks/?)" in read_manifest(folder).remarks[0]


def test_masks_beside_images_that_lie_in_no_folder_are_named(folder):
    for path in (folder / "images").iterdir():
        path.rename(folder / path.name)
    (folder / "images").rmdir()
    assert "masks/ with 2 pictures (masks are paired with the images in a folder images/" in read_manifest(folder).remarks[0]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("subset", "subset (did you mean split?)"),
        ("Set", "set (did you mean split?)"),
        ("splits", "splits (did you mean split?)"),
        ("label", "label (did you mean mask?)"),
        ("mask_path", "mask_path (did you mean mask?)"),
        ("Ground Truth", "ground truth (did you mean mask?)"),
        ("subject_id", "subject_id (did you mean patient?)"),
        ("pateint", "pateint (did you mean patient?)"),
        ("site", "site (did you mean domain?)"),
        ("diagnosis", "column diagnosis not read"),
    ],
)
def test_a_column_that_nothing_reads_is_named_with_what_may_be_meant(folder, column, said):
    table = folder / "list.csv"
    table.write_text(f"image,{column}\nimages/a.png,x\nimages/b.png,y\n")
    (remark,) = read_manifest(table).remarks
    assert said in remark
    with pytest.raises(TedmError, match="--strict refuses"):
        read_manifest(table, strict=True)


def test_a_column_that_is_there_is_not_meant_twice(folder):
    (folder / "list.csv").write_text("image,split,subset\nimages/a.png,train,x\n")
    assert "column subset not read" in read_manifest(folder / "list.csv").remarks[0]


def test_pictures_that_a_folders_table_does_not_name_are_left_out_and_said(folder):
    (folder / "manifest.csv").write_text("image,mask\nimages/a.png,masks/a.png\n")
    save(folder / "images" / "more" / "c.png")
    pictures, folders = read_manifest(folder).remarks
    assert pictures.startswith("2 pictures not named in manifest.csv (images/b.png, masks/b.png)")
    assert "images/more/ with 1 picture" in folders
    assert read_manifest(folder / "manifest.csv").remarks == ()  # a table that is named itself says what is wanted


@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_two_spellings_of_one_name_are_one_name(tmp_path, written):
    image, other = "Müller é", "NFD" if written == "NFC" else "NFC"
    save(tmp_path / "images" / f"{unicodedata.normalize(written, image)}.png")
    save(tmp_path / "masks" / f"{unicodedata.normalize(other, image)}.png", MASK)
    manifest = read_manifest(tmp_path, strict=True)
    assert manifest.entries[0].mask is not None
    name = unicodedata.normalize(other, image)
    table = tmp_path / "list.csv"
    table.write_text(f"image,mask\nimages/{name}.png,masks/{name}.png\n", encoding="utf-8")
    assert read_manifest(table, strict=True).classes == (0, 1)
    assert read_manifest(table, only_masks_of=labels_of(manifest)).entries[0].name == manifest.entries[0].name


@pytest.mark.parametrize(
    ("mask", "rename"), [("c_mask", "c"), ("c-seg", "c"), ("mask_c", "c"), ("c_labels", "c"), ("C", "c"), ("x", None)]
)
def test_a_mask_whose_name_is_nearly_an_images_is_refused_with_a_hint(folder, mask, rename):
    save(folder / "images" / "c.png")
    save(folder / "masks" / f"{mask}.png", MASK)
    with pytest.raises(TedmError) as refused:
        read_manifest(folder)
    assert f"masks/{mask}.png: no image of this stem" in str(refused.value)
    assert (f"rename it to {rename}.png if it is the mask of {rename}" in str(refused.value)) == (rename is not None)


@pytest.mark.parametrize("name", ["Manifest.csv", "labels.tsv", "splits.xlsx"])
def test_a_table_beside_the_folders_is_said_not_to_be_read(folder, name):
    (folder / name).write_text("image,split\nimages/a.png,test\n")
    (remark,) = read_manifest(folder).remarks
    assert f"1 table not read ({name}): a folder's table is called manifest.csv" in remark
