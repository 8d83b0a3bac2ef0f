"""A study done: in one run, in shards, killed and gone on with, grown; and what is refused before any work."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from processes import Forked
from trial_study import METHODS, TITLE, of_images, of_store, results_in, write_study

from tedm.errors import TedmError
from tedm.heads import evaluate, load_head, read_records
from tedm.store import FeatureStore
from tedm.study import read_study, run_study


def test_every_unit_has_a_head_and_the_records_of_all_domains(done: Path, extracted: Path) -> None:
    out = done / "out"
    assert sorted(path.name for path in (out / "units").iterdir()) == ["ledm", "tedm", "timestep-50"]
    assert sorted(path.name for path in (out / "units" / "tedm").iterdir()) == [
        f"n-{n}-seed-{s}" for n in (1, 3) for s in (0, 1)
    ]
    records = read_records(out / "records.csv")
    assert {(r.method, r.n, r.seed) for r in records} == {
        (m, n, s) for m in ("tedm", "ledm", "timestep:50") for n in (1, 3) for s in (0, 1)
    }
    assert {r.domain for r in records} == {"here", "there"}
    store, head = FeatureStore.open(extracted), load_head(out / "units" / "tedm" / "n-3-seed-1" / "head")
    mine = [record for record in records if (record.method, record.n, record.seed) == ("tedm", 3, 1)]
    assert sorted(map(str, mine)) == sorted(map(str, evaluate(store, {"": head})))
    voting = read_records(out / "voting.csv")
    assert {record.method for record in voting} == {"tedm@1", "tedm@50"}
    alone = [record for record in voting if (record.method, record.n, record.seed) == ("tedm@50", 3, 1)]
    assert sorted(map(str, alone)) == sorted(map(str, evaluate(store, {"": head}, timesteps=[50])))
    costs = list(csv.DictReader((out / "costs.csv").read_text().splitlines()))
    assert len(costs) == 12
    assert all(float(row["fit_seconds"]) >= 0 and float(row["score_seconds"]) > 0 for row in costs)
    assert {row["iterations"] for row in costs if row["method"] != "timestep:50"} == {"20"}
    assert sorted(path.name for path in (out / "tables").iterdir()) == sorted(
        f"{name}-dice{ending}" for name in ("records", "voting") for ending in (".csv", ".md", ".tex")
    )


@pytest.fixture(scope="module")
def whole(dataset: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study from images on that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    path = write_study(folder, of_images(dataset, checkpoint))
    _complete(Forked("tedm.cli.study", [path, folder / "out", "--threads", 1, "--device", "cpu"]))
    return folder / "out"


@pytest.mark.slow
def test_a_study_killed_five_times_at_random_ends_in_the_bytes_of_one_run(
    done: Path, whole: Path, dataset: Path, checkpoint: Path, tmp_path: Path
) -> None:
    """From images on, so that the extraction is killed as well; each time at the moment when so many files are there."""
    path = write_study(tmp_path, of_images(dataset, checkpoint))
    out, options = tmp_path / "out", ["--threads", 1, "--device", "cpu"]

    def files(folder: Path) -> int:
        return sum(len(names) for _, _, names in os.walk(folder))

    for until in sorted(random.Random(8).sample(range(1, files(whole) - 12), 5)):
        process = Forked("tedm.cli.study", [path, out, *options])
        while process.poll() is None and files(out) < until:
            time.sleep(0.002)
        process.kill()
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
    _complete(Forked("tedm.cli.study", [path, out, *options]))
    assert results_in(out) == results_in(whole)
    units = {name for name in results_in(out) if name.startswith("units/")}
    assert units == {name for name in results_in(done / "out") if name.startswith("units/")}
    assert not list(out.rglob(".*"))


def _complete(process: Forked) -> None:
    out, said = process.communicate(timeout=250)
    assert process.returncode == 0, said + out


def test_shards_together_equal_one_run(done: Path, tmp_path: Path) -> None:
    study = read_study(done / "study.toml")
    first = run_study(study, tmp_path / "out", shard=(0, 2), device="cpu", threads=1)
    assert (first.done, first.missing, first.results) == (6, 6, None)
    assert not (tmp_path / "out" / "records.csv").exists()
    second = run_study(study, tmp_path / "out", shard=(1, 2), device="cpu", threads=1)
    assert (second.done, second.missing) == (6, 0)
    assert results_in(tmp_path / "out") == results_in(done / "out")


@pytest.mark.slow
def test_two_shards_that_extract_and_fit_at_the_same_time_end_in_the_bytes_of_one_run(
    whole: Path, dataset: Path, checkpoint: Path, tmp_path: Path
) -> None:
    path, out = write_study(tmp_path, of_images(dataset, checkpoint)), tmp_path / "out"
    options = [path, out, "--threads", 1, "--device", "cpu"]
    both = [Forked("tedm.cli.study", [*options, "--shard", f"{part}/2"]) for part in (0, 1)]
    said = [process.communicate(timeout=250) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    _complete(Forked("tedm.cli.study", options))  # where both saw the other's last unit missing, nobody put all together
    assert results_in(out) == results_in(whole)
    assert not list(out.rglob(".*"))


def test_a_method_a_size_and_a_seed_that_are_added_cost_their_own_units_alone(done: Path, tmp_path: Path) -> None:
    shutil.copytree(done / "out", tmp_path / "out")
    heads = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("head.json")}
    file = (done / "study.toml").read_text().replace("sizes = [1, 3]", "sizes = [1, 2, 3]\nseeds_at = {2 = [0], 3 = [0, 1, 2]}")
    (tmp_path / "study.toml").write_text(file + '[[methods]]\nmethod = "timestep:1"\nsizes = [3]\nseeds = [0]\n')
    outcome = run_study(read_study(tmp_path / "study.toml"), tmp_path / "out", device="cpu", threads=1)
    assert outcome.done == 3 + 3 + 1
    assert {path: path.stat().st_mtime_ns for path in heads} == heads
    was, now = results_in(done / "out"), results_in(tmp_path / "out")
    units = {name: digest for name, digest in was.items() if name.startswith("units/")}
    assert {name: now[name] for name in units} == units


def test_a_run_with_nothing_left_changes_no_byte(done: Path) -> None:
    before = results_in(done / "out")
    assert run_study(read_study(done / "study.toml"), done / "out", device="cpu", threads=1).done == 0
    assert results_in(done / "out") == before


def test_one_method_alone_can_be_done(done: Path, tmp_path: Path) -> None:
    study = read_study(done / "study.toml")
    outcome = run_study(study, tmp_path / "out", only=["timestep:50"], device="cpu", threads=1)
    assert (outcome.done, outcome.missing) == (4, 8)
    with pytest.raises(TedmError, match="did you mean tedm"):
        run_study(study, tmp_path / "out", only=["tdem"])


CHANGES = {
    "iterations = 20": (
        "iterations = 30",
        "iterations was 20, and is 30 now; 4 units of it are there: give the method another name",
    ),
    'domain = "there"': (
        'domain = "there"\n[learn]\ndomain = "here"',
        "another study; repeat its file, or name another folder",
    ),
    "seeds = [0, 1]": ('counts = "groups"\nseeds = [0, 1]', 'counts was "images", and is "groups" now'),
}


@pytest.mark.parametrize("was", CHANGES)
def test_what_contradicts_the_units_that_are_there_is_refused(done: Path, tmp_path: Path, was: str) -> None:
    now, message = CHANGES[was]
    (tmp_path / "study.toml").write_text(
        (done / "study.toml").read_text().replace("sizes = [1, 3]", "sizes = [1]").replace(was, now, 1)
    )
    before = results_in(done / "out")
    with pytest.raises(TedmError) as refused:
        run_study(read_study(tmp_path / "study.toml"), done / "out", device="cpu")
    assert message in str(refused.value)
    assert results_in(done / "out") == before


def test_another_store_under_the_units_is_refused(done: Path, checkpoint: Path, dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(done / "out", tmp_path / "out")
    path = write_study(tmp_path, of_images(dataset, checkpoint) + "\nnoise_seed = 7")
    with pytest.raises(TedmError, match="features: noise_seed was 0, and is 7 now"):
        run_study(read_study(path), tmp_path / "out", device="cpu", threads=1)


def test_settings_of_a_method_without_units_may_change(done: Path, tmp_path: Path) -> None:
    run_study(read_study(done / "study.toml"), tmp_path / "out", only=["timestep:50"], device="cpu", threads=1)
    (tmp_path / "study.toml").write_text((done / "study.toml").read_text().replace("iterations = 20", "iterations = 5"))
    run_study(read_study(tmp_path / "study.toml"), tmp_path / "out", only=["timestep:50"], device="cpu", threads=1)
    assert json.loads((tmp_path / "out" / "study.json").read_text())["methods"]["ledm"]["iterations"] == 5


def test_a_folder_of_something_else_is_refused_and_stays_as_it_is(done: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(TedmError, match="is not empty and holds no study"):
        run_study(read_study(done / "study.toml"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_place_that_cannot_be_written_is_refused_before_any_work(done: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(TedmError, match="cannot"):
        run_study(read_study(done / "study.toml"), tmp_path / "out", device="cpu")
    tmp_path.chmod(0o700)


def test_a_study_that_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    path = write_study(tmp_path, of_store(tmp_path / "nothing"), head=TITLE, methods=METHODS)
    with pytest.raises(TedmError, match="nothing"):
        run_study(read_study(path), tmp_path / "out", device="cpu")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["study.toml"]


def test_fits_that_cannot_fit_on_the_disk_are_refused_before_any_of_them(done: Path, extracted: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(done / "out", out)
    with (out / "units" / "tedm" / "n-1-seed-0" / "head" / "weights.safetensors").open("r+b") as weights:
        weights.truncate(1 << 43)  # a file with a hole: it says that it has 8.8 TB, and takes none
    shutil.rmtree(out / "units" / "tedm" / "n-3-seed-1")
    study = read_study(write_study(tmp_path, of_store(extracted)))
    with pytest.raises(TedmError, match="1 fit left to do: .* GB in .*out, and its disk has .* free; make room"):
        run_study(study, out, device="cpu")
    assert not (out / "units" / "tedm" / "n-3-seed-1").exists()
