"""Tables say what a few lines of NumPy and SciPy say of the same records, and LaTeX takes them."""

from __future__ import annotations

import csv
import io
import math
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from paper_study import AWAY, FAR, HOME, IMAGES, ODD
from scipy import stats

from tedm.errors import TedmError
from tedm.heads import Record
from tedm.study.paper import PaperResults
from tedm.study.paper.tables import Entry, tables

LATEX = next(filter(None, map(shutil.which, ("pdflatex", "tectonic"))), None)


def images_of(records: tuple[Record, ...], method: str, domain: str, n: int, metric: str = "dice") -> NDArray[np.float64]:
    """Scores of the lung in points: the mean of each image over seeds, where the truth shows it."""
    scores: dict[str, list[float]] = {}
    for r in records:
        if (r.method, r.domain, r.n, r.class_value) == (method, domain, n, 255) and not math.isnan(r.recall):
            scores.setdefault(r.image, []).append(getattr(r, metric))
    return 100 * np.array([np.mean(scores[image]) for image in sorted(scores)])


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / name).read_text())))


def cell_of(folder: Path, number: int, method: str, domain: str, n: int) -> dict[str, str]:
    (row,) = [
        row
        for row in rows_of(folder, f"table-{number}.csv")
        if (row["method"], row["domain"], row["n"]) == (method, domain, str(n))
    ]
    return row


CELLS = {
    1: [("ledm", HOME, 1), ("tedm", FAR, 3), ("unet", AWAY, 12)],
    2: [("t = 1", HOME, 1), ("t = 800", FAR, 3), ("tedm", AWAY, 12)],
    3: [("ledm", HOME, 1), ("tedm", HOME, 3), ("tedm", HOME, 12)],
    4: [("ledme", HOME, 3), (ODD, FAR, 1), ("unet", AWAY, 3)],
    5: [("ledm", FAR, 12), (ODD, HOME, 3), ("tedm", AWAY, 1)],
}


@pytest.mark.parametrize("number", CELLS)
def test_three_cells_of_each_table_by_hand(results: PaperResults, folder: Path, number: int) -> None:
    records = {2: (*results.records, *results.voting), 3: results.volumes}.get(number, results.records)
    metric = {4: "precision", 5: "recall"}.get(number, "dice")
    for method, domain, n in CELLS[number]:
        row, scores = cell_of(folder, number, method, domain, n), images_of(records, method, domain, n, metric)
        assert len(scores) == int(row["images"]) == IMAGES - 1
        assert float(row["mean"]) == pytest.approx(scores.mean())
        assert float(row["deviation"]) == pytest.approx(scores.std(ddof=1))
        assert f"{scores.mean():.1f} ± {scores.std(ddof=1):.1f}" in (folder / f"table-{number}.md").read_text()
        assert rf"{scores.mean():.1f} $\pm$ {scores.std(ddof=1):.1f}" in (folder / f"table-{number}.tex").read_text()


def test_the_interval_is_students_over_the_means_of_seeds(results: PaperResults, folder: Path) -> None:
    row = cell_of(folder, 1, "ledme", AWAY, 3)
    means = [images_of(tuple(r for r in results.records if r.seed == s), "ledme", AWAY, 3).mean() for s in (0, 1, 2)]
    low, high = stats.t.interval(0.95, 2, loc=np.mean(means), scale=stats.sem(means))
    assert (float(row["seeds_low"]), float(row["seeds_high"]), row["seeds"]) == (pytest.approx(low), pytest.approx(high), "3")
    one = cell_of(folder, 1, "ledme", AWAY, 12)
    assert (one["seeds"], one["seeds_low"], one["seeds_high"]) == ("1", "nan", "nan")


@pytest.mark.parametrize("number", [1, 2])
def test_bold_is_the_best_and_what_wilcoxon_does_not_find_different(results: PaperResults, folder: Path, number: int) -> None:
    records = (*results.records, *results.voting)
    rows = rows_of(folder, f"table-{number}.csv")
    tested = 0
    for domain, n in {(row["domain"], int(row["n"])) for row in rows}:
        here = [row for row in rows if (row["domain"], row["n"]) == (domain, str(n))]
        scores = {row["method"]: images_of(records, row["method"], domain, n) for row in here}
        best = max(scores, key=lambda name: scores[name].mean())
        p = {name: stats.wilcoxon(scores[best], scores[name]).pvalue for name in scores if name != best}
        for row in here:
            assert (row["best"] == "True") == (row["method"] == best)
            assert (row["bold"] == "True") == (row["method"] == best or p[row["method"]] >= 0.05)
            if row["method"] != best:
                assert float(row["p_value"]) == pytest.approx(p[row["method"]])
                assert float(row["p_holm"]) >= float(row["p_value"])
                smaller = sorted(p.values()).index(p[row["method"]])
                assert float(row["p_holm"]) >= min(1, (len(p) - smaller) * p[row["method"]]) - 1e-12
                tested += 1
    assert tested > 20


