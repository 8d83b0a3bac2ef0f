"""Arrays in, masks out: the same bits as tedm-predict's of files, once made ready, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tedm
from tedm.cli import predict
from tedm.errors import TedmError
from tedm.extract import load_backbone
from tedm.extract.backbones import Backbone, random_backbone
from tedm.heads import Cleaning, Segmenter, load_head

RNG = np.random.default_rng(3)
Y, X = np.mgrid[:24, :19]
SCAN = (90 + 3 * Y + 60 * ((Y - 9) ** 2 + (X - 8) ** 2 < 30) + RNG.normal(0, 9, Y.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def ready(fitted: Path, checkpoint: Path) -> tuple[Segmenter, Backbone]:
    return load_head(fitted), load_backbone(checkpoint)


def predicted(folder: Path, values: Any, fitted: Path, checkpoint: Path, *options: str) -> Path:
    """What tedm-predict writes for an array as the file scan.png."""
    from click.testing import CliRunner

    (folder / "images").mkdir()
    Image.fromarray(values).save(folder / "images" / "scan.png")
    arguments = [fitted, folder / "images", folder / "masks", "--checkpoint", checkpoint, "--device", "cpu", *options]
    result = CliRunner().invoke(predict.main, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    return folder / "masks"


@pytest.mark.parametrize("values", [SCAN, SCAN.astype(np.uint16) * 257, np.stack([SCAN] * 3, -1)], ids=["8", "16", "RGB"])
def test_the_mask_of_an_array_is_that_of_tedm_predict_for_a_png(
    tmp_path: Path, fitted: Path, checkpoint: Path, ready: tuple[Segmenter, Backbone], values: np.ndarray[Any, Any]
) -> None:
    masks = predicted(tmp_path, values, fitted, checkpoint, "--probabilities")
    with Image.open(masks / "scan.png") as mask:
        expected = np.asarray(mask)
    result = tedm.segment(values, *ready, name="scan", device="cpu")
    np.testing.assert_array_equal(result.mask, expected)
    assert result.mask.dtype == expected.dtype
    assert set(np.unique(expected)) == {0, 255}
    np.testing.assert_array_equal(result.probabilities, np.load(masks / "scan.npy"))


def test_a_mask_that_follows_edges_is_that_of_tedm_predict(
    tmp_path: Path, fitted: Path, checkpoint: Path, ready: tuple[Segmenter, Backbone]
) -> None:
    masks = predicted(tmp_path, SCAN, fitted, checkpoint, "--edges", "--fill-holes")
    result = tedm.segment(SCAN, *ready, name="scan", device="cpu", edges=True, cleaning=Cleaning(fill_holes=True))
    with Image.open(masks / "scan.png") as mask:
        np.testing.assert_array_equal(result.mask, np.asarray(mask))
    assert (result.mask != tedm.segment(SCAN, *ready, name="scan", device="cpu").mask).any()


def test_uncertainty_and_cleaned_masks_are_those_of_tedm_predict(
    tmp_path: Path, fitted: Path, checkpoint: Path, ready: tuple[Segmenter, Backbone]
) -> None:
    masks = predicted(tmp_path, SCAN, fitted, checkpoint, "--uncertainty", "--timesteps", "50", "--largest", "1")
    result = tedm.segment(SCAN, *ready, name="scan", device="cpu", timesteps=[50], cleaning=Cleaning(largest=1))
    found = sorted(masks.rglob("*.png"))
    pictures = {path.stem: np.asarray(Image.open(path)) for path in found}
    np.testing.assert_array_equal(result.mask, pictures["scan"])
    np.testing.assert_array_equal(np.rint(255 * result.uncertainty), pictures["scan-entropy"])
    np.testing.assert_array_equal(np.rint(255 * result.disagreement), pictures["scan-disagreement"])


def test_paths_do_as_well_as_what_was_read_from_them(
    fitted: Path, checkpoint: Path, ready: tuple[Segmenter, Backbone], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = tedm.segment(SCAN, str(fitted), str(checkpoint), device="cpu")
    np.testing.assert_array_equal(one.probabilities, tedm.segment(SCAN, *ready, device="cpu").probabilities)
    assert list(tmp_path.iterdir()) == []


def test_slices_of_a_volume_are_segmented_as_images_are(ready: tuple[Segmenter, Backbone]) -> None:
    volume = np.stack([SCAN, SCAN[::-1], SCAN // 2], axis=1)
    result = tedm.segment(volume, *ready, name="ct", axis=1, device="cpu")
    assert result.mask.shape == volume.shape
    assert result.probabilities.shape == (*volume.shape, 2)
    assert result.uncertainty.shape == volume.shape
    for at in range(3):
        alone = tedm.segment(volume[:, at], *ready, name=f"ct_{at:03d}", device="cpu")
        np.testing.assert_array_equal(result.mask[:, at], alone.mask)
        np.testing.assert_array_equal(result.probabilities[:, at], alone.probabilities)


def test_a_session_reads_its_head_and_backbone_once(fitted: Path, checkpoint: Path, tmp_path: Path) -> None:
    copy = tmp_path / "backbone.safetensors"
    copy.write_bytes(checkpoint.read_bytes())
    with pytest.raises(TedmError, match="is a head and stands where the backbone belongs; name the head before its"):
        tedm.Session(copy, fitted, device="cpu")
    session = tedm.Session(fitted, copy, device="cpu")
    copy.unlink()
    first, second = session.segment(SCAN), session.segment(SCAN)
    np.testing.assert_array_equal(first.probabilities, second.probabilities)
    assert repr(session).startswith("Session(<Segmenter")


def test_a_head_that_looks_at_images_needs_no_backbone(ready: tuple[Segmenter, Backbone], looking: Segmenter) -> None:
    result = tedm.segment(SCAN, looking)
    assert result.mask.shape == SCAN.shape
    with pytest.raises(TedmError, match="looks at images and needs no backbone"):
        tedm.segment(SCAN, looking, ready[1])


@pytest.fixture(scope="module")
def looking(extracted: Path) -> Segmenter:
    from tedm.heads import fit, method_named
    from tedm.store import FeatureStore

    pytest.importorskip("monai")
    return fit(FeatureStore.open(extracted), method_named("unet"), iterations=1)


def test_a_range_that_fits_badly_is_a_warning(ready: tuple[Segmenter, Backbone]) -> None:
    with pytest.warns(UserWarning, match="nearly black where white is 65535"):
        tedm.segment(SCAN.astype(np.uint16), *ready, device="cpu")


def test_another_range_is_of_the_array_alone(ready: tuple[Segmenter, Backbone]) -> None:
    low = tedm.segment(SCAN.astype(np.int16) - 100, *ready, intensity_range=(-100, 155), device="cpu")
    np.testing.assert_array_equal(low.probabilities, tedm.segment(SCAN, *ready, device="cpu").probabilities)


def test_what_cannot_be_segmented_is_refused(ready: tuple[Segmenter, Backbone], tmp_path: Path) -> None:
    head, backbone = ready
    of_volumes = replace(head, settings=replace(head.settings, axis="axial"))
    refusals: list[tuple[Any, Any, Any, str]] = [
        (SCAN, head, None, "give the one that the head's store was made with"),
        (SCAN, head, random_backbone(seed=5), "the backbone is not the backbone of this head"),
        (SCAN, tmp_path / "none", backbone, "none does not exist; make one with tedm-fit"),
        (SCAN, head, tmp_path / "none.pt", "none.pt"),
        (SCAN, of_volumes, backbone, "learned from volumes in files"),
        (SCAN.astype(float), head, backbone, "floats without a range are intensities from 0 to 1"),
        (np.stack([SCAN] * 5), head, backbone, "19 channels in the last axis"),
    ]
    for image, of, given, said in refusals:
        with pytest.raises(TedmError, match=said):
            tedm.segment(image, of, given, device="cpu")


def test_importing_tedm_loads_nothing_heavy() -> None:
    code = (
        "import tedm, sys; print(sorted({'numpy', 'torch', 'zarr', 'sklearn', 'matplotlib'} & set(sys.modules)), tedm.__all__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[] ['Segmentation', 'Session'")
