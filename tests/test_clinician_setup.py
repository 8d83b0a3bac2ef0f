"""What is installed for whom: the demo needs none of the developers' tools, and trees without a GPU need no CUDA."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TOOLS = {"pytest", "mypy", "ruff", "playwright", "moto", "flask", "hypothesis", "coverage", "import-linter", "ipykernel"}
CUDA = {"xgboost", "nvidia-nccl-cu12"}


def closure(*extras: str) -> set[str]:
    """Return the names of all packages that tedm with these extras brings, as far as they are installed here."""
    extra = {name: PROJECT["optional-dependencies"][name] for name in PROJECT["optional-dependencies"]}
    found: set[str] = set()
    asked = [*PROJECT["dependencies"], *(one for name in extras for one in extra[name])]
    while asked:
        wanted = Requirement(asked.pop())
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": "", "sys_platform": "linux"}):
            continue
        if wanted.name == "tedm":
            asked += [one for name in wanted.extras for one in extra[name]]
        elif wanted.name.lower() not in found:
            found.add(wanted.name.lower())
            try:
                asked += [one for one in requires(wanted.name) or [] if "extra ==" not in one]
            except PackageNotFoundError:
                continue
    return found


def test_the_demo_brings_its_data_and_its_baseline_and_no_tool() -> None:
    demo = closure("demo")
    assert {"nilearn", "monai", "torch", "matplotlib"} <= demo
    assert demo & (TOOLS | CUDA | {"xgboost-cpu", "diffusers", "pyarrow"}) == set()
    assert "$(DEMO_INSTALLED): pyproject.toml constraints.txt\n\t$(call install,demo)" in (ROOT / "Makefile").read_text()


def test_developers_have_all_tools_and_everything_of_the_demo() -> None:
    developers = closure("dev")
    assert TOOLS | {"xgboost-cpu"} | closure("demo") <= developers
    assert developers & CUDA == set()


def test_without_xgboost_everything_else_works_and_the_head_says_what_to_install() -> None:
    code = """
import sys
sys.modules["xgboost"] = None
from tedm.errors import TedmError
from tedm.heads import method_named
from tedm.heads.base.registry import head_class, heads_taking
assert head_class("mlp").__name__ == "MLPHead"
assert heads_taking("iterations")[:2] == ["mlp", "logistic"]
try:
    method_named("tedm", head="xgboost")
except TedmError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == (
        "the head xgboost needs a package that is not installed (xgboost): pip install 'tedm[xgboost]' or, without a GPU, "
        "pip install 'tedm[xgboost-cpu]'\n"
    )
