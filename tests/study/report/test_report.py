"""The report without a browser: its numbers, its texts, and what it refuses."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tedm.cli import report

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Tables by their captions or summaries, headings, pictures, ids; complains of what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.bold: set[str] = set()
        self.headings: list[tuple[int, str]] = []
        self.images: list[dict[str, str | None]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self._title = ""
        self._rows: list[list[str]] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "div" and dict(attrs).get("class") == "scroll":
            self._title = dict(attrs)["aria-label"] or ""
        if tag == "table":
            assert self._title not in self.tables, self._title
            self._rows = self.tables[self._title] = []
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        self.words.append(data)
        if "td" in self._open or "th" in self._open:
            self._rows[-1][-1] += data
            if inside == "strong":
                self.bold.add(data)
        if re.fullmatch("h[1-6]", inside):
            self.headings[-1] = (self.headings[-1][0], self.headings[-1][1] + data)


def run(*arguments: object, code: int = 0) -> Any:
    result = CliRunner().invoke(report.main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


def made(out: Path, *folders: Path) -> str:
    run(*folders, "--out", out)
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def whole(evaluated: Path, probed: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of the evaluation and of the probe."""
    return made(tmp_path_factory.mktemp("whole") / "r.html", evaluated / "evaluation", probed)


def test_numbers_of_the_report_are_those_of_the_records(evaluated: Path, whole: str) -> None:
    """A cell of each table, of the curve's and of the box's numbers, computed again from the file of records."""
    page = Page(whole)
    rows = list(csv.DictReader((evaluated / "records.csv").read_text().splitlines()))

    def scores(method: str, n: int, metric: str) -> list[float]:
        where = {"domain": "there", "method": method, "n": str(n), "class_value": "255"}
        return [100 * float(row[metric]) for row in rows if where.items() <= row.items()]

    def entries(title: str) -> dict[str, list[str]]:
        ((titles, *lines),) = [table for caption, table in page.tables.items() if caption.startswith(title)]
        return {" ".join(line[: 1 + (titles[1] == "n")]): line for line in lines}

    for title, metric in (("there: Dice", "dice"), ("there: Recall", "recall")):
        values = scores("timestep:50", 4, metric)
        assert len(values) == 2
        assert entries(title)["timestep:50"][2] == f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}"
    values = scores("timestep:1", 1, "dice")
    # Of two patients every fourth bootstrap draw has the worse one twice, and every fourth the better one.
    expected = [f"{value:.1f}" for value in (np.mean(values), min(values), max(values))]
    assert entries("there, means and intervals")["timestep:1 1"][2:] == [*expected, "2", "2", "1"]
    values = scores("timestep:50", 4, "dice")
    five = [f"{value:.1f}" for value in np.quantile(values, [0, 0.25, 0.5, 0.75, 1])]
    assert entries("there, the spread of the images")["timestep:50, n = 4"][1:] == [*five, "2"]
    assert page.bold
    best = max(("timestep:1", "timestep:50"), key=lambda method: np.mean(scores(method, 4, "dice")))
    assert entries("there: Dice")[best][2] in page.bold
    said = " ".join(page.words)
    for note in ("paired Wilcoxon", "labels used, val included: 1 (n = 1), 4 (n = 4)", "2000 times", "tedm-evaluate"):
        assert note.lower() in said.lower()


def test_the_images_are_in_the_report_with_their_dice(evaluated: Path, whole: str) -> None:
    page = Page(whole)
    examples = list(csv.DictReader((evaluated / "evaluation" / "examples.csv").read_text().splitlines()))
    assert {row["rank"] for row in examples} == {"best", "worst"}  # of two images in one domain and one in the other
    alts = [image["alt"] or "" for image in page.images]
    for row in examples:
        dice = f"Dice {float(row['dice']):.1f}"
        assert f"{row['image']} with the prediction of {row['head']} and the outline of the truth: {dice}" in alts
    domains, figures, heads, of_the_probe = 2, 2, 2, 1
    assert len(page.images) == domains * figures + (2 + heads) * len(examples) // heads + of_the_probe
    for image in page.images:
        kind, _, content = (image["src"] or "").partition(",")
        assert kind == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
            assert picture.width > 200 or "onerror" in (image["alt"] or "")
            assert np.ptp(np.asarray(picture.convert("L"))) > 50 or picture.width == 40
    assert len({image["src"] for image in page.images}) == len(page.images)


def test_the_file_needs_no_other_and_runs_nothing(whole: str) -> None:
    page = Page(whole)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "form", "b"}
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/png;base64,")), (tag, value)
    assert re.findall(r"(?:https?:)?//\w", re.sub(r"base64,[A-Za-z0-9+/=]+", "", whole)) == []
    assert "url(" not in whole
    assert "@import" not in whole


