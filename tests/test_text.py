"""Values as text: the same words for the same value everywhere."""

from __future__ import annotations

import pytest

from tedm.text import columns, counted, did_you_mean, duration, entry, from_entry, gigabytes, listed, shown, size


def test_a_list_is_cut_only_where_it_is_longer_than_asked_for():
    assert listed([1, 2, 3]) == listed([1, 2, 3], most=3) == "1, 2, 3"
    assert listed([1, 2, 3, 4], most=3) == "1, 2, 3, ..."
    assert listed([]) == ""


@pytest.mark.parametrize(("number", "text"), [(0, "0 images"), (1, "1 image"), (2, "2 images")])
def test_one_is_one_and_everything_else_is_many(number, text):
    assert counted(number, "image") == text


@pytest.mark.parametrize(
    ("nbytes", "text"), [(999, "0.000999 MB"), (2.5e6, "2.5 MB"), (999e6, "999 MB"), (1e9, "1 GB"), (1.234e10, "12.3 GB")]
)
def test_a_size_has_three_digits_in_powers_of_ten(nbytes, text):
    assert size(nbytes) == text
    assert gigabytes(nbytes).endswith(" GB")


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.6, "1 min 0 s"), (3599, "59 min 59 s"), (86399, "23 h 59 min"), (86400, "1 d 0 h")]
)
def test_a_duration_goes_over_into_the_next_unit(seconds, text):
    assert duration(seconds) == text


def test_columns_are_as_wide_as_their_widest_entry_and_lines_end_where_their_text_ends():
    rows = [["name", "note", "n"], ["a", "longer than that", "10"], ["bcdef", "", "1"]]
    lines = columns(rows, left=2)
    assert lines == ["name   note               n", "a      longer than that  10", "bcdef                     1"]
    assert columns([["a", ""], ["b", ""]]) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("scan \x1b[31m", "scan \\x1b[31m"),
        ("a\rb\0", "a\\rb\\x00"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("\u2028", "\\u2028"),
        ("\x9b31m", "\\x9b31m"),
        ("ü\u00a0日本", "ü\u00a0日本"),
        ("a\\b", "a\\b"),
    ],
)
def test_what_steers_a_terminal_is_shown_as_an_escape(text, seen):
    assert shown(text) == shown(text, lines=True) == seen
    assert listed([text]) == seen
    assert columns([[text]]) == [seen]


def test_lines_of_a_message_stay_and_those_of_a_name_do_not():
    assert shown("a\n\tb", lines=True) == "a\n\tb"
    assert shown("a\n\tb") == "a\\n\\tb"


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd", "-x", "@x", "\t=x", "\rx", "\nx", "'=x", "''-", "\uff1dx", "-", "--5", "-1e", "+1+1"]
)
def test_text_is_no_formula_in_a_spreadsheet_and_is_read_back(text):
    assert str(entry(text)) == f"'{text}"
    assert from_entry(f"'{text}") == text


@pytest.mark.parametrize("value", [-0.5, "-0.5", "-0.500000", "+5", "-inf", "nan", "-1e-05", -3, "scan", "a=b", "'s", ""])
def test_numbers_and_ordinary_text_stay_as_they_are(value):
    assert entry(value) == value
    assert from_entry(str(value)) == str(value)


def test_a_word_that_is_like_none_gets_no_hint_and_case_does_not_matter():
    assert did_you_mean("predct", ["fit", "predict"]) == " (did you mean predict?)"
    assert did_you_mean("store", ["HEAD", "STORE"]) == " (did you mean STORE?)"
    assert did_you_mean("banana", ["fit", "predict"]) == ""
