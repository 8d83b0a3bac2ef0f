"""The acceptance run of a GPU goes its way on a CPU, in a small form; and its wheels are those of what it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"


def run(out: Path, *options: object, **environment: str) -> tuple[int, dict[str, list[str]]]:
    """The exit status, and the rows of the table that the run leaves, by check."""
    command = [sys.executable, BENCHMARKS / "gpu.py", out, "--device", "cpu", "--shared", out / "none", *options]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=os.environ | environment)
    assert (out / "gpu.md").exists(), done.stderr
    table = [line for line in (out / "gpu.md").read_text().splitlines() if line.startswith("|")]
    assert table[:2] == ["| check | result | figure | seconds |", "|---|---|---|--:|"]
    assert "\n".join(table) in done.stdout
    return done.returncode, {cells[0]: cells[1:] for line in table[2:] for cells in [line[2:-2].split(" | ")]}


@pytest.mark.slow
def test_the_acceptance_run_passes_on_a_cpu_and_says_what_needs_cuda(tmp_path):
    status, rows = run(tmp_path)
    assert {check: row for check, row in rows.items() if row[0] == "FAILED"} == {}
    assert status == 0
    of = {check for check, row in rows.items() if row[:2] == ["skipped", "no CUDA"]}
    assert {"tests marked gpu", "padded last batch", "out of memory names a batch size that works"} <= of
    assert {check for check, row in rows.items() if row[0] == "passed"} == {
        "activations, bfloat16 to float32",
        "equal bits whatever the neighbours",
        "equal bytes after a resume",
        "MLP fit",
        "pre-training",
        "baseline ddpm-finetune",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["gpu.md"]


def test_a_check_that_fails_does_not_stop_the_others_and_fails_the_run(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(BENCHMARKS)!r})\n"
        "import gpu_checks\n"
        "def fails(machine): raise ValueError('a | b\\nc')\n"
        "def breaks(machine): raise gpu_checks.Failed('7 of 8')\n"
        "gpu_checks.CHECKS.clear()\n"
        "gpu_checks.CHECKS.update(first=fails, second=breaks, third=gpu_checks.peak, fourth=gpu_checks.padded)\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    status, rows = run(tmp_path / "out", PYTHONPATH=path)
    assert status == 1
    assert rows["first"][:2] == ["FAILED", "ValueError: a / b c"]
    assert rows["second"][:2] == ["FAILED", "7 of 8"]
    assert rows["third"][0] == "measured"
    assert rows["fourth"][:2] == ["skipped", "no CUDA"]


def test_every_test_that_is_marked_gpu_is_in_a_file_that_the_run_names(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from gpu_checks import MARKED

    marked = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("test_*.py")
        if "@pytest.mark." + "gpu\n" in path.read_text()
    }
    assert marked == set(MARKED)


def test_what_is_packed_is_what_pyproject_names(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from gpu_wheels import _plain, requirements

    names = {_plain(each) for each in requirements()}
    assert {"zarr", "dask", "scikit-learn", "imagecodecs", "skops", "pytest", "monai", "einops", "setuptools"} <= names
    assert not any("xgboost" in name for name in names)
    assert _plain("dask[array]>=2025.1") == "dask"


@pytest.mark.parametrize("layout", ["native", "upsampled"])
def test_the_page_of_scaling_counts_the_files_and_bytes_that_a_store_has(tmp_path, rng, monkeypatch, layout):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from scaling import ZSTD, bytes_of_image, files_of_store, settings_of

    from tedm.store import Arithmetic, FeatureStore, Registration, Storage

    settings, storage = settings_of(16), Storage(layout, "float16")
    store = FeatureStore.create(tmp_path / "store", settings, Arithmetic("cpu", "float32", False, 1, 1, "", ""), storage, {})
    store.register([Registration(name, "train", name, "", (16, 16), None) for name in "ab"], ())
    sides = [(settings.side(level), level.channels) for level in settings.levels]
    for name in "ab":
        cells = [rng.normal(size=(8, 1, side, side, channels)).astype(np.float32) for side, channels in sides]
        store.write(name, np.zeros((16, 16, 1), np.float32), cells)
    sizes = store.files()
    of_image, others = files_of_store(settings, storage)
    assert len(sizes) == 2 * of_image + others
    arrays = [zarr.open_array(store.path / name, mode="r") for name in store.feature_arrays()]
    raw = sum(array[0].nbytes for array in arrays)
    assert bytes_of_image(settings, storage) == (raw if layout == "native" else round(ZSTD * raw))
    found = sum(size for key, size in sizes.items() if key.startswith(("level", "features")) and "/c.0" in key)
    assert raw < found < 1.02 * raw if layout == "native" else found < raw
    assert 0 < ZSTD < 1
