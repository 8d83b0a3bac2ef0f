"""Settings that a user wrote: taken one by one, refused in words that name the setting."""

from __future__ import annotations

import pytest

from tedm.errors import TedmError
from tedm.extract.backbones import Content, config


def content(**settings) -> Content:
    return Content("net.pt", "", {}, settings, None)


def test_a_setting_is_taken_or_its_default():
    settings = content(side=8, rate=0.5, fine=True, kind="cosine", widths="1, 2,3", heights=[4, 5])
    assert config.integer(settings, "side") == 8
    assert config.integer(settings, "absent", 3) == 3
    assert config.number(settings, "rate") == 0.5
    assert config.boolean(settings, "fine", False) is True
    assert config.one_of(settings, "kind", None, ("linear", "cosine")) == "cosine"
    assert config.numbers(settings, "widths") == (1.0, 2.0, 3.0)
    assert config.numbers(settings, "heights") == (4.0, 5.0)


@pytest.mark.parametrize(
    ("take", "value", "expected"),
    [
        (config.integer, True, "a whole number of at least 1"),
        (config.integer, 2.0, "a whole number of at least 1"),
        (config.integer, 0, "a whole number of at least 1"),
        (config.number, float("nan"), "a number"),
        (config.numbers, [1, -2], "numbers above zero"),
        (config.numbers, "1,two", "numbers above zero"),
        (config.numbers, {"a": 1}, "numbers above zero"),
        (config.numbers, [], "numbers above zero"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_what_was_expected(take, value, expected):
    with pytest.raises(TedmError) as refused:
        take(content(side=value), "side")
    assert str(refused.value) == f"the setting 'side' of checkpoint net.pt is {value!r}; expected {expected}"


def test_what_is_missing_is_told_at_once_with_an_example():
    needed = {"side": ("side",), "heads (or width)": ("heads", "width"), "kind": ("kind",)}
    with pytest.raises(TedmError, match=r'do not tell side, kind; write a JSON file, \{"side": 8\} say'):
        config.require(content(width=3), "a network", needed, {"side": 8})
    config.require(content(width=3, side=1, kind="a"), "a network", needed, {"side": 8})


def test_a_setting_that_means_nothing_is_refused():
    with pytest.raises(TedmError, match="'sied', which mean nothing here; known are kind, side"):
        config.require_known(content(sied=3), {"side", "kind"})


@pytest.mark.parametrize(
    ("settings", "classes", "label"), [({}, None, None), ({"class_label": 0}, 4, 0), ({"class_label": 3}, 4, 3)]
)
def test_the_class_is_that_of_the_settings(settings, classes, label):
    assert config.class_label(content(**settings), classes) == label


@pytest.mark.parametrize(
    ("settings", "classes", "text"),
    [({"class_label": 1}, None, "leave out"), ({}, 4, "say of which of its 4 classes"), ({"class_label": 4}, 4, "from 0 to 3")],
)
def test_a_class_that_there_is_not_is_refused(settings, classes, text):
    with pytest.raises(TedmError, match=text):
        config.class_label(content(**settings), classes)


@pytest.mark.parametrize(("text", "said"), [("{", "is no JSON"), ("[1]", "holds no JSON object")])
def test_a_file_that_is_no_object_is_refused(tmp_path, text, said):
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(TedmError, match=said):
        config.read_config(tmp_path / "net.json")
    with pytest.raises(TedmError, match="cannot read the settings"):
        config.read_config(tmp_path / "absent.json")
