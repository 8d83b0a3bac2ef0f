"""Pictures of what was predicted, at the images' own size."""

from __future__ import annotations

import csv
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import Forked
from scans import voxels_in

from tedm.errors import TedmError
from tedm.extract import load_backbone
from tedm.heads import load_head
from tedm.study import predict_folder
from tedm.study.masks.overlays import with_overlays

ORANGE = (0xE6, 0x9F, 0)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_an_overlay_is_the_image_where_the_mask_is_background_and_has_its_legend_below(
    extracted, fitted, dataset, checkpoint, tmp_path
):
    head = replace(load_head(fitted), class_names=("background", "lung"))
    live = {"backbone": load_backbone(checkpoint), "device": "cpu"}
    predict_folder(tmp_path / "store", head, extracted, overlay=True)
    names = predict_folder(tmp_path / "files", head, dataset, overlay=True, **live)
    for folder in ("store", "files"):
        there = {path.name for path in (tmp_path / folder / "overlays").iterdir()}
        assert there == {*(f"{name}.png" for name in names), "contact-sheet.png"}
    for name in names:
        image = pixels(dataset.parent / "images" / f"{name}.png")
        with Image.open(tmp_path / "files" / f"{name}.png") as mask:
            found = np.asarray(mask) == 255
        drawn = pixels(tmp_path / "files" / "overlays" / f"{name}.png")
        height, width = found.shape
        np.testing.assert_array_equal(drawn[:height, :width][~found], image[~found])
        assert (drawn[:height, :width][found] != image[found]).any(axis=-1).mean() > 0.9
        assert (drawn[height:] == ORANGE).all(axis=-1).sum() > 60
        enlarged = pixels(tmp_path / "store" / "overlays" / f"{name}.png")
        assert enlarged.shape == drawn.shape
        assert np.abs(enlarged[:height, :width][~found].astype(int) - image[~found]).mean() < 25
    lines = list(csv.reader((tmp_path / "files" / "classes.csv").read_text().splitlines()))
    assert lines == [["value", "name", "colour"], ["0", "background", "#000000"], ["255", "lung", "#e69f00"]]


@pytest.mark.parametrize("kind", ["16 bits", "float"])
def test_images_of_other_numbers_are_seen_as_the_head_sees_them(fitted, dataset, checkpoint, tmp_path, kind):
    with Image.open(dataset.parent / "images" / "scan 5.png") as image:
        eight = np.asarray(image)
    (tmp_path / "images").mkdir()
    if kind == "16 bits":  # 12 bits of a scanner in a file of 16: black, if white were the file's
        Image.fromarray(eight.astype(np.uint16) * 16).save(tmp_path / "images" / "scan 5.png")
        white = 255 * 16
    else:
        Image.fromarray(eight.astype(np.float32) / 100 - 1).save(tmp_path / "images" / "scan 5.tif")
        white = 1.55
    head = load_head(fitted)
    ranges = (0.0, white) if kind == "16 bits" else (-1.0, white)
    head = replace(head, settings=replace(head.settings, intensity_range=ranges))
    live = {"backbone": load_backbone(checkpoint), "device": "cpu", "overlay": True}
    predict_folder(tmp_path / "out", head, tmp_path / "images", **live)
    with Image.open(tmp_path / "out" / "scan 5.png") as mask:
        found = np.asarray(mask) == 255
    drawn = pixels(tmp_path / "out" / "overlays" / "scan 5.png")[: found.shape[0], : found.shape[1]]
    assert np.abs(drawn[~found].astype(int) - eight[~found][:, None]).max() <= 1


def test_slices_of_a_volume_are_drawn_with_what_was_written_of_them(volume_study, checkpoint, tmp_path):
    head, live = load_head(volume_study / "tedm"), {"backbone": load_backbone(checkpoint), "device": "cpu"}
    predict_folder(tmp_path / "store", head, volume_study / "store", overlay=True, uncertainty=True)
    predict_folder(tmp_path / "files", head, volume_study / "manifest.csv", overlay=True, **live)
    for folder in ("store", "files"):
        written = {path.name for path in (tmp_path / folder / "overlays").iterdir()}
        assert written == {"three.png", "again.png", "four.png", "contact-sheet.png"}
        mask = voxels_in(tmp_path / folder / "three.nii.gz")[0]
        drawn = pixels(tmp_path / folder / "overlays" / "three.png")
        assert (drawn == ORANGE).all(axis=-1).sum() > (mask == 4).sum() / 4


def test_a_run_that_was_killed_draws_the_rest_and_the_same_sheet(extracted, fitted, tmp_path):
    head = load_head(fitted)
    predict_folder(tmp_path / "whole", head, extracted, overlay=True)
    script = tmp_path / "dies.py"
    script.write_text(
        "import os, sys\nfrom pathlib import Path\nwritten = Path.replace\n"
        "def replace(self, target):\n"
        "    if 'overlays/scan 5' in str(target):\n"
        f"        os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
        "    return written(self, target)\n"
        "Path.replace = replace\n"
        "from tedm.cli.predict import main\nmain(sys.argv[1:])\n"
    )
    process = Forked(script, [extracted, fitted, tmp_path / "out", "--overlay"])
    process.communicate(timeout=120)
    assert (tmp_path / "out" / "scan 5.png").exists()
    assert not (tmp_path / "out" / "overlays" / "contact-sheet.png").exists()
    predict_folder(tmp_path / "out", head, extracted, overlay=True)
    files = {path.relative_to(tmp_path / "whole"): path for path in (tmp_path / "whole").rglob("*.*")}
    assert {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.*")} == set(files)
    for name, path in files.items():
        assert (tmp_path / "out" / name).read_bytes() == path.read_bytes(), name
    (tmp_path / "out" / "overlays" / "contact-sheet.png").unlink()
    (tmp_path / "out" / "overlays" / "scan 4.png").write_bytes(b"not a picture")
    with pytest.raises(TedmError, match=r"scan 4.png is no overlay any more .*; delete it, and run the same command again"):
        predict_folder(tmp_path / "out", head, extracted, overlay=True)


@pytest.mark.parametrize("name", ["contact-sheet", "Contact-Sheet"])
def test_an_image_called_as_the_sheet_is_refused(name):
    with pytest.raises(TedmError, match=r"would become overlays/contact-sheet.png, the sheet of all images; extract it under"):
        with_overlays({"a": ["a.png"], name: [f"{name}.png"]})
    assert with_overlays({"a": ["a.png"]}) == {"a": ["a.png", "overlays/a.png"]}
