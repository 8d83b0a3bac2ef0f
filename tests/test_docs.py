"""The documentation is true: its blocks run, its options, links and modules exist.

A block after the comment `<!-- runs -->` is run in a folder that holds what README.md says a user has: images with masks in
`lungs/`, and a checkpoint. Of all other blocks the command lines are read as the commands would read them, imports are made,
and what is data is parsed.
"""

from __future__ import annotations

import ast
import csv
import importlib
import json
import pkgutil
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from site_blocks import blocks_of, command_lines

import tedm
from tedm.extract.backbones import random_backbone, save_backbone

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
COMMANDS = list(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"])
PAGES = [
    README,
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "plugins/napari/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def runs(page: str, language: str) -> list[str]:
    """Return the blocks of a page that are to run."""
    return [block.text for block in blocks_of(ROOT / page) if block.runs and block.language == language]


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


@pytest.fixture
def brains(folder, rng) -> Path:
    """Two patients to train on and one to test on as NIfTI, a bright ellipsoid in each, and a file of a fourth."""
    nibabel = pytest.importorskip("nibabel", reason="needs the extra tedm[volumes]")
    lines = ["image,mask,split,patient"]
    affine = np.array([[-2.0, 0, 0, 10], [0, 1.5, 0, -9], [0, 0, 4.0, -6], [0, 0, 0, 1]])
    (folder / "brains").mkdir()
    for number, split in enumerate(("train", "train", "test", "")):
        x, y, z = np.mgrid[:10, :12, :3]
        inside = ((x - 4) / 3) ** 2 + ((y - 5 - number / 2) / 4) ** 2 + ((z - 1) / 2) ** 2 < 1
        head = 400 + 900 * inside + rng.normal(0, 60, inside.shape)
        image = folder / f"brains/p{number}-t1.nii.gz" if split else folder / "PATIENT.nii.gz"
        nibabel.save(nibabel.Nifti1Image(head.round().astype(np.int16), affine), image)
        if split:
            nibabel.save(nibabel.Nifti1Image(inside.astype(np.uint8), affine), folder / f"brains/p{number}-seg.nii.gz")
            lines.append(f"p{number}-t1.nii.gz,p{number}-seg.nii.gz,{split},p{number}")
    (folder / "brains/manifest.csv").write_text("\n".join(lines) + "\n")
    (folder / "brains/classes.csv").write_text("value,name\n0,background\n1,thalamus\n")
    return folder


def test_the_readmes_two_commands_and_its_lines_of_python_run(folder, capsys):
    (command,), (lines,) = runs("README.md", "sh"), runs("README.md", "python")
    assert command == "tedm run lungs out --checkpoint ddpm.safetensors\n"
    assert [block.text.split()[:2] for block in blocks_of(README) if "make demo" in block.text] == [["make", "demo"]]
    assert "demo:" in (ROOT / "Makefile").read_text()
    assert "clinic-b" in _call(f"{command.strip()} --method timestep:1")  # the default learns for 20 seconds
    assert sorted(path.stem for path in (folder / "out" / "masks").glob("*.png")) == ["2", "3", "4", "5"]
    assert (folder / "out" / "report.html").is_file()
    assert len([line for line in lines.splitlines() if line]) == 5
    exec(compile(lines, str(README), "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out.startswith("(22, 18) (22, 18, 2) 0.")


def test_the_tutorials_images_and_network_are_what_it_goes_on_with(tmp_path, monkeypatch):
    pytest.importorskip("nilearn", reason="needs the extra tedm[demo]")
    from tedm.extract import load_backbone, read_manifest

    monkeypatch.chdir(tmp_path)
    (block,) = runs("docs/first-masks.md", "python")
    exec(compile(block, "first-masks.md", "exec"), {"__name__": "first_masks"})
    manifest = read_manifest(Path("lungs"))
    assert sum(entry.split == "train" for entry in manifest.entries) == 6
    manifest.require_intensity_range(None, channels=load_backbone(Path("ddpm.safetensors")).image_channels)


def test_the_python_of_its_page_runs(folder, capsys):
    (block,) = runs("docs/python.md", "python")
    exec(compile(block, "python.md", "exec"), {"__name__": "python"})
    printed = capsys.readouterr().out
    assert "tedm" in printed
    assert "timestep:1" in printed
    assert (folder / "head-2" / "head.json").is_file()


def test_the_examples_of_heads_run(tmp_path, monkeypatch, capsys):
    """One of each head, on a store that the page makes."""
    page = ROOT / "docs" / "heads.md"
    blocks = runs("docs/heads.md", "python")
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
    (block,) = runs("docs/probing.md", "python")
    exec(compile(block, "probing.md", "exec"), {"__name__": "probing"})
    assert "ridge logistic regressions: 2 probes on 3 subsets of n = 1, 2 training images" in capsys.readouterr().out
    with Image.open(folder / "timesteps.png") as picture:
        assert picture.size[0] > 300


def test_the_tutorials_commands_run(folder):
    (block,) = runs("docs/first-masks.md", "sh")
    assert "tedm-fit features head\n" in block
    block = block.replace("features head\n", "features head --iterations 40\n", 1)  # a user's 2000 would take the test a minute
    assert "clinic-b" in _call(block)
    masks = sorted(path for path in (folder / "masks").rglob("*.png") if "overlays" not in path.parts)
    assert [path.stem for path in masks] == ["2", "3", "4", "5"]
    for path in masks:
        with Image.open(path) as mask:
            assert mask.size == (18, 22)


def test_the_network_of_ones_own_in_the_documentation_runs(folder):
    (module,), (commands,) = runs("docs/backbones.md", "python"), runs("docs/backbones.md", "sh")
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
    first, second = runs("docs/annotating.md", "sh")
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


def test_the_page_of_sharing_runs(folder):
    """With the ONNX file where its packages are there; in a process without tedm it makes a mask of a picture."""
    from travelling import run_example

    first, second = runs("docs/sharing.md", "sh")
    first = first.replace("--timesteps 1,50\ntedm-evaluate", "--timesteps 1,50 --iterations 40\ntedm-evaluate")
    assert "--iterations" in first
    assert "lung-masks: 4 files" in _call(first)
    assert sorted(path.stem for path in Path("masks").glob("*.png")) == list("012345")
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason="needs the extra `onnx`")
    assert "model.onnx and the head agree within" in _call(second)
    mask = run_example(folder / "lung-masks-onnx", "4", image=folder / "lungs" / "images" / "4.png")
    assert mask.shape == (16, 16)
    assert set(mask.ravel().tolist()) == {0, 255}


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


def test_the_commands_for_volumes_run(brains):
    import nibabel

    (block,) = runs("docs/volumes.md", "sh")
    assert "--groups 2\n" in block
    printed = _call(block.replace("--groups 2\n", "--groups 2 --iterations 10\n"))
    assert "thalamus" in printed
    scan, labels = nibabel.load(brains / "PATIENT.nii.gz"), nibabel.load(brains / "label-maps" / "PATIENT.nii.gz")
    assert labels.shape == scan.shape
    np.testing.assert_array_equal(labels.affine, scan.affine)
    assert "thalamus" in (brains / "label-maps" / "PATIENT-labels.txt").read_text()


def test_what_the_page_of_volumes_says_of_bad_input_is_what_is_said(tmp_path, monkeypatch):
    """Each row of its table is made, and refused in the words that stand there."""
    nibabel = pytest.importorskip("nibabel", reason="needs the extra tedm[volumes]")
    pytest.importorskip("pydicom", reason="needs the extra tedm[dicom]")
    from dicom_files import voxels_of, write_series

    from tedm.errors import TedmError
    from tedm.extract import read_manifest, settled
    from tedm.extract.images import VolumeOptions
    from tedm.store.volumes.normalisation import Normalisation

    monkeypatch.chdir(tmp_path)
    voxels = np.arange(5 * 6 * 4, dtype=np.int16).reshape(5, 6, 4)
    labels, moved = (voxels > 60).astype(np.uint8), np.eye(4)
    moved[0, 3] = 12.0

    def folder(name, lines=("a.nii.gz,a-seg.nii.gz,train,p1",), head="image,mask,split,patient", **files):
        Path(name).mkdir()
        made = {"a": voxels, "a-seg": labels} | {key.replace("_", "-"): value for key, value in files.items()}
        for stem, (content, affine) in (
            (stem, each if isinstance(each, tuple) else (each, np.eye(4))) for stem, each in made.items()
        ):
            nibabel.save(nibabel.Nifti1Image(content, affine), f"{name}/{stem}.nii.gz")
        Path(name, "manifest.csv").write_text("\n".join([head, *lines]) + "\n")

    folder("other-affine", a_seg=(labels, moved))
    folder("other-shape", a_seg=labels[:, :, :3])
    folder("cut-off")
    Path("cut-off/a.nii.gz").write_bytes(Path("cut-off/a.nii.gz").read_bytes()[:-20])
    folder("four-axes", a=np.stack([voxels, voxels], axis=3))
    folder("missing-modality", ["a.nii.gz,,a-seg.nii.gz,train,p1"], "flair,t1gd,mask,split,patient")
    folder("one-name", ["a.nii.gz,,train,p1", "../other-shape/a.nii.gz,,train,p2"])
    folder("two-splits", ["a.nii.gz,a-seg.nii.gz,train,p1", "b.nii.gz,,test,p1"], b=voxels)
    folder("no-class")
    Path("no-class/classes.csv").write_text("value,name\n0,background\n2,caudate\n")
    folder("no-scale")
    folder("no-brain-mask")
    folder("no-training", ["a.nii.gz,a-seg.nii.gz,test,p1"])
    Path("empty").mkdir()
    write_series(Path("two-series"), voxels_of(), each=[{}, {"SeriesInstanceUID": "1.2.3.4"}])
    write_series(Path("missing-slice"), voxels_of(), places=[0, 1, 3, 4, 5])
    options = {"missing-modality": VolumeOptions(channels=("flair", "t1gd")), "no-brain-mask": VolumeOptions(brain="mask")}
    normalised = {"no-brain-mask": Normalisation("quantile", brain="mask")}
    rows = re.findall(
        r"^\| `([\w-]+)` \|.*\| (?:`` (.*) ``|`(.*)`) \|$", (ROOT / "docs" / "volumes.md").read_text(), re.MULTILINE
    )
    assert sorted(name for name, *_ in rows) == sorted(path.name for path in tmp_path.iterdir())

    def used(name):
        manifest = read_manifest(Path(name), options=options.get(name, VolumeOptions()))
        if name == "no-training":
            settled(Normalisation("zscore"), manifest, None)
        manifest.require_intensity_range(None, channels=1, normalisation=normalised.get(name))

    for name, *said in rows:
        with pytest.raises(TedmError) as refusal:
            used(name)
        assert "".join(said) in [line.strip() for line in str(refusal.value).splitlines()[:2]], name


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_place_in_the_table_of_commands(command):
    assert f"| `{command}` |" in (ROOT / "docs" / "commands.md").read_text()


# Options of other programs, and the beginning of one that a shell completes.
OTHERS = {
    "nnUNetv2_plan_and_preprocess": "--verify_dataset_integrity",
    "dask worker": "--nthreads --nworkers --port",
    "sbatch": "--array --cpus-per-task --mem --time --requeue",
    "snakemake": "--cores",
    "pip": "--extra-index-url --no-index --find-links",
    "pytest": "--durations",
    "ruff format": "--check",
    "Tab": "--no",
}


def test_options_in_the_documentation_exist():
    """On every page but the list of changes, which tells of those that are gone."""
    helps = [_call(f"{command} --help") for command in COMMANDS]
    benchmarks = [path.read_text() for path in (ROOT / "benchmarks").glob("*.py")]
    known = {option for text in [*helps, *OTHERS.values(), *benchmarks] for option in OPTION.findall(text)}
    for page in set(PAGES) - {ROOT / "CHANGELOG.md"}:
        text = "\n".join(line for line in page.read_text().splitlines() if not line.startswith("nnUNetv2_"))
        assert set(OPTION.findall(text)) - known == set(), page


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def test_every_block_says_what_it_is_and_pages_have_many():
    assert {block.language for block in BLOCKS} <= {"sh", "python", "toml", "", "{toctree}", "{literalinclude} ../LICENSE"}
    assert sum(block.runs for block in BLOCKS) >= 14
    assert len(BLOCKS) > 60


@pytest.mark.parametrize("block", [block for block in BLOCKS if command_lines(block)], ids=str)
def test_every_command_line_is_one(block, tmp_path, monkeypatch):
    """It is read to its end, options and their values too; nothing is run."""
    monkeypatch.chdir(tmp_path)
    for each in BLOCKS:  # the files of settings that lines name
        if each.page == block.page and each.language == "toml":
            (tmp_path / "run.toml").write_text(each.text)
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for line in command_lines(block):
        name, *arguments = shlex.split(line)
        module, _, function = scripts[name].partition(":")
        command = getattr(importlib.import_module(module), function)
        if not arguments:  # asked for its completion
            continue
        if name == "tedm" and not arguments[0].startswith("-"):
            command, arguments = command.get_command(click.Context(command), arguments[0]), arguments[1:]
            assert command is not None, line
        try:
            command.make_context(name, arguments)
        except click.exceptions.Exit:
            pass  # --help, --example
        except click.ClickException as refusal:
            pytest.fail(f"{line}: {refusal.format_message()}")


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language in ("python", "toml")], ids=str)
def test_every_block_of_python_imports_what_is_there_and_every_table_of_settings_is_one(block):
    if block.language == "toml":
        assert tomllib.loads(block.text)
        return
    for line in ast.walk(ast.parse(block.text)):
        if isinstance(line, ast.ImportFrom) and (line.module or "").partition(".")[0] == "tedm":
            for each in line.names:
                assert hasattr(importlib.import_module(str(line.module)), each.name), each.name


def test_every_file_of_settings_that_a_line_writes_is_json():
    written = [text for block in BLOCKS for text in re.findall(r"^echo '(\{.*?\})' >", block.text, re.DOTALL | re.MULTILINE)]
    assert len(written) >= 4
    assert all(json.loads(text) for text in written)


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


def test_scores_that_the_page_of_tools_tells_are_those_of_the_results():
    text = re.sub(r"\(https?:[^)]*\)|doi:\S+", "", (ROOT / "docs" / "which-tool.md").read_text())
    told = set(re.findall(r"(?<![\d.])[5-9]\d\.\d(?![\d.])", text))
    assert len(told) >= 7
    results = "".join((ROOT / "docs" / "results" / f"{name}.md").read_text() for name in ("chest-xray", "brain-mri"))
    assert {score for score in told if f"{score} ±" not in results} == set()


def test_the_changelog_has_this_version():
    assert f"## [{tedm.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
