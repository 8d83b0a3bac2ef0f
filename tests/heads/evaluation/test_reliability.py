"""How sure heads are is told by domain, before and after their temperature, and every number is in a table."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import Calibration, predict, reliability, write_reliability
from tedm.store import IGNORE

TIMESTEPS = (1, 50, 400)


def by_hand(truth, probabilities):
    """The definition, pixel by pixel: ECE = sum over 15 bins of n_b / N |accuracy_b - confidence_b|."""
    bins = {}
    for label, row in zip(truth, probabilities, strict=True):
        if label == IGNORE:
            continue
        confidence = max(row)
        of_bin = next(b for b in range(15) if confidence <= (b + 1) / 15 + 1e-12)
        bins.setdefault(of_bin, []).append((confidence, list(row).index(confidence) == label))
    count = sum(map(len, bins.values()))
    return sum(abs(sum(c for c, _ in of) - sum(r for _, r in of)) for of in bins.values()) / count


@pytest.fixture
def heads(voters):
    store, head = voters
    return store, {"plain": head, "warm": dataclasses.replace(head, calibration=Calibration(2.0, "soft", TIMESTEPS))}


def test_heads_are_measured_by_domain_before_and_after(heads):
    store, both = heads
    found = reliability(store, both)
    assert [(one.head, one.domain, one.images, one.temperature) for one in found] == [
        ("plain", "here", 1, None),
        ("plain", "there", 1, None),
        ("warm", "here", 1, 2.0),
        ("warm", "there", 1, 2.0),
    ]
    for one in found:
        name = {"here": "f", "there": "g"}[one.domain]
        for key, counts in (("plain", one.before), ("warm", one.after)):
            if counts is not None:
                (prediction,) = predict(store, {key: both[key]}, [name])
                expected = by_hand(store.mask(name).ravel(), prediction.probabilities.reshape(-1, 2).astype(np.float64))
                assert counts.ece == pytest.approx(expected, abs=1e-12)
    assert found[0].after is None
    assert found[2].after.ece != found[2].before.ece
    (other,) = reliability(store, {"warm": both["warm"]}, rule="hard", domain="here")
    assert (other.temperature, other.after) == (None, None)  # a temperature of another vote


def test_every_number_of_the_diagram_is_in_a_table(heads, tmp_path):
    store, both = heads
    write_reliability(reliability(store, both), tmp_path / "out")
    bins = list(csv.DictReader((tmp_path / "out" / "reliability.csv").read_text().splitlines()))
    errors = list(csv.DictReader((tmp_path / "out" / "ece.csv").read_text().splitlines()))
    assert [(row["head"], row["domain"], row["stage"]) for row in errors] == [
        ("plain", "here", "before"),
        ("plain", "there", "before"),
        ("warm", "here", "before"),
        ("warm", "here", "after"),
        ("warm", "there", "before"),
        ("warm", "there", "after"),
    ]
    for row in errors:
        same = ("head", "domain", "stage")
        of = [each for each in bins if all(each[key] == row[key] for key in same) and int(each["pixels"])]
        count = sum(int(each["pixels"]) for each in of)
        gaps = [int(each["pixels"]) * abs(float(each["accuracy"]) - float(each["confidence"])) for each in of]
        assert sum(gaps) / count == pytest.approx(float(row["ece"]), abs=1e-12)
        assert count == int(row["pixels"])


def test_images_that_were_learned_from_are_refused(heads):
    store, both = heads
    with pytest.raises(TedmError, match="would mean nothing"):
        reliability(store, both, split="train")
