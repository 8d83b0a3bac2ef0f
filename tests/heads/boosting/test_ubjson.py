"""XGBoost's files are read as XGBoost writes them, and in no second way."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xgboost

from tedm.heads.boosting.ubjson import read_ubjson


def length(size: int) -> bytes:
    return b"L" + size.to_bytes(8, "big", signed=True)


def test_a_model_is_what_xgboost_itself_says_of_it(rng):
    rows = xgboost.DMatrix(rng.normal(size=(90, 4)), label=np.arange(90) % 3)
    booster = xgboost.train({"objective": "multi:softprob", "num_class": 3, "max_depth": 3}, rows, 2)
    booster.set_attr(classes="0,1,2")
    told = json.loads(booster.save_raw("json"))
    read = read_ubjson(bytes(booster.save_raw("ubj")))

    def plain(value):
        if isinstance(value, np.ndarray):
            return value.tolist()
        if isinstance(value, dict):
            return {name: plain(inner) for name, inner in value.items()}
        return [plain(inner) for inner in value] if isinstance(value, list) else value

    def close(one, other):
        if isinstance(one, dict):
            assert one.keys() == other.keys()
            return all(close(one[name], other[name]) for name in one)
        if isinstance(one, list):
            return len(one) == len(other) and all(map(close, one, other))
        return one == other if isinstance(one, str) else one == pytest.approx(other, rel=1e-6)

    assert close(plain(read), told)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{}x",
        b"[" * 100,
        b"[$U#" + length(10**12),
        b"[$U#" + length(-1),
        b"[#" + length(10**12),
        b"[$Z#" + length(10**9),
        b"[$U]",
        b"[$U#i\x01\x01",
        b"S" + length(5) + b"abc",
        b"S" + length(1) + b"\xff",
        b"{" + 2 * (length(1) + b"aT") + b"}",
        b"{i\x01aT}",
        b"N",
        b"Z",
        b"l\x00",
    ],
)
def test_what_is_damaged_or_of_another_dialect_is_refused(content):
    with pytest.raises(ValueError, match=r"."):
        read_ubjson(content)
