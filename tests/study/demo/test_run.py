"""The demo from Python: refused where something is, before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from tedm.errors import TedmError
from tedm.study import demo
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
