"""From images to masks in one call: each step done, gone on with, or there."""

from __future__ import annotations

import contextlib
import csv
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from trees import tree

from tedm.cli import label
from tedm.errors import TedmError
from tedm.extract import load_backbone
from tedm.files import discard
from tedm.heads import load_head, method_named, read_records
from tedm.store import FeatureStore
from tedm.study.evaluate import evaluate_heads
from tedm.study.fit import fit_folder
from tedm.study.report.evaluation import read_evaluation
from tedm.study.stages import Progress
from tedm.study.whole.plan import Places, read_images
from tedm.study.whole.run import Whole, run_whole

METHOD = method_named("timestep:1")


@contextlib.contextmanager
def stopping_at(stage: str, what: str) -> Iterator[Progress]:
    """End like Ctrl-C after the first of something is done in a stage."""

    def show(done: int, total: int, remark: float | str | None = None) -> None:
        if what == stage:
            raise KeyboardInterrupt

    yield show


@pytest.fixture
def images(dataset: Path, tmp_path: Path) -> Path:
    """The dataset, with an image of which nobody knows anything but its pixels."""
    shutil.copytree(dataset.parent, tmp_path / "lungs")
    shutil.copy(tmp_path / "lungs/images/scan 6.png", tmp_path / "lungs/images/new.png")
    pixels = np.asarray(Image.open(tmp_path / "lungs/images/new.png"))
    Image.fromarray(pixels[::-1].copy()).save(tmp_path / "lungs/images/new.png")
    with (tmp_path / "lungs/manifest.csv").open("a") as file:
        file.write("images/new.png,,,,\n")
    return tmp_path / "lungs" / "manifest.csv"


@pytest.fixture
def run(checkpoint: Path, images: Path) -> Callable[..., Whole]:
    backbone = load_backbone(checkpoint)

    def call(out: Path, manifest: Path = images, **options: object) -> Whole:
        places = Places(out)
        asked = {"device": "cpu", "threads": 1, "method": METHOD, **options}
        return run_whole(read_images(manifest, places), places, backbone, **asked)  # type: ignore[arg-type]

    return call


def bytes_of(out: Path) -> dict[str, str]:
    """What must be the same: examples and pages name the folder and the time of nothing else."""
    return {
        name: digest for name, digest in tree(out).items() if name.startswith(("features", "head", "masks", "scores/records"))
    }


def test_a_run_leaves_features_a_head_scores_masks_and_a_report_and_does_nothing_a_second_time(run, tmp_path):
    said: list[str] = []
    done = run(tmp_path / "out", log=said.append)
    assert done.table is not None
    assert done.masks == 4
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "features", "head", "masks", "report.html", "run.json", "scores",
    ]  # fmt: skip
    masks = sorted((tmp_path / "out" / "masks").glob("*.png"))
    assert [path.stem for path in masks] == ["new", "scan 4", "scan 5", "scan 6"]
    with Image.open(masks[1]) as mask:
        assert mask.size == (22, 24)
    steps = [line.partition(":")[0] for line in said if not line.startswith("note")]
    assert [step for step in steps if step in ("features", "head", "scores", "masks", "report")] == steps[-5:]
    before, again = tree(tmp_path / "out"), list[str]()
    run(tmp_path / "out", log=again.append)
    assert tree(tmp_path / "out") == before
    assert again[0] == "features: 0 images extracted, 8 were there"
    folder = tmp_path / "out" / "masks"
    assert f"4 of 4 masks are in {folder} already" in again
    assert f"masks: 4 in {folder}, drawn over their images in {folder / 'overlays'}" in again


