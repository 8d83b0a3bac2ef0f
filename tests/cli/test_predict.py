"""tedm-predict: masks at the images' own sizes, from a store and from images."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image
from scans import voxels_in

from tedm.cli import predict

COMMANDS = {"predict": predict.main}
QUICK = ["--precision", "float32", "--threads", "1", "--device", "cpu"]


def run(command, *arguments, code=0):
    """Run a command; its stdout and stderr. A traceback is a failure whatever the code."""
    result = CliRunner().invoke(COMMANDS[command], [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def pictures(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.rglob("*.*")) if file.name != "prediction.json"}


def test_masks_come_out_at_the_images_own_sizes_and_values(extracted, fitted, dataset, checkpoint, tmp_path):
    run("predict", fitted, extracted, tmp_path / "from store", "--device", "cpu", "--probabilities")
    from_images = [dataset, tmp_path / "from images", "--checkpoint", checkpoint, "--device", "cpu", "--probabilities"]
    run("predict", fitted, *from_images)
    assert pictures(tmp_path / "from store") == pictures(tmp_path / "from images")
    for row in csv.DictReader(dataset.read_text().splitlines()):
        if row["split"] != "test":
            continue
        stem = Path(row["image"]).stem
        with Image.open(dataset.parent / row["mask"]) as truth, Image.open(tmp_path / "from store" / f"{stem}.png") as mask:
            assert mask.size == truth.size
            assert set(np.unique(mask)) <= {0, 255}
            assert mask.mode == "P"
            seen = set(np.unique(np.asarray(mask.convert("RGB")).reshape(-1, 3), axis=0)[:, 0].tolist())
            assert seen <= {0, 0xE6}, "the background is black, the other class orange"
        probabilities = np.load(tmp_path / "from store" / f"{stem}.npy")
        np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
    assert len(list((tmp_path / "from store").glob("*.png"))) == 3


def test_uncertainty_is_written_as_pictures_and_means(extracted, fitted, tmp_path):
    run("predict", fitted, extracted, tmp_path / "plain", "--device", "cpu")
    run("predict", fitted, extracted, tmp_path / "sure", "--device", "cpu", "--uncertainty")
    written, masks = pictures(tmp_path / "sure"), pictures(tmp_path / "plain")
    rows = list(csv.DictReader(written.pop("uncertainty.csv").decode().splitlines()))
    assert {f"{row['image']}.png" for row in rows} == set(masks) - {"classes.csv"}
    for row in rows:
        for kind in ("entropy", "disagreement"):
            with (
                Image.open(tmp_path / "sure" / "uncertainty" / f"{row['image']}-{kind}.png") as map_,
                Image.open(tmp_path / "plain" / f"{row['image']}.png") as mask,
            ):
                assert (map_.size, map_.mode) == (mask.size, "L")
            assert 0 < float(row[kind]) < 1
            del written[f"{row['image']}-{kind}.png"]
    assert written == masks


def test_another_backbone_than_the_heads_is_refused(fitted, dataset, tmp_path):
    from tedm.extract.backbones import random_backbone, save_backbone

    save_backbone(random_backbone(seed=1), tmp_path / "other.safetensors")
    result = run("predict", fitted, dataset, tmp_path / "out", "--checkpoint", tmp_path / "other.safetensors", code=1)
    assert "is not the backbone of this head" in result.stderr


def test_a_volume_is_predicted_into_a_label_map_and_maps_of_its_own_shape(volume_study, checkpoint, tmp_path):
    image = volume_study / "images" / "four.nrrd"
    options = ["--checkpoint", checkpoint, "--device", "cpu", "--format", "nifti", "--uncertainty", "--largest", 1]
    result = run("predict", volume_study / "tedm", image, tmp_path / "out", *options)
    assert "1 mask by tedm (soft vote), cleaned: largest=1" in result.stdout
    assert {path.name for path in (tmp_path / "out").rglob("*.*")} == {
        *("four.nii.gz", "four-entropy.nii.gz", "four-disagreement.nii.gz", "uncertainty.csv", "classes.csv", "prediction.json")
    }
    numbers, affine = voxels_in(image)
    for file in ("four.nii.gz", "uncertainty/four-entropy.nii.gz"):
        voxels, its = voxels_in(tmp_path / "out" / file)
        assert voxels.shape == numbers.shape
        np.testing.assert_allclose(its, affine, atol=1e-4)
    refused = run("predict", volume_study / "tedm", volume_study / "store", tmp_path / "seg", "--format", "dicom-seg", code=1)
    assert len(refused.output.strip().splitlines()) == 1
    assert "--format dicom-seg is for DICOM series" in refused.output
    assert not (tmp_path / "seg").exists()


def test_pictures_by_themselves_are_predicted_and_the_order_of_the_arguments_is_free(
    extracted, fitted, dataset, checkpoint, tmp_path
):
    images, quick = [dataset.parent / "images" / f"scan {number}.png" for number in (5, 6)], ["--device", "cpu"]
    run("predict", extracted, fitted, tmp_path / "store", *quick)
    run("predict", fitted, extracted, tmp_path / "as before", *quick)
    assert pictures(tmp_path / "as before") == pictures(tmp_path / "store")
    quick += ["--checkpoint", checkpoint]
    said = run("predict", images[0], fitted, tmp_path / "one", *quick)
    assert "1 mask by tedm" in said.stdout
    run("predict", *images, fitted, tmp_path / "two", *quick)
    run("predict", fitted, *images, tmp_path / "two as before", *quick)
    assert set(pictures(tmp_path / "one")) == {"scan 5.png", "classes.csv"}
    assert pictures(tmp_path / "two") == pictures(tmp_path / "two as before")
    for name, content in (pictures(tmp_path / "two") | pictures(tmp_path / "one")).items():
        assert pictures(tmp_path / "store")[name] == content


def test_arguments_that_name_no_head_two_heads_or_a_store_to_write_to_are_refused(extracted, fitted, dataset, tmp_path):
    image = dataset.parent / "images" / "scan 5.png"
    (tmp_path / "empty").mkdir()
    cases = [
        ((), 2, "name what is segmented, the head and the folder for the masks"),
        ((fitted, extracted), 2, "name what is segmented, the head and the folder for the masks"),
        ((fitted, fitted, tmp_path / "out"), 2, "are heads; one of them segments"),
        ((fitted, tmp_path / "out", extracted), 2, "is a feature store, and masks are written to the last place"),
        ((extracted, tmp_path / "out", fitted), 2, "is a head, and masks are written to the last place"),
        ((tmp_path / "absent", extracted, tmp_path / "out"), 1, "absent does not exist; name what is segmented, the head and"),
        ((extracted, tmp_path / "empty", tmp_path / "out"), 1, "empty is no head .it has no head.json.; name what is segm"),
        (
            (image, extracted, fitted, tmp_path / "out"),
            1,
            "is a feature store, one of 2 places; name it alone, or images alone",
        ),
        (
            (tmp_path / "gone.png", fitted, tmp_path / "out"),
            1,
            "is no feature store; to predict from images, name the backbone",
        ),
    ]
    for places, code, words in cases:
        said = run("predict", *places, code=code).stderr
        assert re.search(words, " ".join(said.split())), said
    assert not (tmp_path / "out").exists()


def test_the_same_command_again_goes_on_and_says_what_is_there(extracted, fitted, tmp_path):
    run("predict", extracted, fitted, tmp_path / "out", "--device", "cpu")
    before = pictures(tmp_path / "out")
    (tmp_path / "out" / "scan 5.png").unlink()
    said = run("predict", extracted, fitted, tmp_path / "out", "--device", "cpu")
    assert "2 of 3 masks are in" in said.stderr
    assert pictures(tmp_path / "out") == before
    refused = run("predict", extracted, fitted, tmp_path / "out", "--vote", "hard", code=1)
    assert refused.stderr.startswith(
        f"tedm: {tmp_path / 'out'} holds masks that were made otherwise (vote: soft there, hard here)"
    )
    assert len(refused.stderr.splitlines()) == 1


def test_black_and_white_of_another_scanner_can_be_named(fitted, extracted, dataset, checkpoint, tmp_path):
    """Twelve bits in files of sixteen: dark, which is said with the option that mends it."""
    names = [Path(row["image"]).name for row in csv.DictReader(dataset.read_text().splitlines()) if row["split"] == "test"]
    for folder in ("eight", "twelve"):
        (tmp_path / folder).mkdir()
    for name in names:
        with Image.open(dataset.parent / "images" / name) as image:
            grey = np.asarray(image.convert("L"))
        Image.fromarray(grey).save(tmp_path / "eight" / name)
        Image.fromarray(grey.astype(np.uint16) * 16).save(tmp_path / "twelve" / name)
    of = ["--checkpoint", checkpoint, "--device", "cpu"]
    run("predict", tmp_path / "eight", fitted, tmp_path / "masks", *of)
    dark = run("predict", tmp_path / "twelve", fitted, tmp_path / "dark", *of)
    assert re.search(r"note: values of .* 16 bits reach .*, nearly black .*; --intensity-range=0,409[05]", dark.stderr)
    run("predict", tmp_path / "twelve", fitted, tmp_path / "mended", "--intensity-range", "0,4080", *of)
    assert pictures(tmp_path / "mended") == pictures(tmp_path / "masks") != pictures(tmp_path / "dark")
    other = run("predict", tmp_path / "twelve", fitted, tmp_path / "mended", "--intensity-range", "0,4095", *of, code=1)
    assert "intensity range" in other.stderr
    read = run("predict", extracted, fitted, tmp_path / "store", "--intensity-range", "0,4095", code=1)
    assert "whose images are read already: leave out --intensity-range" in read.stderr
