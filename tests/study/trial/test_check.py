"""What cannot be done is told before any work, all at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from trial_study import SCORE, TITLE, of_images, of_store, write_study

from tedm.errors import TedmError
from tedm.store import FeatureStore, Registration
from tedm.study import read_study, run_study

WRONG = {
    "sizes beyond what is there": (("sizes = [1, 3]", "sizes = [1, 5]"), "sizes: cannot train on 5 images: there are only 4"),
    "own sizes": (('"timestep:50"', '"timestep:50"\nsizes = [9]'), "timestep:50: sizes: cannot train on 9 images"),
    "groups": (("seeds =", 'counts = "groups"\nsizes = [5]\nseeds ='), "sizes: cannot train on 5 groups"),
    "no such domain": (('"there"', '"mars"'), "score 2: there is no labelled image of split 'test' and domain 'mars'"),
    "no such split": ((SCORE, '[learn]\nsplit = "val"\n'), "learn: there is no labelled image of split 'val'"),
    "no val split": (("iterations = 20", "iterations = 20\npatience = 2"), "tedm: it needs labelled images of split 'val'"),
    "no val split to calibrate on": (("iterations = 20", "calibrate = true"), "tedm: it needs labelled images of split 'val'"),
    "timesteps that are not there": (("[1, 50]", "[1, 60]"), "tedm: tedm reads timesteps that are not there: 60"),
    "an option of another head": (('"timestep:50"', '"timestep:50"\nlearning_rate = 0.1'), "--learning-rate is for --head"),
    "an unknown parameter": (('"timestep:50"', '"timestep:50"\nparams = {depth = 3}'), "know no 'depth'"),
    "pixels below 1": (("iterations = 20", "pixels_per_image = 0"), "tedm: --pixels-per-image is 0; it must be at least 1"),
    "batches below 1": (("iterations = 20", "pixels_per_batch = -1"), "tedm: pixels_per_batch is -1; it must be at least 1"),
    "a rate that is no number": (("iterations = 20", "learning_rate = inf"), "tedm: the learning rate is inf; it must be"),
    "no patience": (("iterations = 20", "patience = 0"), "tedm: patience is 0; it must be at least 1"),
    "layers without units": (
        ("iterations = 20", "params = {hidden = [0]}"),
        "tedm: hidden is [0]; a layer has",
    ),
    "a word for weights": (("iterations = 20", 'class_weight = "foo"'), "tedm: there are no class weights 'foo'"),
    "a weight of no class": (
        ("iterations = 20", "class_weight = {7 = 2.0}"),
        "tedm: --class-weight is for 7, which is",
    ),
    "a penalty below 0": (('"timestep:50"', '"timestep:50"\nridge = -3'), "timestep:50: ridge is -3; it must be 0 or more"),
    "a penalty in words": (('"timestep:50"', '"timestep:50"\nridge = "-3"'), "timestep:50: ridge is '-3'; it must be a number"),
    "an estimator that there is not": (('"timestep:50"', '"timestep:50"\nhead = "sklearn:nix.Nope"'), "has no 'nix.Nope'"),
    "a network's rate": (('"timestep:50"', '"unet"\nlearning_rate = -1'), "unet: the learning rate is -1"),
    "a committee's rate": (('"timestep:50"', '"jury"\ntimesteps = [1, 50]\nviews = 0\nlearning_rate = -1'), "jury: "),
    "no timesteps": (("timesteps = [1, 50]", "timesteps = []"), "tedm is asked to read no timestep; name one or more"),
    "as published without val": (("iterations = 20", "as_published = true"), "tedm: it needs labelled images of split 'val'"),
    "weights for a method without": (
        ("iterations = 20", "checkpoint = 'x.pt'"),
        "tedm: checkpoint names weights to start from",
    ),
    "images that are learned from": (
        (SCORE, '[[score]]\nsplit = "train"\n'),
        "is learned from; a score on it says",
    ),
    "images in two parts": ((SCORE, SCORE + "[[score]]\n"), "is scored by another [[score]] too"),
    "volumes of pictures": ((SCORE, '[[score]]\nvolumes = "."\n'), "volumes is for slices of volumes, and these are pictures"),
    "masks that are not there": ((SCORE, '[[score]]\nvolumes = "no"\n'), "no does not exist; name the volumes' masks"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_study_that_cannot_be_done_is_refused_and_nothing_is_written(what: str, extracted: Path, tmp_path: Path) -> None:
    (was, now), message = WRONG[what]
    path = write_study(tmp_path, of_store(extracted))
    path.write_text(
        path.read_text().replace("sizes = [1, 3]\n", "" if what == "groups" else "sizes = [1, 3]\n").replace(was, now, 1)
    )
    with pytest.raises(TedmError) as refused:
        run_study(read_study(path), tmp_path / "out", device="cpu")
    assert message in str(refused.value)
    assert [each.name for each in tmp_path.iterdir()] == ["study.toml"]


def test_what_images_alone_tell_is_told_before_they_are_extracted(dataset: Path, checkpoint: Path, tmp_path: Path) -> None:
    path = write_study(tmp_path, of_images(dataset, checkpoint), head=TITLE.replace("[1, 3]", "[1, 5]"))
    path.write_text(path.read_text().replace('domain = "there"', 'domain = "mars"') + '[[methods]]\nmethod = "timestep:7"\n')
    with pytest.raises(TedmError) as refused:
        run_study(read_study(path), tmp_path / "out", device="cpu")
    for message in ("only 4 to choose from", "domain 'mars'", "timestep:7 reads timesteps that are not there: 7"):
        assert message in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_patient_who_is_learned_from_is_not_scored_on(extracted: Path, tmp_path: Path) -> None:
    shutil.copytree(extracted, tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    name = store.labels.select(split="test")[0]
    store.relabel([Registration(name, "", "p0", "", (20, 26), None)], store.labels.classes)
    study = read_study(write_study(tmp_path, "store = 'store'"))
    with pytest.raises(TedmError, match="of the group p0, which is learned from"):
        run_study(study, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_a_picture_that_is_learned_from_is_not_scored_on(extracted: Path, tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path, of_store(extracted), score='[[score]]\nsplit = "train"\n'))
    with pytest.raises(TedmError, match="is learned from; a score on it says nothing"):
        run_study(study, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_a_picture_that_is_learned_from_under_another_name_is_not_scored_on(
    dataset: Path, checkpoint: Path, tmp_path: Path
) -> None:
    shutil.copytree(dataset.parent, tmp_path / "data")
    head, first, *rows = (tmp_path / "data" / dataset.name).read_text().splitlines()
    columns = dict(zip(head.split(","), first.split(","), strict=True))
    shutil.copy(tmp_path / "data" / columns["image"], tmp_path / "data" / "images" / "again.png")
    columns |= {"name": "again", "split": "test", "patient": "another", "image": "images/again.png"}
    lines = [f"{head},name" if "name" not in head.split(",") else head, *(f"{row}," for row in (first, *rows))]
    lines.append(",".join(columns[title] for title in lines[0].split(",")))
    (tmp_path / "data" / dataset.name).write_text("\n".join(lines) + "\n")
    study = read_study(write_study(tmp_path, of_images(tmp_path / "data" / dataset.name, checkpoint), score="[[score]]\n"))
    with pytest.raises(TedmError, match="learned from and scored on"):
        run_study(study, tmp_path / "out", device="cpu")