def test_pictures_of_a_run_are_of_the_images_files_and_not_of_what_the_store_has(run, images, tmp_path):
    run(tmp_path / "out")
    with (
        Image.open(images.parent / "images" / "scan 4.png") as file,
        Image.open(tmp_path / "out" / "masks" / "scan 4.png") as written,
        Image.open(tmp_path / "out" / "masks" / "overlays" / "scan 4.png") as drawn,
    ):
        pixels, mask = np.asarray(file), np.asarray(written)
        picture = np.asarray(drawn.convert("RGB").crop((0, 0, file.width, file.height)))
    np.testing.assert_array_equal(picture[mask == 0], np.repeat(pixels[mask == 0][:, None], 3, axis=1))
    examples = read_evaluation(tmp_path / "out" / "scores").examples
    assert all(example.own_size for example in examples)
    assert (24, 22) in {example.truth.shape for example in examples}
    assert "Images are shown at their own size" in (tmp_path / "out" / "report.html").read_text()


def test_another_method_than_the_heads_is_refused_before_any_work_and_no_views_are_made_for_a_head_that_is_there(run, tmp_path):
    run(tmp_path / "out")
    before = tree(tmp_path / "out")
    with pytest.raises(TedmError, match="is a head of timestep:1, and jury is asked for; leave out --method"):
        run(tmp_path / "out", method=method_named("jury", timesteps=(1,)), progress=_no_stage)
    run(tmp_path / "out", method=method_named("jury", timesteps=(1,)), any_method=True)
    assert tree(tmp_path / "out") == before


@pytest.mark.parametrize("any_method", [False, True])
def test_features_without_the_timesteps_of_the_method_are_refused_before_any_work(run, tmp_path, any_method):
    run(tmp_path / "out")
    discard(tmp_path / "out" / "head")
    before = tree(tmp_path / "out")
    with pytest.raises(TedmError, match="features has timesteps 1, and jury-fast reads 50 too; ask with --method for the"):
        run(tmp_path / "out", method=method_named("jury-fast"), any_method=any_method, progress=_no_stage)
    assert tree(tmp_path / "out") == before


def _no_stage(what: str) -> contextlib.AbstractContextManager[Progress]:
    raise AssertionError(f"{what} was begun")


@pytest.mark.parametrize("stage", ["extracting", "fitting", "evaluating", "predicting"])
def test_a_run_that_was_stopped_goes_on_to_the_same_files(run, tmp_path, stage):
    run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", progress=lambda what: stopping_at(what, stage))
    run(tmp_path / "parts")
    assert bytes_of(tmp_path / "parts") == bytes_of(tmp_path / "whole")
    assert not list((tmp_path / "parts").glob(".*"))


def test_images_that_came_since_are_added_and_a_new_head_makes_scores_and_masks_anew(run, images, tmp_path):
    run(tmp_path / "out")
    first = tree(tmp_path / "out" / "masks")
    picture = np.asarray(Image.open(images.parent / "images" / "scan 5.png"))
    Image.fromarray(255 - picture).save(images.parent / "images" / "later.png")
    with images.open("a") as file:
        file.write("images/later.png,,,,\n")
    said: list[str] = []
    assert run(tmp_path / "out", log=said.append).masks == 5
    now = tree(tmp_path / "out" / "masks")
    assert {name: now[name] for name in first if name.endswith(".png") and "sheet" not in name} == {
        name: digest for name, digest in first.items() if name.endswith(".png") and "sheet" not in name
    }
    assert any(line.startswith("masks: 5 in ") for line in said)
    shutil.rmtree(tmp_path / "out" / "head")
    fit_folder(tmp_path / "out" / "head", FeatureStore.open(tmp_path / "out" / "features"), METHOD, name="mine")
    run(tmp_path / "out", log=said.append)
    assert "note: the scores that were there are of another head, other images or other masks; they are made anew" in said
    assert "note: the masks that were there are of another head, other images or other edges; they are made anew" in said
    with (tmp_path / "out" / "scores" / "records.csv").open() as file:
        assert {row["method"] for row in csv.DictReader(file)} == {"mine"}


def test_without_test_images_there_are_masks_and_no_report(run, images, tmp_path):
    images.write_text(images.read_text().replace(",test,", ",val,"))
    said: list[str] = []
    done = run(tmp_path / "out", log=said.append)
    assert (done.table, done.masks) == (None, 1)
    assert "scores: none, since no labelled image is of the split test" in said
    assert not (tmp_path / "out" / "report.html").exists()


