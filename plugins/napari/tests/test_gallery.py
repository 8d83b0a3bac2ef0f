"""What can be opened, and what is said where it cannot; without napari and Qt."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from napari_tedm.gallery import open_gallery
from PIL import Image

from tedm.errors import TedmError
from tedm.extract.backbones import random_backbone, save_backbone
from tedm.heads import fit, load_head, save_head


def test_an_image_of_a_store_is_seen_sharply_where_its_file_is_known(work):
    """Else as the store keeps it, at its own size, and that is said."""
    original = np.asarray(Image.open(work / "lungs" / "images" / "scan 1.png"))
    coarse = open_gallery(work / "features").scene("scan 1")
    sharp = open_gallery(work / "features", images=work / "lungs").scene("scan 1")
    assert np.array_equal(sharp.picture, original)
    assert not sharp.remarks
    assert coarse.shape == original.shape
    assert coarse.remarks == (
        "scan 1 is shown as the store keeps it, of 16 x 16 pixels; choose the folder of its images to see it sharply",
    )


def test_an_image_whose_file_changed_is_seen_as_the_store_has_it(work, tmp_path):
    shutil.copytree(work / "lungs" / "images", tmp_path / "images")
    Image.fromarray(np.full((44, 36), 9, np.uint8)).save(tmp_path / "images" / "scan 1.png")
    scene = open_gallery(work / "features", images=tmp_path / "images").scene("scan 1")
    assert "its file was not found, or shows something else by now" in scene.remarks[0]


def test_the_classes_are_those_of_the_head_then_of_the_store_else_a_background_and_an_object(work):
    assert open_gallery(work / "features", head=work / "head").classes.values == (0, 255)
    assert open_gallery(work / "features").classes.names == ("class 0", "class 255")
    file = work / "lungs" / "images" / "scan 0.png"
    assert open_gallery(file, checkpoint=work / "tiny.safetensors").classes.names == ("background", "object")


def test_a_folder_of_images_is_opened_with_a_checkpoint(work):
    gallery = open_gallery(work / "lungs", checkpoint=work / "tiny.safetensors")
    assert gallery.titles == tuple(f"scan {number}" for number in range(4))
    assert gallery.store is None
    assert gallery.files()["scan 2"] == work / "lungs" / "images" / "scan 2.png"
    assert np.array_equal(gallery.scene("scan 2").picture, np.asarray(Image.open(gallery.files()["scan 2"])))


def test_a_volume_is_one_picture_of_its_slices(work):
    gallery = open_gallery(work / "scan.nii.gz", checkpoint=work / "tiny.safetensors")
    scene = gallery.scene("scan")
    assert gallery.titles == ("scan",)
    assert scene.is_volume
    assert scene.shape == (6, 14, 18)
    assert len(scene.names) == 6
    assert gallery.remarks[0].startswith("black and white of volumes are quantiles")


def test_a_head_sees_an_image_with_its_own_settings(work):
    gallery = open_gallery(work / "lungs" / "images" / "scan 0.png", head=work / "head", checkpoint=work / "tiny.safetensors")
    assert gallery.features.settings.timesteps == (50,)


def test_a_head_whose_backbone_is_not_at_hand_says_which_and_where_it_goes(work):
    sha = load_head(work / "head").settings.checkpoint_sha256
    with pytest.raises(TedmError) as caught:
        open_gallery(work / "lungs", head=work / "head")
    assert f"the file with the SHA-256 {sha}; keep it anywhere, and choose it as checkpoint" in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"source": "gone"}, "gone does not exist"),
        ({"source": "lungs"}, "its features are computed, and that takes the checkpoint of a diffusion model"),
        ({"source": "features", "checkpoint": "tiny.safetensors"}, "is a feature store.*leave the checkpoint out"),
        ({"source": "features", "head": "features"}, "head.json"),
        ({"source": "lungs", "checkpoint": "tiny.safetensors", "images": "lungs"}, "leave the folder of images out"),
        ({"source": "lungs", "head": "head", "checkpoint": "other.safetensors"}, "is not the backbone of this head"),
        ({"source": "lungs", "checkpoint": "scan.nii.gz"}, "scan.nii.gz"),
        ({"source": "empty", "checkpoint": "tiny.safetensors"}, "empty"),
        ({"source": "tiny.safetensors", "checkpoint": "tiny.safetensors"}, "tiny.safetensors"),
        ({"source": "flat.png", "checkpoint": "tiny.safetensors"}, "flat"),
        ({"source": "colour.png", "checkpoint": "tiny.safetensors"}, "colour"),
        ({"source": "colour.png", "head": "head", "checkpoint": "tiny.safetensors"}, "colour"),
        ({"source": "cut.png", "checkpoint": "tiny.safetensors"}, "cut.png"),
    ],
)
def test_what_cannot_be_opened_is_said_in_a_sentence(asked, message, work):
    rng = np.random.default_rng(1)
    save_backbone(random_backbone(seed=8), work / "other.safetensors")
    (work / "empty").mkdir(exist_ok=True)
    Image.fromarray(np.full((20, 20), 7, np.uint8)).save(work / "flat.png")
    Image.fromarray(rng.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(work / "colour.png")
    (work / "cut.png").write_bytes((work / "colour.png").read_bytes()[:200])
    places: dict[str, Path] = {name: work / place for name, place in asked.items()}
    with pytest.raises(TedmError, match=message):
        open_gallery(**places).scene("colour")


def test_a_name_that_is_not_there_is_said(work):
    with pytest.raises(TedmError, match="there is no image scan 9"):
        open_gallery(work / "features").scene("scan 9")


def test_a_head_that_looks_at_images_has_nothing_to_learn_from_strokes_with(work, tmp_path):
    pytest.importorskip("monai", reason="needs monai")
    unet = fit(work / "features", "unet", iterations=1)
    save_head(unet, tmp_path / "unet")
    with pytest.raises(TedmError, match=r"looks at images \(unet\), and has no features to learn from strokes with"):
        open_gallery(work / "features", head=tmp_path / "unet")
