"""What is left of a study: counted, and measured by what is done."""

from __future__ import annotations

import shutil
from pathlib import Path

from trial_study import of_images, write_study

from tedm.study import read_study
from tedm.study.trial import estimate_study
from tedm.study.trial.units import cost_text


def test_the_rest_of_a_method_is_told_by_its_units_that_are_done(done: Path, tmp_path: Path) -> None:
    shutil.copytree(done / "out", tmp_path / "out")
    for unit in (tmp_path / "out" / "units" / "tedm").iterdir():
        (unit / "fit-cost.json").write_bytes(cost_text(50.0))
        (unit / "score-cost.json").write_bytes(cost_text(11.0))
        if not unit.name.startswith("n-1"):
            shutil.rmtree(unit / "scores")
    shutil.rmtree(tmp_path / "out" / "units" / "ledm")
    study = read_study(done / "study.toml")
    tedm, ledm, probe = estimate_study(study, tmp_path / "out").methods
    assert (tedm.units, tedm.done, tedm.seconds) == (4, 2, 122.0)
    assert (tedm.disk or 0) > 1000
    assert (ledm.left, ledm.seconds, ledm.disk) == (4, None, None)
    assert (probe.left, probe.seconds, probe.disk) == (0, 0.0, 0)
    lines = estimate_study(study, tmp_path / "out").lines
    assert lines[0] == "features: all there"
    assert lines[-1].startswith("6 fits left: 2 min 2 s, ")
    assert lines[-1].endswith(", and 1 method more")
    assert any(line.split() == ["ledm", "4", "0", "unknown", "unknown"] for line in lines)


def test_a_study_that_has_not_begun_is_estimated_and_nothing_is_written(
    dataset: Path, checkpoint: Path, tmp_path: Path
) -> None:
    estimate = estimate_study(read_study(write_study(tmp_path, of_images(dataset, checkpoint))), tmp_path / "out")
    assert "7 images to extract" in estimate.extraction[0]
    assert estimate.lines[-1] == "12 fits left; time and disk unknown until the first is done"
    assert not (tmp_path / "out").exists()