def test_a_head_of_another_method_is_refused_where_one_was_asked_for(run, tmp_path):
    run(tmp_path / "out")
    before = tree(tmp_path / "out")
    with pytest.raises(TedmError, match=r"is a head of timestep:1, and timestep:10 is asked for; leave out --method, or name"):
        run(tmp_path / "out", method=method_named("timestep:10"))
    run(tmp_path / "out", method=method_named("timestep:10"), any_method=True)
    assert tree(tmp_path / "out") == before


def test_test_volumes_are_scored_whole_too_and_only_once(run, volume_study, tmp_path):
    said: list[str] = []
    manifest, out = volume_study / "manifest.csv", tmp_path / "out"
    done = run(out, manifest, truth=manifest, log=said.append)
    assert done.table is not None
    assert done.masks == len(list((out / "masks").glob("*.n*"))) == 3
    head, store = load_head(out / "head"), FeatureStore.open(out / "features")
    wanted = evaluate_heads(store, {"head": head}, truth=manifest).records
    assert tuple(read_records(out / "volumes.csv")) == wanted
    assert {record.resolution for record in wanted} == {"volume"}
    assert any(line.startswith("scores of whole volumes: of 3 volumes at their own resolution in ") for line in said)
    before = tree(out)
    again = run(out, manifest, truth=manifest, log=said.append)
    assert again.volumes == done.volumes is not None
    assert tree(out) == before
    assert any("volumes.csv is there, of 3 volumes" in line for line in said)
    assert run(tmp_path / "slices", manifest).volumes is None


def test_masks_of_a_run_follow_edges_where_that_is_asked_for_and_are_made_anew_where_it_is_not(run, volume_study, tmp_path):
    manifest, out, said = volume_study / "manifest.csv", tmp_path / "out", list[str]()
    done = run(out, manifest, truth=manifest, edges=True)
    assert done.volumes is not None
    assert {record.method for record in read_records(out / "volumes.csv")} == {"timestep:1+edges"}
    before = tree(out)
    run(out, manifest, truth=manifest, edges=True)
    assert tree(out) == before
    run(out, manifest, truth=manifest, log=said.append)
    assert "note: the masks that were there are of another head, other images or other edges; they are made anew" in said
    plain = tree(out)
    assert {name for name in before if before[name] != plain[name]} >= {"masks/three.nii.gz", "volumes.csv"}


def test_pictures_of_a_run_follow_the_edges_of_their_files(run, tmp_path):
    run(tmp_path / "plain")
    run(tmp_path / "edges", edges=True)
    masks = [bytes_of(tmp_path / out)["masks/scan 4.png"] for out in ("plain", "edges")]
    assert masks[0] != masks[1]


def test_masks_that_were_corrected_are_scored_anew_and_said_of_those_that_were_learned_from(run, images, tmp_path):
    out, said = tmp_path / "out", []
    run(out)
    before = summary_of(out)
    rows = list(csv.DictReader(images.read_text().splitlines()))
    for split, note in (("test", "other masks; they are made anew"), ("train", "masks of training images have changed since")):
        row = next(row for row in rows if row["split"] == split)
        mask = images.parent / row["mask"]
        Image.fromarray(np.asarray(Image.open(mask))[::-1].copy()).save(mask)
        result = CliRunner().invoke(label.main, [str(out / "features"), str(images)])
        assert result.exit_code == 0, result.output
        run(out, log=said.append)
        assert any(note in line for line in said), said
    assert summary_of(out) != before
    said.clear()
    run(out, log=said.append)
    assert not any("anew" in line and "scores" in line for line in said)


def summary_of(out: Path) -> str:
    return (out / "scores" / "records.csv").read_text()


def test_a_run_over_images_that_all_have_masks_and_are_for_training_ends_with_its_head(run, images, tmp_path):
    rows = list(csv.DictReader(images.read_text().splitlines()))
    with images.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "split": "train"} for row in rows if row["mask"])
    for _ in range(2):
        said: list[str] = []
        assert run(tmp_path / "out", log=said.append).masks == 0
        assert "masks: none, since every image has one and none is of the split test" in said
