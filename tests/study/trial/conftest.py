"""The tiny study, done once without an interruption."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for trial_study


@pytest.fixture(scope="session")
def done(extracted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `study.toml` on a store that is there, and `out`, where it was done in one run on one thread."""
    from trial_study import of_store, write_study

    from tedm.study import read_study, run_study

    folder = tmp_path_factory.mktemp("trial")
    path = write_study(folder, of_store(extracted))
    run_study(read_study(path), folder / "out", device="cpu", threads=1)
    return folder
