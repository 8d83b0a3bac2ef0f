"""What a bug report says of the machine."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

from tedm.study import environment_here
from tedm.study.environment import PACKAGES


def test_versions_are_those_that_are_installed_and_nobody_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    about = environment_here()
    assert about["torch"] == version("torch")
    assert set(PACKAGES) <= set(about)
    assert about["memory"].count("GB") == 2
    named = {str(tmp_path), str(Path.home()), platform.node()} - {"/", ""}
    assert [each for each in named if any(each in value for value in about.values())] == []


def test_a_package_that_is_not_there_is_none(monkeypatch) -> None:
    monkeypatch.setattr("tedm.study.environment.PACKAGES", ("tedm", "no-such-package"))
    about = environment_here()
    assert about["no-such-package"] == "none"
    assert about["tedm"] == version("tedm")