def test_hostile_names_are_shown_as_they_are(evaluated: Path, probed: Path, tmp_path: Path) -> None:
    hostile = "<script>alert('x')</script> & \"q\""
    copy = tmp_path / "evaluation"
    shutil.copytree(evaluated / "evaluation", copy)
    for name in ("records.csv", "examples.csv"):
        with (copy / name).open(newline="") as file:
            lines = list(csv.reader(file))
        lines = [[field.replace("scan", hostile).replace("timestep:50", hostile) for field in line] for line in lines]
        with (copy / name).open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(lines)
    text = made(tmp_path / "r.html", copy, probed)
    page = Page(text)
    assert "<script" not in text
    assert hostile in [row[0] for table in page.tables.values() for row in table]
    assert any(hostile in heading for _, heading in page.headings)
    assert any(hostile in (image["alt"] or "") for image in page.images)
    assert "<b>7</b>" in [row[0] for table in page.tables.values() for row in table]


def test_a_probe_is_shown_as_its_folder_says(probed: Path, tmp_path: Path) -> None:
    page = Page(made(tmp_path / "r.html", probed))
    tables = {title.split(",")[0].split(" (")[0]: table for title, table in page.tables.items()}
    assert tables["dice.csv"] == [["t", "dice"], ["1", "0.1235"], ["50", "–"]]
    assert len(tables["every fit"]) == 1 + 200
    assert any("the first 200 of 300 rows, all are in fits.csv" in title for title in page.tables)
    assert [base64.b64decode((image["src"] or "").partition(",")[2]) for image in page.images] == [
        (probed / "dice.png").read_bytes()
    ]
    assert page.headings[0][1].startswith("A probe")


def test_the_same_folders_are_the_same_bytes(evaluated: Path, probed: Path, whole: str, tmp_path: Path) -> None:
    assert made(tmp_path / "r.html", evaluated / "evaluation", probed) == whole


def test_evaluations_stand_in_one_table(evaluated: Path, probed: Path, whole: str, tmp_path: Path) -> None:
    """Two halves are the whole."""
    page = Page(whole)
    for method in ("timestep:1", "timestep:50"):
        shutil.copytree(evaluated / "evaluation", tmp_path / method[9:])
        for name in ("records.csv", "examples.csv"):
            path = tmp_path / method[9:] / name
            lines = path.read_text().splitlines(keepends=True)
            if name == "records.csv":
                path.write_text("".join([lines[0], *(line for line in lines[1:] if line.startswith(f"{method},"))]))
    halves = Page(made(tmp_path / "h.html", tmp_path / "1", tmp_path / "50", probed))
    assert halves.tables == page.tables
    assert halves.bold == page.bold
    shutil.copytree(evaluated / "evaluation", tmp_path / "again")
    refused = run(evaluated / "evaluation", tmp_path / "again", "--out", tmp_path / "x.html", code=1).stderr
    assert "cannot be put together" in refused
    assert "has 2 scores for image" in refused


def test_methods_are_shown_over_the_same_images_by_the_convention_that_is_asked_for(evaluated: Path, tmp_path: Path) -> None:
    """One truth of the records is empty: timestep:1 predicts nothing there, timestep:50 something."""
    copy = tmp_path / "evaluation"
    shutil.copytree(evaluated / "evaluation", copy)
    rows = list(csv.DictReader((copy / "records.csv").read_text().splitlines()))
    image = next(row["image"] for row in rows if row["domain"] == "there")
    for row in rows:
        if row["image"] == image and row["class_value"] == "255":
            wrong = row["method"] == "timestep:50"
            row |= (
                {"dice": "0.0", "precision": "0.0", "recall": "nan", "iou": "0.0"}
                if wrong
                else {"dice": "nan", "precision": "nan", "recall": "nan", "iou": "nan"}
            )
    with (copy / "records.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (other,) = [
        {
            row["method"]: 100 * float(row["dice"])
            for row in rows
            if (row["domain"], row["n"], row["class_value"]) == ("there", "4", "255") and row["image"] != image
        }
    ]
    for options, over, means in (
        (
            [],
            "over 1 of 2 images (1 shows no class and is left out; the same images for every method)",
            [other["timestep:1"], other["timestep:50"]],
        ),
        (
            ["--empty-truth", "count"],
            "over 2 images (1 shows no class and counts 1 where nothing is predicted, 0 otherwise)",
            [(100 + other["timestep:1"]) / 2, other["timestep:50"] / 2],
        ),
    ):
        run(copy, "--out", tmp_path / "r.html", *options)
        page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
        ((_, table),) = [
            (caption, rows) for caption, rows in page.tables.items() if caption.startswith("there: Dice") and over in caption
        ]
        assert [line[2].split(" ± ")[0] for line in table[1:]] == [f"{mean:.1f}" for mean in means]
        words = " ".join(page.words)
        assert f"(empty truth: {options[-1] if options else 'leave-out'})" in words
        assert ("The Dice below are as the folder has them" in words) == bool(options)


