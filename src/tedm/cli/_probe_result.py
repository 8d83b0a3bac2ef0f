"""The folder that tedm-probe writes: every number in a table, every figure beside the table of its numbers."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from tedm.heads import Findings
from tedm.results import ResultFigure, ResultTable, write_result
from tedm.show import level_figure, png, timestep_figure, voting_figure

INTERVAL = "mean and 95 % interval of a bootstrap over training subsets and test groups"
TITLES = {"dice": "Dice", "precision": "Precision", "recall": "Recall"}


def write_findings(
    folder: Path, findings: Findings, words: Sequence[str], about: Sequence[tuple[str, str]], *, by: str
) -> None:
    """Write findings as a result folder.

    Parameters
    ----------
    folder : Path
        Not there yet, or empty.
    findings : Findings
    words : sequence of str
        What they mean, paragraphs.
    about : sequence of (str, str)
        Provenance.
    by : str
        What the probes see.

    Raises
    ------
    TedmError
        If the folder is taken or cannot be written.
    """
    content: dict[str, bytes | str] = {}
    figures: list[ResultFigure] = []
    titles = {domain: domain or "all images" for domain, split in findings.places() if split != "val"}
    for metric, title in TITLES.items():
        curves = {titles[domain]: of_sizes for domain, of_sizes in findings.curves(metric).items()}
        if not curves:
            continue
        rows = [[d, n, *point] for d, of_sizes in curves.items() for n, curve in of_sizes.items() for point in curve]
        content[f"timesteps-{metric}.csv"] = _csv([["domain", "n", "timestep", "mean", "low", "high"], *rows])
        content[f"timesteps-{metric}.png"] = png(timestep_figure(curves, ylabel=f"{title} × 100"))
        caption = f"{title} × 100 of a probe at each timestep, by number of training images n: {INTERVAL}."
        alt = f"{title} against timestep, a panel for each of {', '.join(curves)}, a line for each n. {_best(rows)}"
        figures.append(ResultFigure(f"timesteps-{metric}.png", f"timesteps-{metric}.csv", caption, alt))
    for n in findings.plan.sizes if by == "timestep,level" else []:
        grids = {titles[domain]: grid for domain, grid in findings.grid(n).items()}
        levels, timesteps = findings.grid_levels, findings.grid_timesteps
        rows = [[d, level, *map(_empty, row)] for d, grid in grids.items() for level, row in zip(levels, grid, strict=True)]
        content[f"levels-{n}.csv"] = _csv([["domain", "level", *timesteps], *rows])
        content[f"levels-{n}.png"] = png(level_figure(grids, levels, timesteps))
        caption = (
            f"Dice × 100 of each level at each timestep, n = {n}, means over subsets and test images; the best of each domain "
            'is framed. "all" levels are seen side by side; "all" timesteps share one classifier and vote.'
        )
        alt = f"A grid of Dice for each of {', '.join(grids)}: rows are {', '.join(levels)}, columns the timesteps."
        figures.append(ResultFigure(f"levels-{n}.png", f"levels-{n}.csv", caption, alt))
    if findings.paths:
        curves = {titles[domain]: of_sizes for domain, of_sizes in findings.voting().items()}
        chosen = {path.n: path.chosen for path in findings.paths}
        votes = [asdict(point) for point in findings.votes]
        content["votes.csv"] = _csv([list(votes[0]), *(list(point.values()) for point in votes)])
        content["votes.png"] = png(voting_figure(curves, chosen))
        caption = (
            "Dice × 100 of the vote (mean probability) of the first 1, 2, ... timesteps of the greedy path, each with a "
            f"classifier of its own: {INTERVAL}. Path and number (ringed) are chosen on val. The table names the timesteps, "
            "the gain over the first alone, and the cost as a part of all passes of the network."
        )
        alt = f"Dice against the number of timesteps that vote, a panel for each of {', '.join(curves)}, a line for each n."
        figures.append(ResultFigure("votes.png", "votes.csv", caption, alt))
    points = [asdict(point) for point in findings.points]
    content["points.csv"] = _csv([list(points[0]), *(["" if v is None else v for v in p.values()] for p in points)])
    content["fits.csv"] = _csv(findings.fits())
    content["scores.csv.gz"] = gzip.compress(_csv(findings.scores()).encode(), compresslevel=6, mtime=0)
    tables = [] if figures else [ResultTable("points.csv", f"Scores × 100 of each probe: {INTERVAL}.")]
    write_result(
        folder,
        kind="probe",
        title=f"Probes by {by.replace(',', ' and ')}",
        content=content,
        about=about,
        words=words,
        figures=figures,
        tables=tables,
        files={"points": "points.csv", "fits": "fits.csv", "scores": "scores.csv.gz"},
    )


def _csv(rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def _empty(value: float) -> object:
    return "" if value != value else value


def _best(rows: Sequence[Sequence[object]]) -> str:
    """The best timestep of each domain and n, in words."""
    best: dict[tuple[object, object], Sequence[object]] = {}
    for row in rows:
        key = (row[0], row[1])
        if row[3] == row[3] and (key not in best or float(str(row[3])) > float(str(best[key][3]))):
            best[key] = row
    return "Highest: " + "; ".join(f"{d}, n = {n}: timestep {row[2]}" for (d, n), row in best.items()) + "."
