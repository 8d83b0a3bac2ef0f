"""Every value of head.json has its type, its range and its partner, and a setting that is not known is a newer tedm's."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from tedm.errors import TedmError
from tedm.heads import load_head
from tedm.heads.segmenter.description import read_description

BEFORE = Path(__file__).parents[2] / "data" / "before" / "unreleased.zip"


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("before")
    with zipfile.ZipFile(BEFORE) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith("heads/")])
    return folder / "heads"


@pytest.fixture
def head(folders, tmp_path):
    shutil.copytree(folders / "learned", tmp_path / "head")
    return tmp_path / "head"


def write(head: Path, *way: object, value: object) -> None:
    about = json.loads((head / "head.json").read_text())
    *holders, last = way
    place = about
    for key in holders:
        place = place[key]
    place[last] = value
    (head / "head.json").write_text(json.dumps(about).replace('"DEEP"', "[" * 100_000 + "]" * 100_000))


NAN = float("nan")
WRONG = [
    (("format",), "1", "states no format"),
    (("format",), None, "states no format"),
    (("classes",), [], "0 classes"),
    (("classes",), [7, 7], "each once"),
    (("classes",), list(range(300)), "300 classes"),
    (("classes",), [0, 10**12], "no value of a mask"),
    (("classes",), [0, 1, 2], "weights"),
    (("features",), 6, "features is 6; rows of these levels and timesteps have 5"),
    (("features",), -1, "features is -1"),
    (("features",), True, "Expected `int`, got `bool`"),
    (("method", "timesteps"), [], "features is"),
    (("method", "timesteps"), [1, 1], "each once"),
    (("method", "timesteps"), [1, -50], "none below 0"),
    (("method", "timesteps"), [1, 7], "the timestep 7 is none of its features'"),
    (("method", "members"), 3, "the method has 3 members, its classifier 2"),
    (("method", "members"), 0, "members is 0"),
    (("method", "members"), 10**6, "members is 1000000"),
    (("method", "name"), "\x1b[31mred", "cannot be printed"),
    (("method", "name"), "x" * 5000, "cannot be printed"),
    (("method", "pixels_per_batch"), 0, "pixels per batch is 0"),
    (("parameters", "members"), 10**6, "its classifier 1000000"),
    (("parameters", "hidden"), [10**9], "its arrays|it should be"),
    (("parameters", "hidden"), [-1], "hidden layers of -1"),
    (("parameters", "hidden"), [1.5], "hidden"),
    (("parameters", "hidden"), "wide", "hidden"),
    (("parameters", "vote"), "dictate", "vote"),
    (("parameters", "learning_rate"), NAN, "no finite number"),
    (("parameters", "class_weight"), {"0": NAN}, "no finite number"),
    (("parameters", "class_weight"), {"0": "much"}, "class_weight"),
    (("parameters", "iterations"), "many", "iterations"),
    (("settings", "levels"), [], "levels are none"),
    (("settings", "levels", 1, "name"), "level0", "two of one name"),
    (("settings", "levels", 1, "name"), "a\nb", "cannot be printed"),
    (("settings", "levels", 0, "channels"), 0, "channels of a level is 0"),
    (("settings", "levels", 0, "channels"), 10**9, "channels of a level"),
    (("settings", "levels", 0, "stride"), 0, "stride of a level is 0"),
    (("settings", "levels", 0, "stride"), 64, "stride of a level is 64"),
    (("settings", "image_size"), 10**9, "image size"),
    (("settings", "image_channels"), 0, "image channels"),
    (("settings", "draws"), 0, "draws"),
    (("settings", "timesteps"), [1, 50, 400, 400], "each once"),
    (("settings", "input_range"), [NAN, 1.0], "not finite"),
    (("settings", "input_range"), [1.0], "input_range"),
    (("settings", "intensity_range"), [0.0, float("inf")], "not finite"),
    (("settings", "upsampling"), "cubic", "upsampling"),
    (("arithmetic", "batch_size"), 0, "batch size"),
    (("arithmetic", "batch_size"), 10**9, "batch size"),
    (("arithmetic", "threads"), -1, "threads"),
    (("arithmetic", "processor"), "\0", "cannot be printed"),
    (("storage", "dtype"), "object", "dtype"),
    (("weights", "values"), [[0.0, 0.0, 0.0]], "of other voters"),
    (("weights", "timesteps"), [1, 50, 401], "of other voters"),
    (("weights", "values", 0, 0), NAN, "finite"),
    (("calibration", "temperature"), NAN, "temperature"),
    (("calibration", "temperature"), float("inf"), "temperature"),
    (("calibration", "temperature"), 0, "temperature"),
    (("calibration", "rule"), "guess", "rule"),
    (("provenance", "images"), 3, "images"),
    (("provenance", "labels_used"), "all", "labels_used"),
    (("provenance",), [], "provenance"),
    (("parameters", "seed"), "DEEP", "nested deeper"),
    (("name",), "two\nlines", "its name is"),
    (("class_names",), ["lung"], "class_names are 1 for 2 classes"),
    (("class_names",), ["lung", "two\nlines"], "class_names hold something"),
    (("class_names",), 3, "class_names"),
    (("class_colours",), ["#ff8000", "red"], "class_colours hold something that is no colour"),
    (("settings", "crop"), 0, "crop is 0"),
    (("settings", "axis"), "oblique", "axis"),
    (("settings", "channel_names"), ["flair", "t1"], "channel_names are .* no names of 1 channels"),
    (("settings", "normalisation"), {"method": "zscore"}, "normalisation has 0 means and 0 deviations for 1 channels"),
    (("settings", "normalisation"), {"method": "quantile", "low": 0.9, "high": 0.1}, "normalisation has the quantiles"),
]


@pytest.mark.parametrize(("way", "value", "said"), WRONG)
def test_a_value_that_is_wrong_is_refused_in_a_line_that_names_the_head(head, way, value, said):
    write(head, *way, value=value)
    with pytest.raises(
        TedmError, match=rf"^the head [^\n]*head is damaged \([^\n]*(?:{said})[^\n]*\); fit it again with tedm-fit$"
    ):
        load_head(head)


@pytest.mark.parametrize(
    "way",
    [
        ("normalisation",),
        ("method", "temperature"),
        ("settings", "noise_kind"),
        ("settings", "levels", 0, "kind"),
        ("weights", "x"),
    ],
)
def test_a_setting_that_is_not_known_is_a_newer_tedms(head, way):
    write(head, *way, value="z-score")
    name = ".".join(part for part in way if isinstance(part, str))
    with pytest.raises(TedmError, match=rf"has a setting '{name}' that .* does not know; install a newer tedm$"):
        load_head(head)


def test_a_newer_format_is_a_newer_tedms(head):
    write(head, "format", value=2)
    with pytest.raises(TedmError, match="has a format that this version of tedm does not know; install a newer tedm"):
        load_head(head)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 10**6, b"null", b'{"format": 1}'])
def test_a_description_that_is_none_is_damaged(head, content):
    (head / "head.json").write_bytes(content)
    with pytest.raises(TedmError, match=r"is damaged \([^\n]*\)"):
        load_head(head)


@pytest.mark.parametrize("what", ["gone", "empty", "folder", "pipe", "device"])
def test_weights_that_are_no_file_are_damaged_and_not_waited_for(head, what):
    weights = head / "weights.safetensors"
    weights.unlink()
    if what == "empty":
        weights.touch()
    elif what == "folder":
        weights.mkdir()
    elif what == "pipe":
        os.mkfifo(weights)
    elif what == "device":
        weights.symlink_to("/dev/zero")
    with pytest.raises(TedmError, match=r"is damaged \([^\n]*\)"):
        load_head(head)


def test_heads_of_before_are_described(folders):
    assert {read_description(folder).format for folder in folders.iterdir()} == {1}