def test_a_dagger_is_what_holms_correction_changes(results: PaperResults, folder: Path) -> None:
    rows = rows_of(folder, "table-2.csv")
    changed = [row for row in rows if row["bold"] == "False" and row["bold_holm"] == "True"]
    assert changed
    printed = re.findall(r"\d†", (folder / "table-2.md").read_text())
    assert len(printed) == len(changed)
    assert len(re.findall(r"\d\$\^\{\\dagger\}\$", (folder / "table-2.tex").read_text())) == len(changed)


def test_methods_are_rows_in_the_papers_order_and_probes_are_none_of_them(folder: Path) -> None:
    lines = (folder / "table-1.md").read_text().splitlines()
    rows = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")]
    expected = ["method", "unet", "ledm", "ledme", "tedm", r"50%\_fewer & \{more\} \#1"]
    assert rows == expected * 3
    assert [line.split(":")[0] for line in lines if "mean ± standard" in line] == [HOME, FAR, AWAY]
    assert sum(line.startswith("| unet | – | ") for line in lines) == 3
    assert "–: not run at this n, or without a score" in lines[-1]


def test_special_characters_are_escaped_for_latex(results: PaperResults, folder: Path) -> None:
    assert r"50\%\_fewer \& \{more\} \#1 & " in (folder / "table-1.tex").read_text()


def test_a_table_without_data_is_left_out_and_says_why(results: PaperResults) -> None:
    few = replace(results, records=tuple(r for r in results.records if (r.domain, r.n) == (HOME, 1)))
    lines = [part.line for part in tables(replace(few, voting=(), volumes=()))]
    assert lines[1] == "table 2 is left out: there are no records of TEDM voting with one timestep alone"
    assert lines[2] == "table 3 is left out: there are no scores of whole volumes"
    without = replace(few, records=tuple(r for r in few.records if r.method != "tedm"))
    assert tables(without)[1].line == "table 2 is left out: there are no records of tedm, whose vote it is about"
    probes = replace(few, records=tuple(r for r in few.records if r.method in results.probes))
    assert [part.line for part in tables(probes)][::4] == [
        f"table {number} is left out: there are no records but those of probes" for number in (1, 5)
    ]


def test_records_that_cannot_be_compared_name_the_table(results: PaperResults) -> None:
    fewer = tuple(r for r in results.voting if (r.method, r.image) != ("t = 1", f"{HOME}-3"))
    with pytest.raises(TedmError, match="table 2 of the paper cannot be made: cannot compare the methods of domain shenzhen"):
        tables(replace(results, voting=fewer))


def test_an_entry_is_bold_or_has_a_dagger() -> None:
    assert Entry("1.0", bold=True).written("**{}**") == "**1.0**"
    assert Entry("1.0", dagger=True).written("**{}**") == "1.0†"
    assert Entry("1.0").written("**{}**") == "1.0"


@pytest.mark.skipif(LATEX is None, reason="needs a LaTeX: apt-get install texlive-latex-recommended")
def test_latex_takes_all_tables_and_none_is_wider_than_the_page(folder: Path, tmp_path: Path) -> None:
    names = [f"table-{number}" for number in range(1, 6)]
    body = "\n".join((folder / f"{name}.tex").read_text() for name in names)
    document = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n" + body + "\\end{document}\n"
    (tmp_path / "all.tex").write_text(document, encoding="utf-8")
    assert LATEX is not None
    options = [] if "tectonic" in LATEX else ["-interaction=nonstopmode", "-halt-on-error"]
    made = subprocess.run([LATEX, *options, "all.tex"], cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert made.returncode == 0, made.stdout.decode(errors="replace")[-2000:]
    assert (tmp_path / "all.pdf").stat().st_size > 1000
    assert b"Overfull \\hbox" not in made.stdout
