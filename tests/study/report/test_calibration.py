"""How sure heads are, as a folder and as lines."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from PIL import Image

from tedm.heads import Calibration, load_head, reliability
from tedm.store import FeatureStore
from tedm.study import write_calibration
from tedm.study.report.calibration import calibration_lines


def test_lines_and_tables_have_the_same_errors(evaluated: Path, tmp_path: Path) -> None:
    head = load_head(evaluated / "timestep50-4")
    heads = {"plain": head, "warm": replace(head, calibration=Calibration(2.5, head.method.vote, (50,)))}
    measured = reliability(FeatureStore.open(evaluated / "store"), heads)
    write_calibration(measured, tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "ece.csv").read_text().splitlines()))
    lines = calibration_lines(measured)
    assert len(lines) == 4  # two heads in two domains
    for line in lines:
        head_name, domain = line.split(":")[0].split(", ")
        mine = [row for row in rows if (row["head"], row["domain"]) == (head_name, domain)]
        errors = [f"{float(row['ece']):.4f}" for row in mine]
        after = f", after temperature 2.5: {errors[1]}" if head_name == "warm" else ""
        assert line == f"{head_name}, {domain}: expected calibration error {errors[0]}{after}"
    with Image.open(tmp_path / "out" / "reliability.png") as picture:
        assert picture.width > 300
