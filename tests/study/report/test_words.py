"""How numbers are written in a report."""

from __future__ import annotations

from math import nan

import pytest

from tedm.study.report.words import named, number, rounded, together


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0.123456", "0.1235"),
        ("-12.3456", "-12.35"),
        ("12345", "12345"),
        ("0.5", "0.5"),
        ("nan", "–"),
        ("inf", "inf"),
        ("a", "a"),
    ],
)
def test_only_numbers_with_too_many_digits_are_rounded(text: str, written: str) -> None:
    assert rounded(text) == written


def test_what_is_absent_is_a_dash_and_no_domain_is_said() -> None:
    assert (number(nan), number(81.26)) == ("–", "81.3")
    assert (named(""), named("there")) == ("(no domain)", "there")


def test_of_many_values_the_last_stands_for_the_rest() -> None:
    assert together([]) == ""
    assert together(["a"]) == "a"
    assert together([1, 3, 6], link="or") == "1, 3 or 6"
    assert together("abcdefgh") == "a, b, c, d, e, f, g and h"
    assert together("abcdefghi") == "a, b, c, d, e, f, g and 2 others"
