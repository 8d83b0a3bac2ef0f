"""Opinions in parts are those of all rows at once, in their order, whatever the size of a part."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.heads.base import predictor
from tedm.heads.base.predictor import opinions_in_parts
from tedm.heads.data.rows import dense_rows


def probabilities(rows):
    """Of three classes, a function of a row alone."""
    scores = np.abs(rows[:, :3]) + 0.1
    return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("part_bytes", [1, 7 * 6 * 5 * 4, 2**25])
@pytest.mark.parametrize("rows", ["share", "concatenate"])
def test_parts_are_all_rows_in_their_order(make_store, monkeypatch, rows, part_bytes):
    monkeypatch.setattr(predictor, "PART_BYTES", part_bytes)
    block = make_store(draws=2).block("two")
    asked = []
    opinions = opinions_in_parts(block, rows, 3, lambda some: (asked.append(some.nbytes), probabilities(some))[1])
    dense = dense_rows(block, rows)
    assert opinions.shape == (1, len(dense), 3)
    assert opinions.dtype == np.float32
    assert np.array_equal(opinions[0], probabilities(dense))
    assert max(asked) <= max(part_bytes, dense.nbytes // 64)
    assert sum(asked) == dense.nbytes
