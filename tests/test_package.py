"""The package as its users get it: what it is called, what it exports, what is pinned, what its docstrings show."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import tedm

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MODULES = ["tedm", *(module.name for module in pkgutil.walk_packages(tedm.__path__, "tedm."))]


def test_the_version_is_the_projects():
    assert tedm.__version__ == PROJECT["version"]


# Modules of `src/tedm` without a test module of their name, and why.
ELSEWHERE = {"jsons.py": "types alone, which mypy checks"}


def test_every_module_has_a_test_module_of_its_name():
    """Of `tedm.extract.images.read` it is `tests/extract/images/test_read.py`."""
    paths = [path.relative_to(ROOT / "src" / "tedm") for path in (ROOT / "src" / "tedm").rglob("[!_]*.py")]
    assert len(paths) > 100
    tested = {path for path in paths if (ROOT / "tests" / path.with_name(f"test_{path.name}")).is_file()}
    assert {path.as_posix() for path in paths if path not in tested} == set(ELSEWHERE)


# What `tedm.heads` exported before it had rooms.
HEADS_BEFORE = """
METHODS Calibration ComponentMaps EstimatorHead Findings HeadReliability LogisticHead MLPHead Method Prediction
PrincipalComponents Ranked Record Reliability Segmenter Similarity VoterWeights XGBoostHead advice calibrate candidates
component_maps dask_rows evaluate feature_importance first_images fit learn_weights linear_cka load_head method_named
predict probe rank read_records reliability save_head score summarise vote write_records write_reliability
"""


@pytest.mark.parametrize("name", HEADS_BEFORE.split())
def test_what_users_imported_from_heads_is_still_there(name):
    assert getattr(importlib.import_module("tedm.heads"), name) is not None


def test_there_are_modules_to_test():
    assert {
        "tedm.store.disk",
        "tedm.extract.backbones.tedm",
        "tedm.heads.voting.vote",
        "tedm.show.figures",
        "tedm.study.predict",
    } <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_exported_names_exist_and_are_sorted(name):
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert [each for each in exported if not hasattr(module, each)] == []
    if not hasattr(module, "__getattr__"):  # a lazy package's are in its stub, where ruff sorts them
        # ruff's order: constants, classes, the rest
        assert list(exported) == sorted(exported, key=lambda each: (not each.isupper(), not each[0].isupper(), each))


HEAVY = {"torch", "zarr", "dask", "sklearn", "numpy", "xgboost", "scipy.stats", "skops"}
LAZY = [path.parent for path in sorted((ROOT / "src" / "tedm").rglob("__init__.pyi"))]


@pytest.mark.parametrize("folder", LAZY, ids=lambda folder: folder.name)
def test_a_lazy_package_offers_what_its_stub_says(folder):
    """Type checkers read the stub, and Python makes the package's names of it: both see the same."""
    name = ".".join(["tedm", *folder.relative_to(ROOT / "src" / "tedm").parts])
    module, stub = importlib.import_module(name), ast.parse((folder / "__init__.pyi").read_text())
    homes = {
        each.name: f"{name}.{line.module}" for line in stub.body if isinstance(line, ast.ImportFrom) for each in line.names
    }
    (listed,) = (ast.literal_eval(line.value) for line in stub.body if isinstance(line, ast.Assign))
    assert sorted(listed) == sorted(module.__all__)
    assert sorted(homes) == sorted(dir(module))
    if name == "tedm.heads":  # a door may open on more than it shows: names of before, and what only a few need
        assert len(listed) == 15
        assert set(listed) < set(homes)
    else:
        assert sorted(listed) == sorted(homes)
    for each, home in homes.items():
        assert getattr(module, each) is getattr(importlib.import_module(home), each)
    # else `from package import name` would depend on whether the module of that name was imported before
    assert set(homes) & {each.name for each in pkgutil.iter_modules([str(folder)])} == set()


DOORS = {"tedm.heads": (), "tedm.extract": ("images", "backbones", "pretrain", "volumes")}
DEEPER = re.compile(r"\b(?:from|import)\s+(tedm\.(?:heads|extract)\.[\w.]+)")


def _sources() -> dict[str, str]:
    """Everything that uses the packages from outside: other packages, benchmarks, notebooks, pages."""
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.pyi"), *(ROOT / "benchmarks").glob("*.py")]
    files += [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    return {str(path.relative_to(ROOT)): path.read_text() for path in files}


@pytest.mark.parametrize("door", DOORS)
def test_a_package_is_used_through_its_door(door):
    """Nobody outside of tedm.heads imports one of its rooms; of tedm.extract its packages are doors, too."""
    own = f"src/{door.replace('.', '/')}/"
    allowed = {f"{door}.{room}" for room in DOORS[door]}
    sources = {path: text for path, text in _sources().items() if not path.startswith(own)}
    assert any(f"from {door} import" in text for text in sources.values())
    deeper = {
        f"{path}: {module}"
        for path, text in sources.items()
        for module in DEEPER.findall(text)
        if module.startswith(f"{door}.") and module not in allowed
    }
    assert deeper == set()


PACKAGES = [
    "tedm.extract",
    "tedm.extract.images",
    "tedm.extract.volumes",
    "tedm.extract.backbones",
    "tedm.heads",
    "tedm.show",
    "tedm.store",
    "tedm.study",
    "tedm.study.demo",
]


def test_importing_the_packages_loads_no_torch_and_no_zarr():
    code = f"""import importlib, sys
for package in {PACKAGES}:
    importlib.import_module(package)
    print(package, *sorted({HEAVY} & set(sys.modules)))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == PACKAGES


# What takes from a fifth of a second to two seconds to import, and is for those who ask for what needs it.
AT_USE = (
    "xgboost",
    "skops",
    "dask",
    "distributed",
    "matplotlib",
    "sklearn",
    "pandas",
    "scipy.stats",
    "scipy.ndimage",
    "imagecodecs",
)
COMPILER = ("torch._dynamo", "sympy")


@pytest.mark.parametrize(
    ("asked", "also_not"),
    [
        (["--method", "timestep:1"], ()),
        (["--method", "tedm", "--iterations", "2", "--timesteps", "1"], ("scipy", "tedm.extract")),
    ],
    ids=["a regression", "an MLP"],
)
def test_fitting_and_scoring_a_head_loads_only_what_they_use(tmp_path, asked, also_not):
    """Neither trees nor files of estimators, neither figures nor scikit-learn, nor torch's compiler for Adam."""
    with zipfile.ZipFile(ROOT / "tests" / "data" / "before" / "unreleased.zip") as archive:
        archive.extractall(tmp_path)
    code = f"""import sys
from tedm.cli import evaluate, fit
fit.main(["native", "head", *{asked}], standalone_mode=False)
print(sorted({{*{AT_USE + COMPILER + also_not}}} & set(sys.modules)))
evaluate.main(["native", "head"], standalone_mode=False)
print(sorted({{*{AT_USE + COMPILER + also_not}}} & set(sys.modules)))"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines().count("[]") == 2, done.stdout


def test_reading_a_manifest_loads_no_torch():
    code = "from tedm.extract import read_manifest; import sys; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


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


def test_networks_are_found_under_their_names_of_before():
    from tedm.extract.families.own import own_backbone
    from tedm.extract.families.tedm import PREFIX
    from tedm.extract.families.tedm_unet import TedmUNet

    assert callable(own_backbone)
    assert PREFIX == "model."
    assert TedmUNet.__module__ == "tedm.networks.tedm_unet"
