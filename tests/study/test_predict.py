"""Masks in a folder from Python: from a store and from images, and what is refused."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import nibabel as nib
import numpy as np
import pytest
import zarr
from dicom_files import write_series
from PIL import Image
from processes import Forked
from scans import image_of, labels_of, voxels_in, write_table, write_volume

from tedm.errors import TedmError
from tedm.extract import extract, load_backbone, read_manifest
from tedm.extract.backbones import random_backbone
from tedm.extract.images import VolumeOptions
from tedm.heads import Segmenter, fit, load_head, method_named, predict, save_head
from tedm.store import FeatureStore
from tedm.store.volumes.normalisation import Normalisation
from tedm.study import live_features, predict_folder
from tedm.study.stages import Progress, Stages

ALWAYS = ("classes.csv", "prediction.json")


def files_in(folder: Path) -> set[str]:
    """The files of a folder and of those in it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_masks_of_images_need_nothing_that_only_stores_and_overlays_need() -> None:
    heavy = "{'zarr', 'numcodecs', 'dask', 'scipy.ndimage', 'scipy.optimize', 'sklearn', 'matplotlib'}"
    asked = "from tedm.heads import load_head; from tedm.extract import load_backbone; from tedm.study import predict_folder"
    code = f"import sys; {asked}; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_features_on_the_fly_are_those_of_the_store(extracted: Path, fitted: Path, dataset: Path, checkpoint: Path) -> None:
    store = FeatureStore.open(extracted)
    live = live_features(load_head(fitted), dataset, load_backbone(checkpoint), timesteps=[50], device="cpu")
    assert live.settings == replace(store.settings, timesteps=(50,))
    names = store.labels.names[:2]
    for one, other in zip(live.blocks(names), store.blocks(names, [50]), strict=True):
        for mine, theirs in zip(one.cells, other.cells, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_uncertainty_of_images_is_that_of_the_prediction(
    extracted: Path, fitted: Path, dataset: Path, checkpoint: Path, tmp_path: Path
) -> None:
    head = load_head(fitted)
    options = {"backbone": load_backbone(checkpoint), "device": "cpu", "uncertainty": True}
    names = predict_folder(tmp_path / "masks", head, dataset, **options)
    lines = (tmp_path / "masks" / "uncertainty.csv").read_text().splitlines()
    assert lines[0] == "image,entropy,disagreement"
    predictions = predict(FeatureStore.open(extracted), {"head": head}, names, uncertainty=True)
    expected = [f"{each.name},{each.entropy.mean():.6f},{each.disagreement.mean():.6f}" for each in predictions]
    assert lines[1:] == expected
    for name in names:
        with Image.open(dataset.parent / "images" / f"{name}.png") as image:
            for file in (f"{name}.png", *(f"uncertainty/{name}-{kind}.png" for kind in ("entropy", "disagreement"))):
                with Image.open(tmp_path / "masks" / file) as picture:
                    assert picture.size == image.size


def test_the_images_of_a_split_and_a_domain_are_predicted(extracted: Path, fitted: Path, tmp_path: Path) -> None:
    said: list[str] = []
    names = predict_folder(tmp_path / "masks", load_head(fitted), extracted, split="train", domain="here", log=said.append)
    assert names == ["scan 1", "scan 3"]
    assert files_in(tmp_path / "masks") == {"scan 1.png", "scan 3.png", *ALWAYS}
    assert said == []


def test_a_backbone_that_is_missing_superfluous_or_another_is_refused(
    extracted: Path, fitted: Path, dataset: Path, tmp_path: Path
) -> None:
    head, other = load_head(fitted), random_backbone(seed=5)
    refusals = [
        (dataset, None, "name the backbone with --checkpoint"),
        (dataset, other, "other.pt is not the backbone of this head"),
        (extracted, other, "is a feature store: --checkpoint and --backbone are for images"),
    ]
    for source, backbone, said in refusals:
        with pytest.raises(TedmError, match=said):
            predict_folder(tmp_path / "masks", head, source, backbone=backbone, backbone_name="other.pt")
    assert not (tmp_path / "masks").exists()


def test_masks_are_not_spoken_of_where_their_folder_was_moved(extracted: Path, fitted: Path, tmp_path: Path) -> None:
    head = load_head(fitted)
    names = FeatureStore.open(extracted).labels.select(split="test")

    def moves_after(many: int) -> Stages:
        @contextlib.contextmanager
        def stage(what: str) -> Iterator[Progress]:
            yield lambda done, total, remark=None: (done == many and (tmp_path / "masks").rename(tmp_path / "moved")) and None

        return stage

    for many, said in (
        (1, "cannot write .*masks.*: No such file"),
        (len(names), f"{len(names)} of the {len(names)} files that"),
    ):
        with pytest.raises(TedmError, match=said):
            predict_folder(tmp_path / "masks", head, extracted, progress=moves_after(many))
        assert not (tmp_path / "masks").exists()
        (tmp_path / "moved").rename(tmp_path / f"moved {many}")


def test_a_folder_that_is_a_link_is_filled_where_it_leads(extracted: Path, fitted: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    names = predict_folder(tmp_path / "link", load_head(fitted), extracted)
    assert files_in(tmp_path / "real") == {*(f"{name}.png" for name in names), *ALWAYS}


def renamed(store: Path, names: dict[int, str], folder: Path) -> Path:
    """A copy of a store in which images have other names."""
    shutil.copytree(store, folder)
    for at, name in names.items():
        zarr.open_group(folder, mode="r+")["name"][at] = name
    return folder


@pytest.mark.parametrize("name", ["../../victim", "/tmp/victim", "a\\b", "nul\0", "line\nbreak", "\x1b[31m", "CON"])
def test_a_name_that_is_no_files_is_refused_before_the_work(extracted: Path, fitted: Path, tmp_path: Path, name: str) -> None:
    store = renamed(extracted, {5: name}, tmp_path / "store")
    with pytest.raises(TedmError, match=r"cannot write the masks of .*store under .* names:\n  image .*extract the image"):
        predict_folder(tmp_path / "deep" / "masks", load_head(fitted), store)
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize(("one", "other"), [("Scan", "scan"), ("e\u0301", "\u00e9")])
def test_images_of_which_two_files_would_be_one_are_refused_before_the_work(
    extracted: Path, fitted: Path, tmp_path: Path, one: str, other: str
) -> None:
    store = renamed(extracted, {4: one, 5: other}, tmp_path / "store")
    with pytest.raises(TedmError, match=r"would both become .*extract one of them under another name"):
        predict_folder(tmp_path / "masks", load_head(fitted), store, uncertainty=True)
    assert not (tmp_path / "masks").exists()


def test_an_image_called_as_a_map_of_another_is_keeps_its_own_files(extracted: Path, fitted: Path, tmp_path: Path) -> None:
    store = renamed(extracted, {4: "x", 5: "x-entropy", 6: "uncertainty"}, tmp_path / "store")
    predict_folder(tmp_path / "masks", load_head(fitted), store, uncertainty=True)
    names = ("x", "x-entropy", "uncertainty")
    maps = {f"uncertainty/{name}-{kind}.png" for name in names for kind in ("entropy", "disagreement")}
    assert files_in(tmp_path / "masks") == {*(f"{name}.png" for name in names), *maps, "uncertainty.csv", *ALWAYS}


def test_an_image_that_looks_like_a_formula_is_text_in_the_table(extracted: Path, fitted: Path, tmp_path: Path) -> None:
    store = renamed(extracted, {4: "=1+1"}, tmp_path / "store")
    predict_folder(tmp_path / "masks", load_head(fitted), store, uncertainty=True)
    assert (tmp_path / "masks" / "=1+1.png").is_file()
    assert (tmp_path / "masks" / "uncertainty.csv").read_text().splitlines()[1].startswith("'=1+1,0.")


# Volumes.


def study_files(study: Path) -> dict[str, Path]:
    """The image of each test volume, by its name."""
    found = {path.name.partition(".")[0]: path for path in (study / "images").iterdir()}
    return {name: found[name] for name in ("three", "again", "four")}


def test_masks_of_volumes_from_a_store_and_from_the_files_are_equal_and_lie_upon_the_images(
    volume_study: Path, checkpoint: Path, tmp_path: Path
) -> None:
    head, backbone, told = load_head(volume_study / "tedm"), load_backbone(checkpoint), []

    @contextlib.contextmanager
    def stage(what: str) -> Iterator[Progress]:
        yield lambda done, total, remark=None: told.append((done, total))

    names = predict_folder(tmp_path / "store", head, volume_study / "store", progress=stage)
    predict_folder(tmp_path / "files", head, volume_study / "manifest.csv", backbone=backbone, device="cpu")
    assert names == ["three", "again", "four"]
    assert told == [(number, 11) for number in range(1, 12)]
    written = {"three": "three.nii.gz", "again": "again.nii.gz", "four": "four.nrrd"}
    assert files_in(tmp_path / "store") == {*written.values(), *ALWAYS}
    for name, image in study_files(volume_study).items():
        predict_folder(tmp_path / name, head, image, backbone=backbone, device="cpu")
        mask, affine = voxels_in(tmp_path / "store" / written[name])
        numbers, its = voxels_in(image)
        assert (mask.shape, mask.dtype) == (numbers.shape, np.uint8)
        np.testing.assert_allclose(affine, its, atol=1e-4)
        assert len(set(np.unique(mask))) > 1
        assert set(np.unique(mask)) <= {0, 4, 9}
        for other in (tmp_path / "files", tmp_path / name):
            np.testing.assert_array_equal(voxels_in(other / written[name])[0], mask)
        if name != "four":
            header = nib.load(tmp_path / "store" / written[name]).header
            assert (int(header["qform_code"]), int(header["sform_code"])) == (1, 2)
            assert header.get_slope_inter() in ((None, None), (1.0, 0.0))


def test_a_prediction_finds_what_the_image_shows_where_it_shows_it(volume_study: Path, tmp_path: Path) -> None:
    """A wrong order of slices, rows or columns would not."""
    predict_folder(tmp_path / "masks", load_head(volume_study / "tedm"), volume_study / "store", split="train")
    for name, ending in (("one", ".nii.gz"), ("two", ".nii")):
        truth = voxels_in(volume_study / "masks" / f"{name}{ending}")[0] == 4
        mask = voxels_in(tmp_path / "masks" / f"{name}.nii.gz")[0] == 4
        overlap = [
            2 * (truth & turned).sum() / (truth.sum() + mask.sum())
            for turned in (mask, *(np.flip(mask, at) for at in range(3)))
        ]
        assert overlap[0] > 0.6
        assert overlap[0] == max(overlap)


def test_masks_that_follow_edges_are_of_the_images_own_files_and_a_folder_is_of_one_kind(
    volume_study: Path, checkpoint: Path, extracted: Path, fitted: Path, dataset: Path, tmp_path: Path
) -> None:
    head, backbone = load_head(volume_study / "tedm"), load_backbone(checkpoint)

    def masks(folder: str, source: Path, of: Segmenter, **asked: Any) -> dict[str, bytes]:
        predict_folder(tmp_path / folder, of, source, backbone=backbone, device="cpu", **asked)
        return {name: (tmp_path / folder / name).read_bytes() for name in files_in(tmp_path / folder)}

    for source, of, name in ((volume_study / "manifest.csv", head, "three.nii.gz"), (dataset, load_head(fitted), "scan 5.png")):
        plain, edges = masks(f"{name} plain", source, of), masks(f"{name} edges", source, of, edges=True)
        assert plain[name] != edges[name]
        assert masks(f"{name} edges", source, of, edges=True) == edges  # goes on where all is there
        (tmp_path / f"{name} edges" / name).unlink()
        assert masks(f"{name} edges", source, of, edges=True) == edges
        with pytest.raises(TedmError, match="holds masks that were made otherwise .*edges: followed there, nothing here"):
            masks(f"{name} edges", source, of)
    with pytest.raises(TedmError, match="is a feature store, and --edges is of images at their own size: name the images"):
        predict_folder(tmp_path / "store", load_head(fitted), extracted, edges=True)
    assert not (tmp_path / "store").exists()


def test_maps_of_volumes_are_float_volumes_and_their_means_a_line_each(volume_study: Path, tmp_path: Path) -> None:
    head = load_head(volume_study / "tedm")
    predict_folder(tmp_path / "masks", head, volume_study / "store", probabilities=True, uncertainty=True)
    places = {"probabilities": "", "entropy": "uncertainty/", "disagreement": "uncertainty/"}
    files = {f"{folder}{name}-{kind}.nii.gz" for name in ("three", "again", "four") for kind, folder in places.items()}
    masks = {"three.nii.gz", "again.nii.gz", "four.nrrd"}
    assert files_in(tmp_path / "masks") == {*files, *masks, "uncertainty.csv", *ALWAYS}
    probabilities, affine = voxels_in(tmp_path / "masks" / "four-probabilities.nii.gz")
    mask, its = voxels_in(tmp_path / "masks" / "four.nrrd")
    assert (probabilities.shape, probabilities.dtype) == ((*mask.shape, 3), np.float32)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_array_equal(np.array([0, 4, 9])[probabilities.argmax(axis=-1)], mask)
    np.testing.assert_allclose(affine, its, atol=1e-4)
    lines = [line.split(",") for line in (tmp_path / "masks" / "uncertainty.csv").read_text().splitlines()]
    assert [line[0] for line in lines] == ["image", "three", "again", "four"]
    store = FeatureStore.open(volume_study / "store")
    slices = [name for name in store.labels.names if name.startswith("four_")]
    made = list(predict(store, {"head": head}, slices, uncertainty=True))
    assert float(lines[3][1]) == pytest.approx(np.mean([each.entropy.mean() for each in made]), abs=1e-6)
    assert float(lines[3][2]) == pytest.approx(np.mean([each.disagreement.mean() for each in made]), abs=1e-6)


def test_pictures_and_volumes_of_one_table_are_predicted_together(
    volume_study: Path, dataset: Path, checkpoint: Path, tmp_path: Path
) -> None:
    images = [dataset.parent / "images" / "scan 5.png", study_files(volume_study)["again"]]
    table = write_table(tmp_path / "both.csv", [["image"], *([str(image)] for image in images)])
    options: dict[str, Any] = {"backbone": load_backbone(checkpoint), "device": "cpu", "uncertainty": True}
    names = predict_folder(tmp_path / "masks", load_head(volume_study / "tedm"), table, volume_format="nrrd", **options)
    assert names == ["again", "scan 5"]
    maps = ("again-entropy.nii.gz", "again-disagreement.nii.gz", "scan 5-entropy.png", "scan 5-disagreement.png")
    assert files_in(tmp_path / "masks") == {
        *("again.nrrd", "scan 5.png", "uncertainty.csv", *ALWAYS),
        *(f"uncertainty/{each}" for each in maps),
    }


def test_a_series_of_dicom_files_gets_a_segmentation_or_a_label_map(
    volume_study: Path, checkpoint: Path, tmp_path: Path
) -> None:
    write_series(tmp_path / "scan", image_of(labels_of((12, 11, 5), 1), 1))
    head, options = load_head(volume_study / "tedm"), {"backbone": load_backbone(checkpoint), "device": "cpu"}
    predict_folder(tmp_path / "seg", head, tmp_path / "scan", volume_format="dicom-seg", probabilities=True, **options)
    predict_folder(tmp_path / "nifti", head, tmp_path / "scan", **options)
    assert files_in(tmp_path / "seg") == {"scan.dcm", "scan-probabilities.nii.gz", *ALWAYS}
    mask, _ = voxels_in(tmp_path / "nifti" / "scan.nii.gz")
    segments = highdicom.seg.segread(tmp_path / "seg" / "scan.dcm").get_volume(combine_segments=True).array
    assert mask.shape == (12, 11, 5)
    assert (mask > 0).sum() > 30
    assert [(segments == segment).sum() for segment in (1, 2)] == [(mask == value).sum() for value in (4, 9)]


@pytest.fixture(scope="module")
def modalities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two modalities of three patients, normalised by mean and deviation within brain masks, and a head."""
    folder = tmp_path_factory.mktemp("modalities")
    rows = [["flair", "t1", "mask", "brainmask", "split", "patient"]]
    for number, split in enumerate(("train", "train", "test")):
        labels = labels_of((10, 9, 4), number)
        for at, what in enumerate(rows[0][:4]):
            numbers = image_of(labels, 10 * at + number, 1.0 - 0.5 * at).astype(np.float32) * (3 + number) - 50
            brain = np.ones_like(labels)
            brain[:2] = 0
            voxels = labels if what == "mask" else brain if what == "brainmask" else numbers
            write_volume(folder / what / f"p{number}.nii.gz", voxels)
        rows.append([*(f"{what}/p{number}.nii.gz" for what in rows[0][:4]), split, f"p{number}"])
    table = write_table(folder / "manifest.csv", rows)
    backbone = random_backbone(image_channels=2)
    manifest = read_manifest(table, options=VolumeOptions(channels=("flair", "t1"), axis="coronal"))
    quick = {"timesteps": (1, 50), "layout": "native", "precision": "float32", "threads": 1, "device": "cpu"}
    store = extract(manifest, folder / "store", backbone, normalisation=Normalisation("zscore"), **quick).store
    save_head(fit(store, method_named("tedm", timesteps=(1, 50)), iterations=20), folder / "head")
    return folder


def test_a_head_of_several_modalities_uses_the_numbers_of_its_training_patients(modalities: Path, tmp_path: Path) -> None:
    """The table names one test patient, from whom these numbers could not be had."""
    head, backbone = load_head(modalities / "head"), random_backbone(image_channels=2)
    assert head.settings.normalisation is not None
    assert head.settings.normalisation.patients == ("p0", "p1")
    columns = ("flair", "t1", "brainmask")
    table = write_table(
        tmp_path / "new.csv", [[*columns, "patient"], [*(str(modalities / each / "p2.nii.gz") for each in columns), "p2"]]
    )
    bare = write_table(
        tmp_path / "bare.csv",
        [[*columns[:2], "patient"], [*(str(modalities / each / "p2.nii.gz") for each in columns[:2]), "p2"]],
    )
    options: dict[str, Any] = {"backbone": backbone, "device": "cpu", "probabilities": True}
    said: list[str] = []
    predict_folder(tmp_path / "store", head, modalities / "store", probabilities=True)
    predict_folder(tmp_path / "files", head, table, log=said.append, **options)
    assert said == []
    with pytest.raises(
        TedmError, match=r"flair/p2.nii.gz: it has no brain mask; name one in the column brainmask, or say --brain"
    ):
        predict_folder(tmp_path / "bare", head, bare, **options)
    assert not (tmp_path / "bare").exists()
    predict_folder(tmp_path / "bare", head, bare, brain="nonzero", log=said.append, **options)
    assert said == ["note: brain is nonzero here, and was mask where the head was made"]
    of_store, of_files, of_bare = (
        voxels_in(tmp_path / each / "p2-probabilities.nii.gz")[0] for each in ("store", "files", "bare")
    )
    np.testing.assert_array_equal(of_files, of_store)
    assert of_files.shape == (10, 9, 4, 3)
    assert not np.array_equal(of_bare, of_files)
    predict_folder(tmp_path / "edges", head, table, backbone=backbone, device="cpu", edges=True)  # of two modalities at once
    assert voxels_in(tmp_path / "edges" / "p2.nii.gz")[0].shape == (10, 9, 4)


def test_a_brain_to_crop_to_can_be_said_again_at_prediction(volume_study: Path, checkpoint: Path, tmp_path: Path) -> None:
    labels = labels_of((12, 11, 3), 2)
    image = image_of(labels, 2)
    image[:3], image[:, 9:] = 0, 0
    write_volume(tmp_path / "v.nii.gz", image)
    write_volume(tmp_path / "m.nii.gz", labels)
    table = write_table(tmp_path / "m.csv", [["image", "mask"], ["v.nii.gz", "m.nii.gz"]])
    manifest = read_manifest(table, options=VolumeOptions(crop="brain", brain="nonzero"))
    quick = {"timesteps": (1, 50), "layout": "native", "precision": "float32", "threads": 1, "device": "cpu"}
    backbone = load_backbone(checkpoint)
    store = extract(manifest, tmp_path / "store", backbone, **quick).store
    head = fit(store, method_named("timestep:1"), iterations=10)
    predict_folder(tmp_path / "as the head says", head, tmp_path / "v.nii.gz", backbone=backbone, device="cpu")
    predict_folder(tmp_path / "files", head, tmp_path / "v.nii.gz", backbone=backbone, device="cpu", brain="nonzero")
    predict_folder(tmp_path / "store masks", head, tmp_path / "store")
    mask = voxels_in(tmp_path / "files" / "v.nii.gz")[0]
    for folder in ("store masks", "as the head says"):
        np.testing.assert_array_equal(mask, voxels_in(tmp_path / folder / "v.nii.gz")[0])
    predict_folder(tmp_path / "edges", head, tmp_path / "v.nii.gz", backbone=backbone, device="cpu", edges=True)
    for shown in (mask, voxels_in(tmp_path / "edges" / "v.nii.gz")[0]):
        assert shown.any()
        assert not shown[:3].any()
        assert not shown[:, 9:].any()


def test_what_cannot_be_predicted_of_volumes_is_refused_before_the_work(
    volume_study: Path, modalities: Path, dataset: Path, checkpoint: Path, tmp_path: Path
) -> None:
    head, backbone = load_head(volume_study / "tedm"), load_backbone(checkpoint)
    of_brains = load_head(modalities / "head")
    image, store, nifti = study_files(volume_study)["four"], volume_study / "store", study_files(volume_study)["again"]
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("precious")
    two = write_table(tmp_path / "two.csv", [["image", "name"], [str(nifti), "a"], [str(nifti), "a-probabilities"]])
    same = write_table(tmp_path / "same.csv", [["image", "name"], [str(image), "A"], [str(image), "a"]])
    pair = write_table(tmp_path / "pair.csv", [["flair", "t1"], [str(dataset.parent / "images" / "scan 5.png")] * 2])
    cases: list[tuple[str, Segmenter, Path, dict[str, Any], str]] = [
        ("taken", head, store, {}, "taken exists and is not empty"),
        ("out", head, store, {"volume_format": "dicom-seg"}, r"--format dicom-seg is for DICOM series, and .*store is a store"),
        ("out", head, image, {"backbone": backbone, "volume_format": "dicom-seg"}, "and four is none; leave it out"),
        (
            "out",
            head,
            dataset,
            {"backbone": backbone, "volume_format": "nrrd"},
            "--format nrrd is for volumes, and .* has none",
        ),
        ("out", head, store, {"brain": "nonzero"}, "is a feature store, whose images are read already: leave out --brain"),
        (
            "out",
            head,
            image,
            {"backbone": backbone, "brain": "all"},
            "--brain is for heads whose volumes were normalised by the",
        ),
        (
            "out",
            head,
            two,
            {"backbone": backbone, "probabilities": True},
            "would both become a-probabilities.nii.gz; .* leave out --prob",
        ),
        ("out", head, same, {"backbone": backbone}, "would both become .*the same file on some systems"),
        (
            "out",
            of_brains,
            pair,
            {"backbone": random_backbone(image_channels=2)},
            "scan 5.png is a picture, and the head is for vol",
        ),
        ("out", head, image, {}, "is no feature store; to predict from images, name the backbone with --checkpoint FILE"),
    ]
    for folder, own, source, options, said in cases:
        with pytest.raises(TedmError, match=said):
            predict_folder(tmp_path / folder, own, source, device="cpu", progress=_no_stage, **options)
    predict_folder(tmp_path / "two", head, two, backbone=backbone, device="cpu")
    assert not (tmp_path / "out").exists()
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["thesis.tex"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_leaves_the_volumes_that_are_whole(volume_study: Path, tmp_path: Path) -> None:
    @contextlib.contextmanager
    def stage(what: str) -> Iterator[Progress]:
        yield (
            lambda done, total, remark=None: (
                (done == 5 and (tmp_path / "masks" / ".again.nii.gz.partial").symlink_to("/dev/full")) and None
            )
        )

    with pytest.raises(
        TedmError, match=r"again.nii.gz.*: No space left on device; make room; what was written before is whole"
    ):
        predict_folder(tmp_path / "masks", load_head(volume_study / "tedm"), volume_study / "store", progress=stage)
    assert {path.name for path in (tmp_path / "masks").iterdir() if not path.is_symlink()} == {"three.nii.gz", *ALWAYS}
    assert voxels_in(tmp_path / "masks" / "three.nii.gz")[0].shape == (10, 13, 4)


def test_a_process_that_is_killed_leaves_whole_files_only(volume_study: Path, tmp_path: Path) -> None:
    predict_folder(tmp_path / "whole", load_head(volume_study / "tedm"), volume_study / "store", probabilities=True)
    script = tmp_path / "dies.py"
    script.write_text(
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "written = Path.replace\n"
        "def replace(self, target):\n"
        "    if 'again-prob' in self.name:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return written(self, target)\n"
        "Path.replace = replace\n"
        "from tedm.heads import load_head\n"
        "from tedm.study import predict_folder\n"
        "head, store, out = map(Path, sys.argv[1:])\n"
        "predict_folder(out, load_head(head), store, probabilities=True)\n"
    )
    process = Forked(script, [volume_study / "tedm", volume_study / "store", tmp_path / "killed"])
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    files = {path.name: path for path in (tmp_path / "killed").iterdir() if not path.name.startswith(".")}
    assert set(files) == {"three.nii.gz", "three-probabilities.nii.gz", *ALWAYS}
    for name, path in files.items():
        assert path.read_bytes() == (tmp_path / "whole" / name).read_bytes()


def _no_stage(stage: str) -> None:
    raise AssertionError(f"{stage} has begun")
