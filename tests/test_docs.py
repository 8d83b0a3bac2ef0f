"""The documentation is true: its blocks run, its options, links and modules exist.

A block after the comment `<!-- runs -->` is run in a folder that holds what README.md says a user has: images with masks in
`lungs/`, and a checkpoint.
"""

from __future__ import annotations

import csv
import importlib
import pkgutil
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import tedm
from tedm.extract.backbones import random_backbone, save_backbone

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
COMMANDS = list(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"])
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUNS = re.compile(r"^<!-- runs -->\n```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def blocks(language: str) -> list[str]:
    return [text for of, text in RUNS.findall(README.read_text()) if of == language]


@pytest.fixture
def folder(tmp_path, monkeypatch, rng) -> Path:
    """Six images of two patients a clinic, a bright ellipse on noise in each, and an untrained UNet."""
    lines = ["image,mask,split,group,domain"]
    for kind in ("images", "masks"):
        (tmp_path / "lungs" / kind).mkdir(parents=True)
    for index, (split, clinic) in enumerate(
        [("train", "a"), ("train", "a"), ("test", "a"), ("test", "a"), ("test", "b"), ("test", "b")]
    ):
        y, x = np.mgrid[:22, :18]
        inside = ((y - 9 - index) / 7) ** 2 + ((x - 8) / (4 + index / 2)) ** 2 < 1
        grey = np.clip(60 + 110 * inside + rng.normal(0, 12, inside.shape), 0, 255).astype(np.uint8)
        Image.fromarray(grey).save(tmp_path / f"lungs/images/{index}.png")
        Image.fromarray((255 * inside).astype(np.uint8)).save(tmp_path / f"lungs/masks/{index}.png")
        lines.append(f"images/{index}.png,masks/{index}.png,{split},patient{index},clinic-{clinic}")
    (tmp_path / "lungs/manifest.csv").write_text("\n".join(lines) + "\n")
    save_backbone(random_backbone(), tmp_path / "ddpm.safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readmes_python_runs(folder, capsys):
    (block,) = blocks("python")
    exec(compile(block, str(README), "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out
    assert "tedm" in printed
    assert "timestep:1" in printed
    assert (folder / "head-2" / "head.json").is_file()


def test_the_examples_of_heads_run(tmp_path, monkeypatch, capsys):
    """One of each head, on a store that the page makes."""
    page = ROOT / "docs" / "heads.md"
    languages, blocks = zip(*RUNS.findall(page.read_text()), strict=True)
    assert set(languages) == {"python"}
    monkeypatch.chdir(tmp_path)
    made: dict = {"__name__": "heads"}
    exec(compile("\n".join(blocks), str(page), "exec"), made)
    assert "a cross-validation of 4 folds by group" in capsys.readouterr().out
    for name in ("logistic", "mlp", "xgboost", "forest"):
        assert made[name].probabilities(made["store"].block("a")).shape == (8, 8, 2)
    assert made["again"].weights == made["sure"].weights
    assert sorted(path.name for path in Path("calibration").iterdir()) == ["ece.csv", "reliability.csv", "reliability.png"]


def test_the_example_of_probing_runs(folder, capsys):
    from tedm.extract import extract, load_backbone, read_manifest

    extract(read_manifest(Path("lungs")), Path("features"), load_backbone(Path("ddpm.safetensors")), timesteps=[1, 50])
    ((_, block),) = RUNS.findall((ROOT / "docs" / "probing.md").read_text())
    exec(compile(block, "probing.md", "exec"), {"__name__": "probing"})
    assert "ridge logistic regressions: 2 probes on 3 subsets of n = 1, 2 training images" in capsys.readouterr().out
    with Image.open(folder / "timesteps.png") as picture:
        assert picture.size[0] > 300


def test_the_readmes_commands_run(folder):
    (block,) = blocks("sh")
    assert "--method tedm\n" in block
    block = block.replace("--method tedm\n", "--method tedm --iterations 100\n")  # a user's 2000 would take the test a minute
    assert "clinic-b" in _call(block)
    masks = sorted((folder / "masks").rglob("*.png"))
    assert [path.stem for path in masks] == ["2", "3", "4", "5"]
    for path in masks:
        with Image.open(path) as mask:
            assert mask.size == (18, 22)


def test_the_network_of_ones_own_in_the_documentation_runs(folder):
    (module,), (commands,) = (
        [text for of, text in RUNS.findall((ROOT / "docs" / "backbones.md").read_text()) if of == language]
        for language in ("python", "sh")
    )
    assert len(module.strip().splitlines()) <= 18
    (folder / "my_networks.py").write_text(module)
    first, rest = commands.split("\n", 1)
    subprocess.run(["bash", "-euc", first], check=True)
    printed = _call(rest)
    assert "level0  12" in printed
    assert "timestep:0" in printed


def test_the_way_round_in_the_documentation_runs(folder):
    """Six images and one mask; the masks that a user would draw are the others'."""
    (folder / "lungs" / "manifest.csv").unlink()
    (folder / "lungs" / "masks").rename(folder / "drawn")
    (folder / "lungs" / "masks").mkdir()
    (folder / "drawn" / "0.png").rename(folder / "lungs" / "masks" / "0.png")
    first, second = (text for of, text in RUNS.findall((ROOT / "docs" / "annotating.md").read_text()) if of == "sh")
    _call(first)
    template = folder / "next" / "annotate-next.csv"
    rows = list(csv.DictReader(template.read_text().splitlines()))
    assert len(rows) == 3
    for row in rows:
        assert (template.parent / row["image"]).is_file()
        row["mask"] = f"../drawn/{row['name']}.png"
    with template.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert "from 4 images" in _call(second)
    assert len((folder / "next-2" / "ranking.csv").read_text().splitlines()) == 1 + 2


def _call(commands: str) -> str:
    """Commands of a page, one a line, in this process: what they print."""
    scripts, printed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"], ""
    for line in commands.strip().splitlines():
        name, *arguments = shlex.split(line)
        module, _, function = scripts[name].partition(":")
        result = CliRunner().invoke(getattr(importlib.import_module(module), function), arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        printed += result.stdout
    return printed


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_place_in_the_readme(command):
    assert f"| `{command}` |" in README.read_text()


def test_options_in_the_documentation_exist():
    helps = [_call(f"{command} --help") for command in COMMANDS]
    known = set(OPTION.findall("".join(helps)))
    pages = [README, *(ROOT / "docs" / f"{name}.md" for name in ("design", "backbones", "annotating", "reports"))]
    for page in pages:
        assert set(OPTION.findall(page.read_text())) - known == set(), page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_the_design_names_every_module():
    """A module that the design does not know is missing there, or should not be."""
    text = (ROOT / "docs" / "design.md").read_text()
    modules = [module.name for module in pkgutil.walk_packages(tedm.__path__, "tedm.")]
    names = {name.split(".")[-1] for name in modules if name.count(".") > 1 and not name.startswith("tedm.cli.")}
    assert {name for name in names if not re.search(rf"`(tedm\.\w+\.)?{name}/?`", text)} == set()


def test_the_changelog_has_this_version():
    assert f"## [{tedm.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
