"""Tables of TOML as dataclasses: every problem at once, each with a way out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from tedm.errors import TedmError
from tedm.study.trial.toml_tables import MOST, as_dataclass, read_toml


@dataclass(frozen=True)
class Example:
    needed: str
    numbers: tuple[int, ...] = ()
    layout: Literal["upsampled", "native"] | None = None
    limits: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.needed == "never":
            raise TedmError("needed cannot be never")


def test_a_table_becomes_a_dataclass_with_its_own_types() -> None:
    problems: list[str] = []
    values = {"needed": "a", "numbers": [1, 2], "layout": "native", "limits": [0, 1]}
    assert as_dataclass(Example, values, "", problems) == Example("a", (1, 2), "native", (0.0, 1.0))
    assert problems == []


def test_all_problems_of_a_table_are_told_at_once() -> None:
    problems: list[str] = []
    values = {"nunbers": [1], "numbers": ["one"], "layout": "nativ", "zebra": 1}
    assert as_dataclass(Example, values, "features", problems) is None
    assert problems == [
        "features: 'nunbers' means nothing here (did you mean numbers?)",
        "features: 'zebra' means nothing here; known are needed, numbers, layout, limits",
        "features: needed is missing",
        "features: numbers is ['one']: Expected `int`, got `str` - at `$[0]`",
        "features: layout is 'nativ': choose one of upsampled, native (did you mean native?)",
    ]


def test_what_the_dataclass_refuses_is_a_problem_as_well() -> None:
    problems: list[str] = []
    assert as_dataclass(Example, {"needed": "never"}, "", problems) is None
    assert as_dataclass(Example, 3, "score 1", problems) is None
    assert problems == ["needed cannot be never", "score 1: should be a table, got 3"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = ", "is no TOML: Invalid value (at end of document)"),
        (b"a = 1\na = 2\n", "is no TOML: Cannot overwrite a value"),
        (b"\xff\xfe", "is no TOML"),
        (b"#" * (MOST + 1), "is no TOML"),
        (b"a = " + b"[" * 100_000, "is no TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_refused_in_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_bytes(content)
    with pytest.raises(TedmError) as refused:
        read_toml(tmp_path / "study.toml")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TedmError, match="cannot read .*nothing.toml: No such file"):
        read_toml(tmp_path / "nothing.toml")
