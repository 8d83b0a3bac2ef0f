"""The paper's folder is whole or not there, has everything that the lines say, and a report shows it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from paper_study import HOME

from tedm.errors import TedmError
from tedm.heads import read_records
from tedm.study import read_result, write_report
from tedm.study.paper import PaperResults, write_paper

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def test_every_line_names_files_that_are_there(lines_and_folder: tuple[list[str], Path]) -> None:
    lines, folder = lines_and_folder
    starts = [line.split(":")[0] for line in lines]
    assert starts == [*(f"table {n}" for n in range(1, 6)), *(f"figure {n}" for n in (2, 3, 4)), "findings", "costs", "records"]
    for line in lines:
        stem, endings = re.fullmatch(r".*\((\S+?)\.(\w+)(?:, (.*))?\)", line).group(1, 3)  # type: ignore[union-attr]
        for ending in (endings or "").split(", "):
            assert (folder / (f"{stem}{ending}" if ending.startswith(".") else ending)).exists(), line


def test_the_folder_says_what_was_run_on_what(folder: Path, results: PaperResults) -> None:
    about = dict(read_result(folder).about)
    assert about["learned from"] == HOME
    assert about["scored on"] == "shenzhen: 10 images, kermany: 10 images, montgomery: 10 images"
    assert about["command"] == "tedm-study cxr.toml out"
    assert re.search(r"torch \d", about["versions"])
    assert "not here" not in about
    assert tuple(read_records(folder / "records.csv")) == results.records


def test_findings_are_written_with_their_verdicts(folder: Path) -> None:
    text = (folder / "findings.md").read_text()
    assert "3. **concatenation overfits when labels are few: holds.**" in text
    assert "5. **one timestep goes far when labels are few: does not hold.**" in text
    assert len((folder / "findings.csv").read_text().splitlines()) == 1 + 8


def test_costs_are_in_the_papers_order_with_the_time_of_one_fit(folder: Path) -> None:
    rows = (folder / "costs.csv").read_text().splitlines()
    assert rows[:3] == ["method,n,fits,seconds,seconds_a_fit,labels_used", "ledm,1,3,10.0,3.3,1", "ledm,3,3,30.0,10.0,3"]


def test_what_is_left_out_is_said_and_in_the_folder(results: PaperResults, tmp_path: Path) -> None:
    few = tuple(r for r in results.records if r.domain == HOME and r.n == 1 and r.method in ("ledm", "tedm"))
    bare = PaperResults(few, probes={"timestep:7": 7})
    lines = write_paper(tmp_path / "out", bare)
    assert [line for line in lines if "left out" in line] == [
        "table 2 is left out: there are no records of TEDM voting with one timestep alone",
        "table 3 is left out: there are no scores of whole volumes",
        "figure 2 is left out: there are no records of probes of single timesteps",
        "figure 3 is left out: there is one domain only",
        "figure 4 is left out: there are no pictures",
        "the table of costs is left out: nobody said what the fits cost",
        "the probe timestep:7 is left out: it has no records",
    ]
    assert not list((tmp_path / "out").glob("table-2*"))
    assert "the probe timestep:7 is left out" in dict(read_result(tmp_path / "out").about)["not here"]
    write_report([tmp_path / "out"], tmp_path / "report.html")


def test_the_same_results_give_the_same_bytes_in_any_order(results: PaperResults, tmp_path: Path) -> None:
    few = tuple(r for r in results.records if r.domain == HOME and r.n < 12)
    for name, records in (("one", few), ("other", few[::-1])):
        write_paper(tmp_path / name, replace(results, records=records, voting=(), volumes=()))
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == names
    differing = [name for name in names if (tmp_path / "one" / name).read_bytes() != (tmp_path / "other" / name).read_bytes()]
    assert differing == ["records.csv"]


def test_a_taken_place_and_unsound_results_leave_nothing(results: PaperResults, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("precious")
    with pytest.raises(TedmError, match="exists and is not empty"):
        write_paper(tmp_path / "full", results)
    with pytest.raises(TedmError, match="table 3 of the paper cannot be made"):
        write_paper(tmp_path / "new", replace(results, volumes=(*results.volumes, results.volumes[0])))
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "mine.txt"]


def test_a_report_shows_tables_with_the_best_in_bold(folder: Path, tmp_path: Path) -> None:
    write_report([folder], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Put together from 1 study" in page
    bold = sum(len(re.findall(r" \*(?=[,\n])", (folder / f).read_text())) for f in _printed(folder))
    leads = 3  # of what stands first, in words
    assert page.count("<strong>") - leads == bold > 10
    assert " *</td>" not in page
    assert page.count("<img ") == 3
    assert page.count("Bold: the best of its domain and n") == 2  # over images, and over volumes


def _printed(folder: Path) -> list[str]:
    tables = json.loads((folder / "result.json").read_text())["tables"]
    return [table["file"] for table in tables if table["file"].startswith("table-")]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium: apt-get install chromium")
def test_the_report_does_not_scroll_sideways_on_a_phone(folder: Path, tmp_path: Path) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright, one of the developers' packages")
    write_report([folder], tmp_path / "report.html")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto((tmp_path / "report.html").as_uri(), wait_until="load")
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        boxes = page.evaluate("[...document.querySelectorAll('.scroll')].map(box => box.scrollWidth > box.clientWidth)")
        assert any(boxes)
        browser.close()
