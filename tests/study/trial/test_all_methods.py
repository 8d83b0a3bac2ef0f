"""A tiny study of all methods on the demo's slices, killed five times at random: its results have the bytes of one run."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from processes import Forked
from trial_study import of_store, results_in, write_study

from tedm.extract.pretrain import pretrain_contrast
from tedm.heads import load_head, read_records
from tedm.study.demo import template
from tedm.study.paper.results import ORDER

pytest.importorskip("nilearn", reason="the demo's slices are nilearn's")
pytest.importorskip("monai", reason="a unet is MONAI's")
TIMESTEPS = (1, 50)
SIZES = (1, 3)
OPTIONS = ["--threads", 1, "--device", "cpu"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study's file: two sizes, every method, 20 iterations, on axial slices."""
    folder = tmp_path_factory.mktemp("all-methods")
    store = template.template_store(folder, timesteps=TIMESTEPS, domains=["axial"])
    images = np.stack([store.image(name) for name in store.labels.names]).transpose(0, 3, 1, 2)
    small = {"batch_size": 2, "iterations": 2, "device": "cpu"}
    pretrain_contrast(images, folder / "global.ckpt", objective="global-cl", width=8, multipliers=(1, 2), **small)  # type: ignore[arg-type]
    pretrain_contrast(
        images,
        folder / "local.ckpt",
        objective="global-local-cl",
        start=folder / "global.ckpt",
        **small,  # type: ignore[arg-type]
    )
    ddpm = Path(template.__file__).with_name("demo.safetensors")
    unet = "iterations = 20\nimages_per_batch = 1\n"
    methods = {
        "jury": f"timesteps = {list(TIMESTEPS)}\nmembers = 2\nviews = 0\niterations = 20\n",
        "jury-fast": f"timesteps = {list(TIMESTEPS)}\nmembers = 2\nviews = 0\niterations = 20\n",
        "tedm": f"timesteps = {list(TIMESTEPS)}\niterations = 20\n",
        "ledm": f"timesteps = {list(TIMESTEPS)}\nmembers = 2\niterations = 20\n",
        "ledme": f"timesteps = {list(TIMESTEPS)}\nmembers = 2\niterations = 20\n",
        "timestep:50": "iterations = 20\n",
        "unet": f"{unet}params = {{width = 4}}\n",
        "ddpm-finetune": f"{unet}checkpoint = '{ddpm}'\n",
        "global-cl": f"{unet}checkpoint = 'global.ckpt'\n",
        "global-local-cl": f"{unet}checkpoint = 'local.ckpt'\n",
    }
    head = f'title = "All methods"\nsizes = {list(SIZES)}\nseeds = [0]\n'
    written = "".join(f'[[methods]]\nmethod = "{name}"\n{settings}' for name, settings in methods.items())
    return write_study(folder, of_store(folder / "store"), head=head, score='[[score]]\nsplit = "test"\n', methods=written)


@pytest.fixture(scope="module")
def whole(study: Path) -> Path:
    """Where it was done in one run on one thread."""
    out = study.parent / "whole"
    _complete(Forked("tedm.cli.study", [study, out, *OPTIONS]))
    return out


def test_every_method_has_scores_at_both_sizes_and_is_in_table_1(whole: Path) -> None:
    records = read_records(whole / "records.csv")
    methods = {*ORDER, "timestep:50"}
    assert {(record.method, record.n) for record in records} == {(method, n) for method in methods for n in SIZES}
    assert np.isfinite([record.dice for record in records if record.class_value]).all()
    table = (whole / "paper" / "table-1.md").read_text()
    assert all(f"{method} " in table for method in ORDER)
    started = load_head(whole / "units" / "global-cl" / "n-3-seed-0" / "head").provenance.report.details["start"]
    assert started["objective"] == "global-cl"
    assert len(started["sha256"]) == 64


def test_killed_five_times_at_random_it_ends_in_the_bytes_of_one_run(study: Path, whole: Path) -> None:
    out = study.parent / "killed"

    def files(folder: Path) -> int:
        return sum(len(names) for _, _, names in os.walk(folder))

    for until in sorted(random.Random(5).sample(range(1, files(whole) - 12), 5)):
        process = Forked("tedm.cli.study", [study, out, *OPTIONS])
        while process.poll() is None and files(out) < until:
            time.sleep(0.002)
        process.kill()
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
    _complete(Forked("tedm.cli.study", [study, out, *OPTIONS]))
    assert results_in(out) == results_in(whole)
    assert not list(out.rglob(".*"))


def _complete(process: Forked) -> None:
    out, said = process.communicate(timeout=250)
    assert process.returncode == 0, said + out