def test_an_evaluation_says_its_convention_and_a_report_follows_it(evaluated: Path, tmp_path: Path) -> None:
    from tedm.cli import evaluate

    arguments = [evaluated / "store", evaluated / "timestep1-1", "--empty-truth", "count"]
    arguments += ["--folder", tmp_path / "counted", "--out", tmp_path / "t.csv"]
    printed = CliRunner().invoke(evaluate.main, [str(argument) for argument in arguments])
    assert printed.exit_code == 0, printed.output
    assert "(empty truth: count)" in printed.stdout
    assert {row["empty_truth"] for row in csv.DictReader((tmp_path / "t.csv").read_text().splitlines())} == {"count"}
    about = dict(json.loads((tmp_path / "counted" / "result.json").read_text())["about"])
    assert about["empty truth"].startswith("count: ")
    assert "(empty truth: count)" in made(tmp_path / "r.html", tmp_path / "counted")
    refused = run(evaluated / "evaluation", tmp_path / "counted", "--out", tmp_path / "both.html", code=1)
    assert "choose one for the report with --empty-truth" in refused.stderr
    assert not (tmp_path / "both.html").exists()


def test_what_cannot_be_shown_is_one_clear_line(evaluated: Path, probed: Path, tmp_path: Path) -> None:
    good = evaluated / "evaluation"
    (tmp_path / "thesis.html").write_text("<html>precious</html>")
    damaged = {}
    for name, file, change in (
        ("no json", "result.json", lambda text: text[:40]),
        ("newer", "result.json", lambda text: text.replace('"format": 1', '"format": 2')),
        ("no scores", "records.csv", lambda text: text.splitlines()[0] + "\n"),
        ("torn", "records.csv", lambda text: text[:-30]),
        ("mixed up", "examples.csv", lambda text: text.splitlines()[0] + "\n" + text.splitlines()[1] + "\n"),
    ):
        damaged[name] = tmp_path / name
        shutil.copytree(good, damaged[name])
        (damaged[name] / file).write_text(change((good / file).read_text()))
    for name, file, content in (("no png", "dice.png", b"GIF89a"), ("no table", "dice.csv", b"")):
        damaged[name] = tmp_path / name
        shutil.copytree(probed, damaged[name])
        (damaged[name] / file).write_bytes(content)
    out = ["--out", tmp_path / "r.html"]
    refusals = [
        (
            [tmp_path / "nowhere", *out],
            "does not exist; make one with tedm-evaluate STORE HEAD... --folder FOLDER or tedm-probe",
        ),
        ([evaluated / "store", *out], "it has no result.json"),
        ([good, good, *out], "named twice"),
        ([damaged["no json"], *out], "result.json is damaged"),
        ([damaged["newer"], *out], "install a newer tedm"),
        ([damaged["no scores"], *out], "there are no scores in"),
        ([damaged["torn"], *out], "holds rows that are no records"),
        ([damaged["mixed up"], *out], "do not belong together"),
        ([damaged["no png"], *out], "dice.png is no PNG"),
        ([damaged["no table"], *out], "dice.csv is damaged (it is empty)"),
        ([good, "--out", tmp_path / "thesis.html"], "is no report of tedm-report"),
        ([good, "--out", tmp_path], "is a folder"),
        ([good, "--out", tmp_path / "no" / "r.html"], "cannot write the report"),
    ]
    for arguments, said in refusals:
        result = run(*arguments, code=1)
        assert said in result.stderr, (arguments, result.output)
        assert result.stderr.count("tedm: ") == 1
        assert "Traceback" not in result.output
    assert not (tmp_path / "r.html").exists()
    assert (tmp_path / "thesis.html").read_text() == "<html>precious</html>"


def test_an_earlier_report_is_replaced(probed: Path, tmp_path: Path) -> None:
    first = made(tmp_path / "r.html", probed)
    assert made(tmp_path / "r.html", probed) == first
    (tmp_path / "r.html").write_text(first.replace("A probe", "Another probe"))
    assert made(tmp_path / "r.html", probed) == first
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_a_folder_that_is_taken_is_refused_before_scoring(evaluated: Path) -> None:
    from tedm.cli import evaluate

    kept = json.loads((evaluated / "evaluation" / "result.json").read_text())
    arguments = [evaluated / "store", evaluated / "timestep1-1", "--folder", evaluated / "evaluation"]
    refused = CliRunner().invoke(evaluate.main, [str(argument) for argument in arguments])
    assert refused.exit_code == 1
    assert "is not empty" in refused.stderr
    assert "evaluating" not in refused.stderr
    assert json.loads((evaluated / "evaluation" / "result.json").read_text()) == kept
    assert kept["about"][-1] == ["command", kept["about"][-1][1]]
    assert kept["about"][-1][1].startswith("tedm-evaluate ")
