import argparse
from typing import Any

import pytest
import torch

from tedm.errors import TedmError
from tedm.extract.backbones.files.plain import plain_settings


def test_settings_are_plain_whatever_held_them() -> None:
    held = argparse.Namespace(a=1, b=(1, 2), c=argparse.Namespace(d="x"), e=torch.tensor([3, 4]), f=None, g=object(), h=True)
    assert plain_settings(held, "net.pt") == {"a": 1, "b": (1, 2), "c": {"d": "x"}, "e": [3, 4], "f": None, "h": True}


def test_what_is_no_mapping_holds_no_settings() -> None:
    assert [plain_settings(each, "net.pt") for each in (3, [1], None, "text")] == [{}] * 4


def test_text_and_numbers_that_would_garble_a_terminal_are_shortened() -> None:
    found = plain_settings({"a": "\x1b[2J", "b": "x" * 10**6, "c": 10**5000, "d": -(2**70)}, "net.pt")
    assert found["a"] == r"\x1b[2J"
    assert len(str(found["b"])) < 3000
    assert found["c"] == "a number of hundreds of digits"
    assert found["d"] == "-1.18e+21"


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value, value]  # twice the same: 2 ** depth values when they are written out
    return value


def test_settings_without_end_are_refused() -> None:
    round_and_round: dict[str, Any] = {}
    round_and_round["a"] = round_and_round
    for value in (nested(18), nested(1000), round_and_round["a"], list(range(200_000))):
        with pytest.raises(TedmError, match="settings of checkpoint net.pt are deeper than"):
            plain_settings({"dim": value}, "net.pt")
