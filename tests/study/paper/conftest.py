"""The small study and its folder, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from paper_study import study

from tedm.study.paper import PaperResults, write_paper


@pytest.fixture(scope="session")
def results() -> PaperResults:
    return study()


@pytest.fixture(scope="session")
def lines_and_folder(results: PaperResults, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    folder = tmp_path_factory.mktemp("paper") / "out"
    return write_paper(folder, results, command="tedm-study cxr.toml out"), folder


@pytest.fixture(scope="session")
def folder(lines_and_folder: tuple[list[str], Path]) -> Path:
    return lines_and_folder[1]
