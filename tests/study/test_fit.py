"""A head fitted into a folder, and what is said of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import FitReport, HeadOptions, fit, load_head, method_named
from tedm.store import FeatureStore, Registration
from tedm.study import fit_folder
from tedm.study.fit import absent_classes, course, fit_remarks, fit_summary, method_remarks, published_remarks, training_remarks


def test_the_head_in_the_folder_is_the_one_that_fit_gives(extracted: Path, tmp_path: Path) -> None:
    store, method = FeatureStore.open(extracted), method_named("tedm", timesteps=(1, 50))
    options = HeadOptions(iterations=7, learning_rate=0.01, pixels_per_batch=32)
    head = fit_folder(tmp_path / "deep" / "head", store, method, options, images=2, seed=3, name="mine")
    same = fit(store, method, iterations=7, learning_rate=0.01, pixels_per_batch=32, images=2, seed=3, name="mine")
    kept = load_head(tmp_path / "deep" / "head")
    block = next(iter(store.blocks(["scan 5"])))
    assert kept.provenance == head.provenance == same.provenance
    assert (kept.probabilities(block) == same.probabilities(block)).all()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["head"]  # the state of the fit is gone


def test_a_place_that_is_taken_is_refused_before_fitting(extracted: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(TedmError, match="is not empty"):
        fit_folder(tmp_path, FeatureStore.open(extracted), method_named("timestep:1"))
    (tmp_path / "loop").symlink_to("loop")
    for place, said in (
        (tmp_path / "thesis.tex" / "head", "Not a directory; name another folder"),
        (tmp_path / "loop", "loop"),
    ):
        with pytest.raises(TedmError, match=said):
            fit_folder(place, FeatureStore.open(extracted), method_named("timestep:1"), progress=_no_step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loop", "thesis.tex"]


def test_a_head_goes_where_a_link_leads_and_a_fit_that_fails_leaves_nothing(extracted: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    store, few = FeatureStore.open(extracted), HeadOptions(iterations=3)
    fit_folder(tmp_path / "link", store, method_named("timestep:1"), few)
    assert load_head(tmp_path / "real").provenance == load_head(tmp_path / "link").provenance
    with pytest.raises(TedmError, match="timesteps that are not there"):
        fit_folder(tmp_path / "deep" / "head", store, method_named("timestep:7"), few)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_what_was_learned_is_kept_where_the_disk_is_too_small_for_the_head(extracted: Path, mounted, tmp_path: Path) -> None:
    disk, whole = mounted("-o", "size=2m"), tmp_path / "head"
    store, method, options = FeatureStore.open(extracted), method_named("tedm", timesteps=(1, 50)), HeadOptions(iterations=7)
    same = fit_folder(whole, store, method, options, images=2)
    nbytes = sum(file.stat().st_size for file in whole.iterdir())
    # A state is three times as large as a head: weights, and two moments of each.
    (disk / "other").write_bytes(bytes(int(2 * 2**20 - 3.5 * nbytes)))
    with pytest.raises(
        TedmError, match=r"cannot write the head .*: No space left on device; make room and run the same command"
    ):
        fit_folder(disk / "head", store, method, options, images=2)
    assert sorted(path.name for path in disk.iterdir()) == [".head.fit", "other"]
    (disk / "other").unlink()
    head = fit_folder(disk / "head", store, method, options, images=2)
    block = next(iter(store.blocks(["scan 5"])))
    assert (head.probabilities(block) == same.probabilities(block)).all()
    assert [path.name for path in disk.iterdir()] == ["head"]


def test_the_summary_is_of_the_fit(fitted: Path) -> None:
    head = load_head(fitted)
    loss = head.provenance.report.loss_curve[-1]
    said = fit_summary(head)
    assert said.startswith(f"tedm (mlp, rows share, 2 timesteps) from 4 images, 40 iterations, loss {loss:.4f} (")
    assert course(head.provenance.report.fall) in said
    plain = replace(head, name="mine", provenance=replace(head.provenance, report=FitReport()))
    published = replace(plain, method=replace(plain.method, published=True))
    assert fit_summary(published).startswith("mine, tedm as published (mlp, ")
    assert fit_summary(plain) == "mine, tedm (mlp, rows share, 2 timesteps) from 4 images"
    assert fit_remarks(plain) == []


def test_images_that_are_of_few_patients_are_said_before_the_fit(extracted: Path) -> None:
    labels = FeatureStore.open(extracted).labels
    assert training_remarks(labels, images=3) == []  # each of another patient
    sliced = replace(labels, groups=("ann", "ann", "ann", "bob", *labels.groups[4:]))
    firsts = {tuple(training_remarks(sliced, images=2, seed=seed)) for seed in range(10)}
    assert firsts == {(), ("note: 2 images of 1 patient of 2: ann; --groups counts patients",)}
    assert training_remarks(sliced, images=4) == []  # all that there are
    assert training_remarks(sliced, images=2, groups=2) == training_remarks(sliced) == []
    with pytest.raises(TedmError, match="only 4 to choose from"):
        training_remarks(sliced, images=5)


def test_a_class_that_no_training_image_shows_is_said(extracted: Path, tmp_path: Path) -> None:
    shutil.copytree(extracted, tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    head = fit(store, method_named("timestep:1"), images=1, iterations=5)
    assert absent_classes(store, head) == []
    mask = np.zeros_like(store.mask(head.provenance.images[0]))
    store.relabel([Registration(head.provenance.images[0], "", "", "", (0, 0), mask)], store.labels.classes)
    assert absent_classes(store, head) == [
        "note: class 255 has no labelled pixel in the images that were learned from, so the head cannot find them; "
        "add images that show them to the split train"
    ]


def test_the_first_images_of_the_list_are_spoken_of_where_these_are_learned_from(extracted: Path) -> None:
    labels = FeatureStore.open(extracted).labels
    sliced = replace(labels, groups=("ann", "ann", "ann", "bob", *labels.groups[4:]))
    said = {tuple(training_remarks(sliced, images=2, seed=seed, order="manifest")) for seed in range(10)}
    assert said == {("note: 2 images of 1 patient of 2: ann; --groups counts patients",)}


def test_what_a_fit_as_published_cannot_set_is_said_with_what_would(make_store: Callable[..., FeatureStore]) -> None:
    method = method_named("ledm", published=True)
    store = make_store(own=True, names=tuple("abcdef"))
    assert published_remarks(store, method) == [
        "note: the published code reads images in [0, 1], and these are in [-1, 1]; tedm-extract --input-range=0,1 makes such "
        "features",
        "note: the published code stretches images to squares, and these are padded; tedm-extract --geometry stretch makes "
        "such features",
        "note: the published code draws new noise at every pass, and here is one draw of each image; tedm-extract --draws K "
        "makes K",
    ]
    store.relabel([Registration("f", "val", "", "there", (10, 12), None)], store.labels.classes)
    on_val = "note: the published code chooses on 25 labelled val images, and here are 1; tedm-label moves images to val"
    assert published_remarks(store, method)[3:] == [on_val]
    assert len(published_remarks(store, method, domain="here")) == 3  # which has none, and is refused
    (probe,) = published_remarks(store, method_named("timestep:50", published=True))
    assert probe.startswith("note: timestep:50 is fitted as without --as-published: ")


def test_features_that_are_as_published_need_no_note(make_store: Callable[..., FeatureStore], tmp_path: Path) -> None:
    made = make_store(draws=2)
    settings = replace(made.settings, input_range=(0.0, 1.0), geometry="stretch")
    same = FeatureStore.create(tmp_path / "store", settings, made.arithmetic, made.storage, {})
    assert published_remarks(same, method_named("tedm", published=True)) == []


def _no_step(done: int, total: int, loss: float) -> None:
    raise AssertionError("the fit has begun")


def test_options_of_the_mlps_alone_leave_the_network_out_and_that_is_said() -> None:
    jury = method_named("jury")
    for left_out, asked in (
        (False, HeadOptions()),
        (False, HeadOptions(iterations=5, precision="float32")),
        (True, HeadOptions(learning_rate=1e-3)),
        (True, HeadOptions(images_per_batch=2)),
    ):
        said = [line for line in method_remarks(jury, asked, named=True) if line.startswith("note: no network votes")]
        assert bool(said) == left_out
    assert len(method_remarks(jury, params={"hidden": [8]}, named=True)) == 2
    assert method_remarks(method_named("tedm"), HeadOptions(learning_rate=1e-3), named=True) == []
