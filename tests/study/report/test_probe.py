"""What probes found, as a folder and as text."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from PIL import Image

from tedm.heads import Findings, probe
from tedm.store import FeatureStore
from tedm.study import read_result, write_findings
from tedm.study.report.probe import findings_text


@pytest.fixture(scope="module")
def store(evaluated: Path) -> FeatureStore:
    return FeatureStore.open(evaluated / "store")


@pytest.fixture(scope="module")
def findings(store: FeatureStore) -> Findings:
    return probe(store, sizes=[1, 2], repeats=2, by="timestep,level")


def test_every_figure_has_a_table_and_every_number_is_that_of_the_findings(
    store: FeatureStore, findings: Findings, tmp_path: Path
) -> None:
    write_findings(tmp_path / "p", store, findings, ["One.", "Two."], by="timestep,level", command="by hand")
    result = read_result(tmp_path / "p")
    assert (result.title, result.words) == ("Probes by timestep and level", ("One.", "Two."))
    assert [figure.file for figure in result.figures] == [
        *(f"timesteps-{metric}.png" for metric in ("dice", "precision", "recall")),
        "levels-1.png",
        "levels-2.png",
    ]
    for figure in result.figures:
        with Image.open(tmp_path / "p" / figure.file) as picture:
            assert picture.width > 300
    rows = list(csv.DictReader(io.StringIO(result.bytes_of("points.csv").decode())))
    assert [float(row["mean"]) for row in rows] == [point.mean for point in findings.points]
    table = result.rows_of("timesteps-dice.csv")
    curve = findings.curves()["there"][2]
    assert [[float(entry) for entry in row[2:]] for row in table if row[:2] == ["there", "2"]] == list(map(list, curve))


def test_the_text_has_a_block_for_each_domain_and_a_column_for_each_size(findings: Findings) -> None:
    blocks = findings_text(findings).split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == ["there (test), 2 images", "here (test), 1 image"]
    points = {(p.domain, p.probe, p.n): p for p in findings.points if p.metric == "dice"}
    for block, domain in zip(blocks, ("there", "here"), strict=True):
        titles, *lines = block.splitlines()[1:]
        assert titles.split() == ["n", "=", "1", "n", "=", "2"]
        for line in lines:
            point = points[domain, line.split()[0], 2]
            assert line.endswith(f"{point.mean:.1f} [{point.low:.1f}, {point.high:.1f}]")
