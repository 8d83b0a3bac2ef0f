"""What probes found as a result folder: every number in a table, every figure beside the table of its numbers."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tedm.files import table_text
from tedm.heads import CONVENTIONS, By, Findings, images_in_words
from tedm.show import level_figure, png, timestep_figure, voting_figure
from tedm.store import Features
from tedm.study.report.about import about_findings
from tedm.study.report.result import ResultFigure, ResultTable, write_result
from tedm.text import columns, listed, shown

INTERVAL = "mean and 95 % interval of a bootstrap over training subsets and test groups"
TITLES = {"dice": "Dice", "precision": "Precision", "recall": "Recall"}


def write_findings(
    folder: Path,
    features: Features,
    findings: Findings,
    words: Sequence[str],
    *,
    by: By,
    what: str = "the store",
    command: str = "",
) -> None:
    """Write findings as a result folder.

    Parameters
    ----------
    folder : Path
        Not there yet, or empty.
    features : Features
        What was probed.
    findings : Findings
    words : sequence of str
        What they mean, paragraphs.
    by : {"timestep", "level", "timestep,level"}
        What the probes see.
    what, command : str
        For the reader: what the features are called, and how the folder was made.

    Raises
    ------
    TedmError
        If the folder is taken or cannot be written.
    """
    content: dict[str, bytes | str] = {}
    figures: list[ResultFigure] = []
    titles = {domain: domain or "all images" for domain, split in findings.places() if split != "val"}
    for metric, title in TITLES.items():
        curves = {titles[domain]: sizes for domain, sizes in findings.curves(metric).items()}
        if not curves:
            continue
        rows = [[d, n, *point] for d, sizes in curves.items() for n, curve in sizes.items() for point in curve]
        content[f"timesteps-{metric}.csv"] = table_text([["domain", "n", "timestep", "mean", "low", "high"], *rows])
        content[f"timesteps-{metric}.png"] = png(timestep_figure(curves, ylabel=f"{title} × 100"))
        caption = f"{title} × 100 of a probe at each timestep, by number of training images n: {INTERVAL}."
        alt = f"{title} against timestep, a panel for each of {listed(curves)}, a line for each n. {_best(rows)}"
        figures.append(ResultFigure(f"timesteps-{metric}.png", f"timesteps-{metric}.csv", caption, alt))
    for n in findings.plan.sizes if by == "timestep,level" else []:
        grids = {titles[domain]: grid for domain, grid in findings.grid(n).items()}
        levels, timesteps = findings.grid_levels, findings.grid_timesteps
        rows = [[d, level, *map(_empty, row)] for d, grid in grids.items() for level, row in zip(levels, grid, strict=True)]
        content[f"levels-{n}.csv"] = table_text([["domain", "level", *timesteps], *rows])
        content[f"levels-{n}.png"] = png(level_figure(grids, levels, timesteps))
        caption = (
            f"Dice × 100 of each level at each timestep, n = {n}, means over subsets and test images; the best of each domain "
            'is framed. "all" levels are seen side by side; "all" timesteps share one classifier and vote.'
        )
        alt = f"A grid of Dice for each of {listed(grids)}: rows are {listed(levels)}, columns the timesteps."
        figures.append(ResultFigure(f"levels-{n}.png", f"levels-{n}.csv", caption, alt))
    if findings.paths:
        curves = {titles[domain]: sizes for domain, sizes in findings.voting().items()}
        chosen = {path.n: path.chosen for path in findings.paths}
        votes = [asdict(point) for point in findings.votes]
        content["votes.csv"] = table_text([list(votes[0]), *(list(point.values()) for point in votes)])
        content["votes.png"] = png(voting_figure(curves, chosen))
        caption = (
            "Dice × 100 of the vote (mean probability) of the first 1, 2, ... timesteps of the greedy path, each with a "
            f"classifier of its own: {INTERVAL}. Path and number (ringed) are chosen on val. The table names the timesteps, "
            "the gain over the first alone, and the cost as a part of all passes of the network."
        )
        alt = f"Dice against the number of timesteps that vote, a panel for each of {listed(curves)}, a line for each n."
        figures.append(ResultFigure("votes.png", "votes.csv", caption, alt))
    points = [asdict(point) for point in findings.points]
    content["points.csv"] = table_text([list(points[0]), *(["" if v is None else v for v in p.values()] for p in points)])
    content["fits.csv"] = table_text(findings.fits())
    content["scores.csv.gz"] = gzip.compress(table_text(findings.scores()).encode(), compresslevel=6, mtime=0)
    about = [
        *about_findings(features, findings, what),
        ("empty truth", f"{findings.empty}: {CONVENTIONS[findings.empty]}"),
        ("command", command),
    ]
    tables = [] if figures else [ResultTable("points.csv", f"Scores × 100 of each probe: {INTERVAL}.")]
    write_result(
        folder,
        kind="probe",
        title=f"Probes by {by.replace(',', ' and ')}",
        content=content,
        about=[(label, value) for label, value in about if value],
        words=words,
        figures=figures,
        tables=tables,
        files={"points": "points.csv", "fits": "fits.csv", "scores": "scores.csv.gz"},
    )


def findings_text(findings: Findings) -> str:
    """Lay out the Dice of every probe on test images, a block for each domain, a column for each size."""
    sizes = findings.plan.sizes
    blocks = []
    for domain, split in findings.places():
        if split == "val":
            continue
        rows = [["", *(f"n = {n}" for n in sizes)]]
        points = [p for p in findings.points if (p.domain, p.split, p.metric) == (domain, split, "dice")]
        for name in dict.fromkeys(point.probe for point in points):
            entries = {p.n: f"{p.mean:.1f} [{p.low:.1f}, {p.high:.1f}]" for p in points if p.probe == name}
            rows.append([name, *(entries[n] for n in sizes)])
        absent = findings.without_class(domain, split)
        images = images_in_words(points[0].images, points[0].left_out, absent, 0, findings.empty)
        blocks.append("\n".join([f"{shown(domain) or 'all'} ({split}), {images}", *columns(rows)]))
    return "\n\n".join(blocks)


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
