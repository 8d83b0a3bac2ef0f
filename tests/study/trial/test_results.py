"""What a study found, put together: sorted, whole, or refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tedm.errors import TedmError
from tedm.heads import read_records, summarise
from tedm.study import read_study
from tedm.study.trial import assemble


def test_records_are_sorted_by_method_size_and_seed_and_tables_are_made_of_them(done: Path) -> None:
    records = read_records(done / "out" / "records.csv")
    order = list(dict.fromkeys((record.method, record.n, record.seed) for record in records))
    assert order == [(method, n, seed) for method in ("ledm", "tedm", "timestep:50") for n in (1, 3) for seed in (0, 1)]
    text = (done / "out" / "tables" / "records-dice.csv").read_text()
    assert text == summarise(records).to_csv()
    voting = (done / "out" / "tables" / "voting-dice.md").read_text()
    assert all(name in voting for name in ("tedm@1", "tedm@50", "tedm "))
    assert "ledm" not in voting


def test_a_study_with_missing_units_is_not_put_together(done: Path, tmp_path: Path) -> None:
    shutil.copytree(done / "out", tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "units" / "ledm" / "n-3-seed-1" / "scores")
    with pytest.raises(TedmError, match=r"1 unit of 12 missing \(ledm, n = 3, seed 1 say\); run tedm-study again"):
        assemble(read_study(done / "study.toml"), tmp_path / "out")
