"""tedm-study: what it prints, and that a mistake is one message and no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from trial_study import of_store, write_study

from tedm.cli import study
from tedm.study.trial import EXAMPLES

METHODS = '[[methods]]\nmethod = "timestep:50"\n[[methods]]\nmethod = "timestep:1"\n'


def call(*arguments: object) -> Result:
    return CliRunner().invoke(study.main, [str(argument) for argument in arguments])


@pytest.fixture
def path(extracted: Path, tmp_path: Path) -> Path:
    return write_study(tmp_path, of_store(extracted), head="sizes = [2]\n", score="", methods=METHODS)


def test_a_study_is_told_done_in_shards_and_printed(path: Path, tmp_path: Path) -> None:
    told = call(path, tmp_path / "out", "--dry-run")
    assert told.stdout.splitlines()[-1] == "2 fits left; time and disk unknown until the first is done"
    assert not (tmp_path / "out").exists()
    first = call(path, tmp_path / "out", "--shard", "0/2", "--device", "cpu", "--threads", 1)
    assert first.stdout == f"{tmp_path / 'out'}: 1 unit done now, 1 missing (of other shards or methods): no tables yet\n"
    assert first.exit_code == 0
    second = call(path, tmp_path / "out", "--only", "timestep:1", "--device", "cpu", "--threads", 1)
    assert "timestep:50" in second.stdout
    done = "1 unit done now; report.html, paper/, records.csv, costs.csv, tables/"
    assert second.stdout.splitlines()[-1] == f"{tmp_path / 'out'}: {done}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_printed_and_nothing_else_is_done(name: str) -> None:
    printed = call("--example", name)
    assert (printed.exit_code, printed.stdout) == (0, EXAMPLES[name])


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (("sizes", "size"), [], "'size' means nothing here (did you mean sizes?)"),
        (("[2]", "[20]"), [], "sizes: cannot train on 20 images"),
        (("", ""), ["--only", "timestep:2"], "there is no method 'timestep:2'"),
        (("", ""), ["--shard", "2/2"], "of n shards the first is 0/n"),
        (("", ""), ["--threads", "0"], "--threads 0; give 1 or more"),
    ],
)
def test_bad_input_is_one_clear_message(
    path: Path, tmp_path: Path, change: tuple[str, str], options: list[str], message: str
) -> None:
    path.write_text(path.read_text().replace(*change))
    refused = call(path, tmp_path / "out", *options)
    assert refused.exit_code in (1, 2)
    assert message in refused.output
    assert "Traceback" not in refused.output
    assert not (tmp_path / "out").exists()
