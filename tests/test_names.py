"""What an image may be called, and files that would be one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tedm.errors import TedmError
from tedm.names import as_one, file_of, problem_of, require_files

BAD = [
    "",
    ".",
    "..",
    "../x",
    "/etc/x",
    "a/b",
    "a\\b",
    "nul\0",
    "a\nb",
    "\x1b[31m",
    "\u202ex",
    "\ud800",
    "CON",
    "aux.png",
    "x" * 201,
]


@pytest.mark.parametrize("name", BAD, ids=map(repr, range(len(BAD))))
def test_a_name_that_leads_elsewhere_or_cannot_be_seen_is_no_files_name(name, tmp_path):
    assert problem_of(name)
    with pytest.raises(TedmError, match="write the image under another name"):
        file_of(tmp_path, name, ".png")


@pytest.mark.parametrize("name", ["scan 1", "ü", "a.b", "-x", "=1", "console", "x" * 200, ".hidden", "日本"])
def test_any_other_name_is(name):
    assert problem_of(name) is None
    assert file_of(Path("out"), name, ".png") == Path("out") / f"{name}.png"


def test_two_images_never_share_a_file():
    files = {"x": ["x.png", "x-entropy.png"], "x-entropy": ["x-entropy.png", "x-entropy-entropy.png"], "b": ["b.png"]}
    with pytest.raises(TedmError, match=r"^no:\n  images 'x' and 'x-entropy' would both become x-entropy.png; leave it$"):
        require_files(files, what="no", remedy="leave it")
    require_files({"x": ["x.png"], "y": ["y.png"]}, what="no", remedy="leave it")


@pytest.mark.parametrize(
    ("one", "other"), [("Scan", "scan"), ("e\u0301", "\u00e9"), ("STRASSE", "straße"), ("E\u0301", "\u00e9")]
)
def test_names_that_some_systems_hold_to_be_the_same_are_not_both_written(one, other):
    assert as_one(one) == as_one(other)
    with pytest.raises(TedmError, match="the same file on some systems"):
        require_files({one: [f"{one}.png"], other: [f"{other}.png"]}, what="no", remedy="leave it")
