"""Stores, heads and results that earlier versions wrote are read, and today's fits end in the bits of then, or near them.

`tests/data/before` holds them, with the script that wrote them.
"""

from __future__ import annotations

import runpy
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from tedm.extract.arithmetic import choose_arithmetic
from tedm.heads import evaluate, fit, load_head, method_named, read_records, save_head, summarise
from tedm.heads.mlp.asked import REVISION
from tedm.store import FeatureStore
from tedm.study.report.evaluation import read_evaluation

DATA = Path(__file__).resolve().parents[1] / "data" / "before"
VERSIONS = {"0.1.0": ["tedm", "ledm", "timestep"]}
JOBS: dict[str, Any] = runpy.run_path(str(DATA / "write.py"))["JOBS"]
VERSIONS["unreleased"] = list(JOBS)
# Fits of MLPs on random pixels, whose steps add up in another order since: their bits are those that the script wrote then.
REORDERED: tuple[str, ...] = runpy.run_path(str(DATA / "write_revision.py"))["REORDERED"]
# Fits whose sums are NumPy's, and its kernels on the processor that wrote them: those for AVX-512 add up in another order.
SOLVED_BY_NUMPY, THEN = ("timestep", "chosen"), ("Haswell", "Zen")
HEADS = [(version, head) for version, heads in VERSIONS.items() for head in heads]


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("before")
    for version in VERSIONS:
        with zipfile.ZipFile(DATA / f"{version}.zip") as archive:
            archive.extractall(folder / version)
    return {version: folder / version for version in VERSIONS}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _numpys_products() -> str:
    """Return the kernels that NumPy multiplies with: processors of one name have different ones."""
    return next((str(each["architecture"]) for each in threadpool_info() if "numpy.libs" in each["filepath"]), "others")


def assert_as_then(found: Any, file: Path, head: str, *, same_order: bool = True) -> None:
    """The same bits on the processor and torch that wrote them; up to rounding elsewhere, or where sums go in another order."""
    with np.load(file) as expected:
        same = (
            str(expected["processor"]) == choose_arithmetic(device="cpu").processor
            and str(expected["torch"]) == torch.__version__
            and same_order
        )
        if same:
            np.testing.assert_array_equal(found, expected[head])
        else:
            np.testing.assert_allclose(found, expected[head], atol=1e-3)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_store_of_before_is_read_and_continued(unpacked, version, tmp_path):
    for layout, draws in (("native", 2), ("upsampled", 1)):
        shutil.copytree(unpacked[version] / layout, tmp_path / layout)  # other tests learn from it
        store = FeatureStore.open(tmp_path / layout)
        assert store.missing() == []
        assert store.labels.select(split="test") == ["e", "f"]
        assert store.labels.classes == (0, 255)
        (block,) = store.blocks(["b"], [50])
        assert block.at_image_resolution().shape == (1, draws, 8, 8, 5)
        assert float(store.image("b").min()) >= 0
        store.discard(["c"])
        assert store.missing() == ["c"]
        cells = [level.astype(np.float32) for level in store.block("b").cells]
        store.write("c", store.image("b"), cells)
        assert FeatureStore.open(store.path).missing() == []


@pytest.mark.parametrize(("version", "head"), HEADS)
def test_a_head_of_before_predicts_as_then_and_is_written_anew(unpacked, version, head, tmp_path):
    folder = unpacked[version]
    (block,) = FeatureStore.open(folder / "native").blocks(["e"])
    loaded = load_head(folder / "heads" / head)
    assert_as_then(loaded.probabilities(block), folder / "expected.npz", head)
    save_head(loaded, tmp_path / "again")
    again = load_head(tmp_path / "again")
    np.testing.assert_array_equal(again.probabilities(block), loaded.probabilities(block))


@pytest.mark.parametrize("head", list(JOBS))
def test_a_fit_on_the_same_features_ends_in_the_bits_of_then(unpacked, head):
    folder = unpacked["unreleased"]
    store = FeatureStore.open(folder / "native")
    method, changes, options = JOBS[head]
    asked = method_named(*method, **changes)
    precision = "float32" if asked.head == "mlp" else None  # there was no other
    fitted = fit(store, asked, precision=precision, **options)
    (block,) = store.blocks(["e"])
    found = fitted.probabilities(block)
    same_order = head not in REORDERED and (head not in SOLVED_BY_NUMPY or _numpys_products() in THEN)
    assert_as_then(found, folder / "expected.npz", head, same_order=same_order)
    if head in REORDERED:
        assert_as_then(found, DATA / f"revision-{REVISION}.npz", head)


@pytest.mark.parametrize("version", VERSIONS)
def test_scores_of_before_are_those_of_today(unpacked, version):
    folder = unpacked[version]
    store = FeatureStore.open(folder / "native")
    heads = {head: load_head(folder / "heads" / head) for head in VERSIONS[version][:3]}
    then = [record for record in read_records(folder / "records.csv") if record.method in ("tedm", "ledm", "timestep:50")]
    now = evaluate(store, heads)
    key = lambda record: (record.method, record.n, record.image, record.class_value)  # noqa: E731
    wanted = {key(record) for record in now}
    then = [record for record in then if key(record) in wanted]
    assert {key(record): record.dice for record in now} == pytest.approx({key(r): r.dice for r in then}, abs=1e-6, nan_ok=True)
    assert len(summarise(now).cells) == 6


def test_an_evaluation_of_before_is_read(unpacked):
    found = read_evaluation(unpacked["unreleased"] / "evaluation")
    assert {record.image for record in found.records} == {"e", "f"}
    assert found.examples
