"""The report without a browser: its numbers, its texts, and what it refuses."""

from __future__ import annotations

import base64
import csv
import io
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tedm.errors import TedmError
from tedm.heads import EmptyTruth
from tedm.study import write_report

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


def made(out: Path, *folders: Path, empty: EmptyTruth | None = None) -> str:
    size = write_report(folders, out, empty=empty)
    assert out.stat().st_size == size
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
    with pytest.raises(TedmError, match="the evaluations .*evaluation, .*again cannot be put together.*has 2 scores for image"):
        write_report([evaluated / "evaluation", tmp_path / "again"], tmp_path / "x.html")


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
    expected: list[tuple[EmptyTruth | None, str, list[float]]] = [
        (
            None,
            "over 1 of 2 images (1 shows no class and is left out; the same images for every method)",
            [other["timestep:1"], other["timestep:50"]],
        ),
        (
            "count",
            "over 2 images (1 shows no class and counts 1 where nothing is predicted, 0 otherwise)",
            [(100 + other["timestep:1"]) / 2, other["timestep:50"] / 2],
        ),
    ]
    for empty, over, means in expected:
        page = Page(made(tmp_path / "r.html", copy, empty=empty))
        ((_, table),) = [
            (caption, rows) for caption, rows in page.tables.items() if caption.startswith("there: Dice") and over in caption
        ]
        assert [line[2].split(" ± ")[0] for line in table[1:]] == [f"{mean:.1f}" for mean in means]
        words = " ".join(page.words)
        assert f"(empty truth: {empty or 'leave-out'})" in words
        assert ("The Dice below are as the folder has them" in words) == bool(empty)


def test_an_earlier_report_is_replaced(probed: Path, tmp_path: Path) -> None:
    first = made(tmp_path / "r.html", probed)
    assert made(tmp_path / "r.html", probed) == first
    (tmp_path / "r.html").write_text(first.replace("A probe", "Another probe"))
    assert made(tmp_path / "r.html", probed) == first
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
