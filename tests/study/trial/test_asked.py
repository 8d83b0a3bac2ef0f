"""What was asked of a folder: kept, compared, and damaged files of it refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from trial_study import of_store, write_study

from tedm.errors import TedmError
from tedm.store import FeatureStore, Registration
from tedm.study import read_study
from tedm.study.trial.asked import FILE, require_same_methods, require_study, settle


@pytest.fixture
def out(done: Path, tmp_path: Path) -> Path:
    shutil.copytree(done / "out", tmp_path / "out")
    return tmp_path / "out"


def test_what_decides_a_unit_is_kept_and_where_files_lie_is_not(done: Path, out: Path) -> None:
    kept = json.loads((out / FILE).read_text())
    assert kept["methods"]["tedm"] == {"method": "tedm", "timesteps": [1, 50], "iterations": 20, "sampling": "uniform"}
    assert kept["features"]["timesteps"] == [1, 50]
    assert kept["learn"]["counts"] == "images"
    assert kept["learn"]["images"].startswith("4 images (")
    assert str(done) not in (out / FILE).read_text()


def test_units_of_a_method_that_drew_its_pixels_otherwise_are_not_taken_for_its_own(extracted: Path, tmp_path: Path) -> None:
    methods = '[[methods]]\nmethod = "jury"\ntimesteps = [1, 50]\n[[methods]]\nmethod = "tedm"\ntimesteps = [1, 50]\n'
    study, out = read_study(write_study(tmp_path, of_store(extracted), methods=methods)), tmp_path / "out"
    out.mkdir()
    settle(study, out, FeatureStore.open(extracted))
    kept = json.loads((out / FILE).read_text())
    assert [kept["methods"][name]["sampling"] for name in ("jury", "tedm")] == ["root", "uniform"]
    kept["methods"]["jury"]["sampling"] = "uniform"
    (out / FILE).write_text(json.dumps(kept))
    head = out / "units" / "jury" / "n-1-seed-0" / "head"
    head.mkdir(parents=True)
    (head / "head.json").touch()
    with pytest.raises(TedmError, match='jury: sampling was "uniform", and is "root" now'):
        require_same_methods(study, out, FeatureStore.open(extracted).labels)


def test_units_of_before_go_on_where_two_classes_decide_the_iterations_and_not_with_more(
    extracted: Path, tmp_path: Path
) -> None:
    methods = '[[methods]]\nmethod = "unet"\n[[methods]]\nmethod = "unet"\nname = "asked"\niterations = 600\n'
    study, out = read_study(write_study(tmp_path, of_store(extracted), methods=methods)), tmp_path / "out"
    features = FeatureStore.open(extracted)
    out.mkdir()
    settle(study, out, features)
    kept = json.loads((out / FILE).read_text())
    assert "iterations" not in kept["methods"]["unet"]
    head = out / "units" / "unet" / "n-1-seed-0" / "head"
    head.mkdir(parents=True)
    (head / "head.json").touch()
    labels = features.labels
    require_same_methods(study, out, labels)
    more = replace(labels, classes=(*labels.classes, "another"))
    with pytest.raises(
        TedmError, match='unet: iterations was not said, and is "by the number of classes" now; 1 unit'
    ) as caught:
        require_same_methods(study, out, more)
    assert "asked" not in str(caught.value)


def test_units_of_the_default_without_its_network_are_not_taken_for_its_own(extracted: Path, tmp_path: Path) -> None:
    methods = "".join(
        f'[[methods]]\nmethod = "jury"\ntimesteps = [1, 50]\n{more}' for more in ("", 'name = "faster"\nlearning_rate = 1e-3\n')
    )
    study, out = read_study(write_study(tmp_path, of_store(extracted), methods=methods)), tmp_path / "out"
    out.mkdir()
    settle(study, out, FeatureStore.open(extracted))
    kept = json.loads((out / FILE).read_text())
    assert [kept["methods"][name].pop("network", "none") for name in ("jury", "faster")] == ["one vote of two", "none"]
    (out / FILE).write_text(json.dumps(kept))
    head = out / "units" / "jury" / "n-1-seed-0" / "head"
    head.mkdir(parents=True)
    (head / "head.json").touch()
    with pytest.raises(TedmError, match='jury: network was not said, and is "one vote of two" now'):
        require_same_methods(study, out, FeatureStore.open(extracted).labels)


@pytest.mark.parametrize("part", ["learn: ", "score: 1."])
def test_masks_that_are_others_than_those_of_the_units_are_refused(
    done: Path, extracted: Path, tmp_path: Path, part: str
) -> None:
    shutil.copytree(extracted, tmp_path / "store")
    shutil.copytree(done / "out", tmp_path / "out")
    store, study = FeatureStore.open(tmp_path / "store"), read_study(done / "study.toml")
    kept = (tmp_path / "out" / FILE).read_bytes()
    settle(study, tmp_path / "out", store)
    assert (tmp_path / "out" / FILE).read_bytes() == kept
    name = next(
        name
        for name, split, domain in zip(store.labels.names, store.labels.splits, store.labels.domains, strict=True)
        if (split == "train" if part == "learn: " else split == "test" and domain == "here")
    )
    mask = store.mask(name).copy()
    mask[0] = mask[0] == 0
    size = store.labels.original_sizes[store.labels.index(name)]
    store.relabel([Registration(name, "", "", "", size, mask)], store.labels.classes)
    with pytest.raises(TedmError, match=rf"another study.*\n  {part}masks are others than when its units were made; delete"):
        settle(study, tmp_path / "out", FeatureStore.open(tmp_path / "store"))
    before = json.loads(kept)
    for each in (before["learn"], *before["score"].values()):
        del each["masks"], each["pictures"]
    (tmp_path / "out" / FILE).write_text(json.dumps(before))  # as it was before they were noted
    settle(study, tmp_path / "out", FeatureStore.open(tmp_path / "store"))
    assert json.loads((tmp_path / "out" / FILE).read_text())["learn"]["masks"]


def test_settings_of_a_method_that_is_no_more_asked_for_are_kept_with_its_units(
    extracted: Path, out: Path, tmp_path: Path
) -> None:
    store, before = FeatureStore.open(extracted), (out / FILE).read_bytes()
    alone = read_study(write_study(tmp_path, of_store(extracted), methods='[[methods]]\nmethod = "timestep:1"\n'))
    settle(alone, out, store)
    assert sorted(json.loads((out / FILE).read_text())["methods"]) == ["ledm", "tedm", "timestep:1", "timestep:50"]
    settle(read_study(write_study(tmp_path, of_store(extracted))), out, store)
    assert (out / FILE).read_bytes() == before


def test_a_checkpoint_is_its_content(extracted: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"weights")
    (tmp_path / "b.pt").write_bytes(b"weights")
    (tmp_path / "c.pt").write_bytes(b"others")
    labels = FeatureStore.open(extracted).labels

    def asked(checkpoint: str) -> None:
        methods = f'[[methods]]\nmethod = "tedm"\ncheckpoint = "{checkpoint}"\n'
        study = read_study(write_study(tmp_path, of_store(extracted), methods=methods))
        require_same_methods(study, out, labels)

    kept = json.loads((out / FILE).read_text())
    kept["methods"]["tedm"] = {"method": "tedm", "sampling": "uniform", "checkpoint": "another"}
    (out / FILE).write_text(json.dumps(kept))
    with pytest.raises(TedmError, match="checkpoint was") as refused:
        asked("a.pt")
    kept["methods"]["tedm"]["checkpoint"] = str(refused.value).split('is "')[1].split('"')[0]
    (out / FILE).write_text(json.dumps(kept))
    asked("b.pt")
    with pytest.raises(TedmError, match="checkpoint was"):
        asked("c.pt")


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": 1, "features": 1, "learn": {}, "score": {}, "methods": {}}'])
def test_a_damaged_file_is_refused_in_one_line(done: Path, extracted: Path, out: Path, content: str) -> None:
    (out / FILE).write_text(content)
    with pytest.raises(TedmError, match=r"study.json is damaged .*name another folder, or put it back") as refused:
        settle(read_study(done / "study.toml"), out, FeatureStore.open(extracted))
    assert "\n" not in str(refused.value)


def test_a_file_of_another_version_is_refused(done: Path, extracted: Path, out: Path) -> None:
    (out / FILE).write_text((out / FILE).read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(TedmError, match="of another version of tedm"):
        settle(read_study(done / "study.toml"), out, FeatureStore.open(extracted))


def test_an_empty_folder_and_one_that_was_left_while_extracting_can_become_a_study(tmp_path: Path) -> None:
    require_study(tmp_path / "new")
    require_study(tmp_path)
    (tmp_path / "features").mkdir()
    (tmp_path / ".features.partial").mkdir()
    require_study(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(TedmError, match=r"holds no study \(photos say\)"):
        require_study(tmp_path)
