"""The demo from Python: refused where something is, before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from tedm.errors import TedmError
from tedm.heads import Record, summarise
from tedm.study import demo
from tedm.study.demo import run as demo_run
from tedm.study.demo.run import METHODS, PROBED, TIMESTEPS


def test_a_place_that_is_taken_keeps_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    stages: list[str] = []
    with pytest.raises(TedmError, match="is not empty"):
        demo.run_demo(tmp_path, log=stages.append)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    assert stages == []


def test_every_method_finds_its_timesteps_in_the_store() -> None:
    from tedm.heads import method_named

    wanted = {timestep for name in METHODS for timestep in method_named(name).timesteps} | set(PROBED)
    assert wanted <= set(TIMESTEPS)


def test_what_won_is_said_in_one_sentence_of_the_largest_size() -> None:
    def record(method: str, domain: str, n: int, dice: float) -> Record:
        return Record(method, n, 0, domain, "test", "a", "a", 1, dice, dice, dice, dice, n, "feature")

    rows = [record(method, domain, n, dice) for domain, n, method, dice in (
        ("axial", 1, "tedm", 0.99), ("axial", 1, "unet", 0.1),
        ("axial", 6, "tedm", 0.8), ("axial", 6, "unet", 0.75),
        ("coronal", 6, "tedm", 0.6), ("coronal", 6, "unet", 0.7),
    )]  # fmt: skip
    assert (
        demo_run.won(summarise(rows))
        == "Best with n = 6, by mean Dice: axial tedm (80.0, 5.0 before unet); coronal unet (70.0)."
    )
    rows += [record("jury", "axial", 6, 0.9), record("jury", "coronal", 6, 0.65), record("jury", "axial", 1, 0.1)]
    said = demo_run.won(summarise(rows))
    assert "axial jury (90.0, 15.0 before unet); coronal unet (70.0). " in said
    assert said.endswith("The default of tedm-fit, jury, was not the best on coronal (65.0, 5.0 behind).")
