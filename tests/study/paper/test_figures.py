"""Figures show the numbers of their CSVs, which are those of the records."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from paper_study import AWAY, FAR, HOME, ODD

from tedm.errors import TedmError
from tedm.study.paper import PaperResults, Picture
from tedm.study.paper.figures import figures
from tedm.study.paper.seeds import estimate, seed_means


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / name).read_text())))


def test_curves_have_the_means_of_records_at_home_and_elsewhere(results: PaperResults, folder: Path) -> None:
    means = seed_means(results.records)
    for number, domains in ((2, [HOME]), (3, [FAR, AWAY])):
        rows = rows_of(folder, f"figure-{number}.csv")
        assert list(dict.fromkeys(row["domain"] for row in rows)) == domains
        assert list(dict.fromkeys(row["method"] for row in rows)) == [*results.probes, "unet", "ledm"]
        assert {row["timestep"] for row in rows} == {"1", "50", "400", "800", ""}
        for row in rows:
            found = estimate(means[row["domain"], int(row["n"]), row["method"]].values())
            assert float(row["mean"]) == found.mean
            assert row["low"] == ("" if row["n"] == "12" else repr(found.low))
        assert len(rows) == len(domains) * (4 * 3 + 2 + 3)  # unet has no n = 1
        assert (folder / f"figure-{number}.png").read_bytes()[:4] == b"\x89PNG"


def test_examples_have_the_dice_of_their_masks(results: PaperResults, lines_and_folder: tuple[list[str], Path]) -> None:
    lines, folder = lines_and_folder
    (picture,) = results.pictures
    rows = rows_of(folder, "figure-4-1.csv")
    assert [row["method"] for row in rows] == ["ledm", "tedm", ODD, *["unet", "ledm", "tedm", ODD] * 2]
    for row in rows:
        mask = picture.masks[row["method"], int(row["n"])]
        known = picture.truth != 255
        truth, predicted = (picture.truth == 1)[known], (mask == 1)[known]
        assert float(row["dice"]) == pytest.approx(200 * (truth & predicted).sum() / (truth.sum() + predicted.sum()))
    (part,) = (part for part in figures(replace(results, pictures=(replace(picture, note="Of the first seed."),)))
               if "figure 4" in part.line)  # fmt: skip
    assert part.figures[0].caption.endswith("the truth shows. Of the first seed.")
    assert "figure 4: CHN_01 (shenzhen), 4 methods at n = 1, 3, 12 (figure-4-1.png, .csv)" in lines


def test_what_has_no_data_is_left_out_and_says_why(results: PaperResults) -> None:
    few = tuple(r for r in results.records if (r.domain, r.n) == (HOME, 1))
    home = replace(results, records=few, pictures=(), probes={})
    assert [part.line for part in figures(home)] == [
        "figure 2 is left out: there are no records of probes of single timesteps",
        "figure 3 is left out: there is one domain only",
        "figure 4 is left out: there are no pictures",
    ]


def test_a_mask_of_no_class_is_refused(results: PaperResults) -> None:
    mask = np.eye(8, dtype=np.uint8)
    with pytest.raises(TedmError, match=r"figure 4 .*picture a, the mask of tedm, n = 1: the prediction holds \[9\]"):
        figures(replace(results, pictures=(Picture(mask / 2, mask, {("tedm", 1): 9 * mask}, "a"),)))
