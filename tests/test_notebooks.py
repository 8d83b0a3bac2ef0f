"""The notebooks run from top to bottom, on real slices, and what is committed of them is what a reader should find."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("nilearn", reason="needs the extra tedm[notebooks]")
nbformat = pytest.importorskip("nbformat", reason="needs the extra tedm[notebooks]")
pytest.importorskip("nbclient", reason="needs the extra tedm[notebooks]")
pytest.importorskip("ipykernel", reason="needs the extra tedm[notebooks]")

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SHORTEST = "03-your-own-head"
MOST_BYTES = 700_000


def cells(notebook, kind="code"):
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def pictures(notebook):
    return [output for cell in cells(notebook) for output in cell.outputs if "image/png" in output.get("data", {})]


def said(notebook):
    """All text that a notebook shows beside its pictures."""
    outputs = [output for cell in cells(notebook) for output in cell.outputs]
    return "\n".join(output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs)


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[] if path.stem == SHORTEST else pytest.mark.slow, id=path.stem) for path in NOTEBOOKS],
)
def test_a_notebook_runs_from_top_to_bottom_and_makes_the_pictures_that_are_committed(path, tmp_path):
    """In a process of its own: what a kernel's client warns of is no concern of ours."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, ROOT / "notebooks" / "execute.py", path.stem, "--out", tmp_path, "--work", tmp_path / "work"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 240  # a minute on two idle cores
    new, committed = (nbformat.read(each, as_version=4) for each in (tmp_path / path.name, path))
    assert [cell.source for cell in new.cells] == [cell.source for cell in committed.cells]
    assert all(cell.execution_count for cell in cells(new))
    assert len(pictures(new)) == len(pictures(committed)) >= 1
    assert [line.split()[:1] for line in said(new).splitlines()] == [line.split()[:1] for line in said(committed).splitlines()]
    assert str(tmp_path) not in said(new)


def test_there_are_five_notebooks_and_a_page_that_lists_them():
    assert [path.stem for path in NOTEBOOKS] == [
        "01-look-at-features",
        "02-which-timesteps",
        "03-your-own-head",
        "04-from-one-label",
        "05-volumes",
    ]
    page = (ROOT / "notebooks" / "README.md").read_text()
    assert [path.name for path in NOTEBOOKS if f"]({path.name})" not in page] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_committed_has_all_its_outputs_and_nothing_of_a_machine(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert path.stat().st_size < MOST_BYTES
    assert notebook.metadata.kernelspec.name == "python3"
    assert [cell.execution_count for cell in cells(notebook)] == list(range(1, len(cells(notebook)) + 1))
    assert pictures(notebook)
    streams = {output.get("name") for cell in cells(notebook) for output in cell.outputs if output.output_type == "stream"}
    assert streams <= {"stdout"}  # a warning would be in stderr
    assert [output for cell in cells(notebook) for output in cell.outputs if output.output_type == "error"] == []
    # Times, and paths of the machine that ran it: the pictures' base64 has slashes, too, so only text is searched.
    assert [cell.metadata for cell in notebook.cells if cell.metadata] == []
    text = "\n".join([*(cell.source for cell in notebook.cells), said(notebook)])
    assert re.findall(r"(?<![\w./])/(?:home|tmp|root|work|Users|usr|var)\b[^\s]*|[A-Z]:\\\\", text) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_draw_through_tedm_show_and_use_no_private_module(path):
    source = "\n".join(cell.source for cell in cells(nbformat.read(path, as_version=4)))
    assert "from tedm.show import" in source
    assert "matplotlib" not in source
    assert re.findall(r"(?:from|import) tedm[\w.]*\._\w*|import _\w+", source) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_explains_more_than_it_computes(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.cells[0].cell_type == "markdown"
    assert "TODO" not in "".join(cell.source for cell in notebook.cells)
    words, lines = (
        sum(len(cell.source.split("\n" if kind == "code" else None)) for cell in cells(notebook, kind))
        for kind in ("markdown", "code")
    )
    assert words > 3 * lines
