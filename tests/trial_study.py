"""A tiny study: two sizes, two seeds, three methods of a few iterations, on the tests' small images."""

from __future__ import annotations

import hashlib
from pathlib import Path

TITLE = 'title = "Tiny"\nsizes = [1, 3]\nseeds = [0, 1]\n'
SCORE = '[[score]]\ndomain = "here"\n[[score]]\ndomain = "there"\n'
METHODS = (
    '[[methods]]\nmethod = "tedm"\ntimesteps = [1, 50]\niterations = 20\n'
    '[[methods]]\nmethod = "ledm"\ntimesteps = [1, 50]\nmembers = 2\niterations = 20\n'
    '[[methods]]\nmethod = "timestep:50"\n'
)
NO_RESULT = {"fit-cost.json", "score-cost.json", "costs.csv", "report.html"}  # seconds are no result


def write_study(folder: Path, features: str, *, head: str = TITLE, score: str = SCORE, methods: str = METHODS) -> Path:
    """Write a study's file; `features` is what its table [features] holds."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.toml"
    path.write_text(f"{head}[features]\n{features}\n{score}{methods}")
    return path


def of_store(store: Path) -> str:
    """The features of a store that is there."""
    return f"store = '{store}'"


def of_images(manifest: Path, checkpoint: Path) -> str:
    """Features that are to be extracted."""
    return (
        f"images = '{manifest}'\ncheckpoint = '{checkpoint}'\ntimesteps = [1, 50]\nlayout = 'native'\nprecision = 'float32'\n"
        "batch_size = 4"
    )


def results_in(out: Path) -> dict[str, str]:
    """Every file below a study's folder that is a result, and the hash of its bytes."""
    return {
        str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(out.rglob("*"))
        if file.is_file() and file.name not in NO_RESULT
    }
