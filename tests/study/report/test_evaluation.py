"""An evaluation as a folder, from real features and heads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import Record, Segmenter, evaluate, fit, method_named, predict, summarise
from tedm.store import FeatureStore
from tedm.study.report.evaluation import read_evaluation, write_evaluation
from tedm.study.report.examples import packed, shown_heads, unpacked

NAMES = tuple(f"scan {number}" for number in range(9))
Study = tuple[FeatureStore, dict[str, Segmenter], list[Record]]


@pytest.fixture
def study(make_store: Callable[..., FeatureStore]) -> Study:
    """Two methods, one of them from one and from two images and with two seeds, scored on what none of them has seen."""
    store = make_store(own=True, names=NAMES, values=(0, 100, 200))
    labels = store.labels
    splits = tuple("test" if number > 2 else "train" for number in range(len(labels)))
    domains = tuple("near" if number in (3, 5) else "far" for number in range(len(labels)))
    store.labels = dataclasses.replace(labels, splits=splits, domains=domains)
    made = (("a", 400, 1, 0), ("b", 1, 1, 0), ("c", 1, 2, 0), ("d", 1, 2, 1))
    heads = {key: fit(store, method_named(f"timestep:{t}"), images=n, seed=seed, iterations=5) for key, t, n, seed in made}
    return store, heads, evaluate(store, heads)


def test_the_folder_holds_what_a_report_needs(study: Study, tmp_path: Path) -> None:
    store, heads, records = study
    write_evaluation(tmp_path / "e", store, heads, records, command="tedm-evaluate s a b", what="s")
    found = read_evaluation(tmp_path / "e")
    assert [str(record) for record in found.records] == [str(record) for record in records]
    assert found.classes == (0, 100, 200)
    about = dict(found.result.about)
    assert about["command"] == "tedm-evaluate s a b"
    assert about["head timestep:1"].endswith("n: 1, 2; seed: 0, 1; labels used, val included: 1, 2")
    assert about["scored on"] == "near test: 2 images, far test: 4 images"
    assert found.result.bytes_of("table.csv").decode() == summarise(records).to_csv()
    of_domain: dict[str, list[float]] = {"near": [], "far": []}
    for example in found.examples:
        at = example.place
        assert list(example.predictions) == ["timestep:400, n = 1", "timestep:1, n = 2"]
        np.testing.assert_allclose(example.picture, store.image(at.image)[..., 0], atol=0.51 / 255)
        np.testing.assert_array_equal(example.truth, store.mask(at.image))
        for prediction in predict(store, {"timestep:400, n = 1": heads["a"], "timestep:1, n = 2": heads["c"]}, [at.image]):
            np.testing.assert_array_equal(example.predictions[prediction.head], prediction.mask)
        mine = [r for r in records if (r.image, r.method, r.n, r.seed) == (at.image, "timestep:1", 2, 0)]
        assert example.dice["timestep:1, n = 2"] == pytest.approx(100 * np.mean([r.dice for r in mine if r.class_value]))
        of_domain[at.domain].append(example.dice["timestep:1, n = 2"])
    assert [len(of_domain[domain]) for domain in ("near", "far")] == [2, 3]
    for dice in of_domain.values():
        assert dice == sorted(dice, reverse=True)


def test_the_same_evaluation_is_the_same_bytes(study: Study, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_evaluation(tmp_path / folder, *study, timesteps=None)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_the_method_that_ranks_is_the_last_or_the_one_asked_for(study: Study) -> None:
    _, heads, _ = study
    assert shown_heads(heads) == ["a", "c"]
    assert shown_heads(heads, "d") == ["a", "d"]
    assert shown_heads({key: heads[key] for key in "cbda"}) == ["c", "a"]


def test_no_example_and_damaged_ones(study: Study, tmp_path: Path) -> None:
    table, arrays = packed([], (0, 7))
    assert unpacked([table.split(",")], arrays) == ([], (0, 7))
    write_evaluation(tmp_path / "e", *study)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "e").iterdir()}
    lines = kept["examples.csv"].splitlines(keepends=True)
    damages = [
        ("examples.npz", kept["examples.npz"][:300], "the examples in .* are damaged"),
        ("examples.npz", b"", "the examples in .* are damaged"),
        ("examples.npz", arrays, "the examples in .* are damaged"),
        ("examples.csv", b"".join(lines[:-1]), "do not belong together"),
        ("examples.csv", kept["examples.csv"].replace(b"domain", b"realm", 1), "do not belong together"),
        ("records.csv", kept["records.csv"].splitlines(keepends=True)[0], r"there are no scores in .*records\.csv"),
        ("records.csv", kept["records.csv"] + b"tedm,1\n", "rows that are no records"),
    ]
    for name, damaged, said in damages:
        (tmp_path / "e" / name).write_bytes(damaged)
        with pytest.raises(TedmError, match=said):
            read_evaluation(tmp_path / "e")
        (tmp_path / "e" / name).write_bytes(kept[name])
    read_evaluation(tmp_path / "e")
