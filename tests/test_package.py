"""The package as its users get it: what it is called, what it exports, what is pinned, what its docstrings show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest

import tedm

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MODULES = ["tedm", *(module.name for module in pkgutil.walk_packages(tedm.__path__, "tedm."))]


def test_the_version_is_the_projects():
    assert tedm.__version__ == PROJECT["version"]


def test_there_are_modules_to_test():
    assert {"tedm.store.disk", "tedm.extract.families.tedm", "tedm.heads.voting.vote", "tedm.show.figures"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_exported_names_exist_and_are_sorted(name):
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert [each for each in exported if not hasattr(module, each)] == []
    # ruff's order: constants, classes, the rest
    assert list(exported) == sorted(exported, key=lambda each: (not each.isupper(), not each[0].isupper(), each))


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_some_docstrings_have_examples():
    found = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module("tedm.heads.voting.vote"))
    assert any(test.examples for test in found)


@pytest.mark.parametrize("name", ["extract", "heads", "store", "cli"])
def test_the_links_at_the_root_point_into_the_source(name):
    link = ROOT / name
    if not link.is_symlink() and link.is_file():
        pytest.skip("this checkout has files in place of symbolic links (core.symlinks=false)")
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert link.resolve() == (ROOT / "src" / "tedm" / name).resolve()


def test_every_requirement_is_pinned():
    pinned = {
        line.partition("==")[0].lower()
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    }
    wanted = [*PROJECT["dependencies"], *(each for extra in PROJECT["optional-dependencies"].values() for each in extra)]
    names = {re.split(r"[\[<>=~! ]", each)[0].lower() for each in wanted} - {"tedm"}
    assert names - pinned == set()


def test_pins_have_no_local_label():
    """`torch==2.13.0+cpu` can be had from no index that others use."""
    assert "+" not in "".join(line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#"))
