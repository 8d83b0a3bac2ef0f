"""A probe of a store in one call, with and without a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tedm.errors import TedmError
from tedm.heads import advice, probe
from tedm.store import FeatureStore
from tedm.study import probe_store, read_result


def test_the_folder_says_what_the_probe_found(extracted: Path, tmp_path: Path) -> None:
    store = FeatureStore.open(extracted)
    done = probe_store(store, folder=tmp_path / "out", sizes=[2], repeats=2, processes=1, what="mine", command="by hand")
    alone = probe(store, sizes=[2], repeats=2)
    assert list(map(str, done.findings.points)) == list(map(str, alone.points))
    assert list(done.advice) == advice(alone)
    result = read_result(tmp_path / "out")
    assert result.words == done.advice
    assert [dict(result.about)[label] for label in ("store", "command")] == ["mine", "by hand"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # what was kept of finished probes is gone


def test_a_place_that_is_taken_is_refused_before_any_work(extracted: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(TedmError, match="is not empty"):
        probe_store(FeatureStore.open(extracted), folder=tmp_path, sizes=[1], repeats=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
