"""What labels and channels are called, and which names nnU-Net keeps for itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tedm.store import FeatureSettings, Labels, Level
from tedm.study.export.labelling import channel_names, label_names, remarks_on_names

SETTINGS = FeatureSettings("ab", (Level("l", 1, 2),), 16, 1, "pad", (-1.0, 1.0), None, "nearest", "none", 0, (1,), 1)


def labels(classes: tuple[int, ...], names: tuple[str, ...] = ()) -> Labels:
    return Labels((), (), (), (), (), (), classes, names)


@pytest.mark.parametrize(
    ("classes", "names", "called"),
    [
        ((0, 255), (), ["background", "class 255"]),
        ((0, 1, 2), ("background", "lung", "heart"), ["background", "lung", "heart"]),
        ((4, 5, 6), ("brain", "background", "ignore"), ["background", "background (class 5)", "ignore (class 6)"]),
        ((0, 1, 2), ("none", "lung", "lung"), ["background", "lung", "lung (class 2)"]),
        ((0, 1, 2), ("none", "background (class 2)", "background"), ["background", "background (class 2)"]),
    ],
)
def test_every_label_has_a_name_of_its_own(classes, names, called):
    found = label_names(labels(classes, names))
    assert len(set(found)) == len(classes)
    assert found[: len(called)] == called
    assert "ignore" not in found


@pytest.mark.parametrize(
    ("changes", "called"),
    [
        ({}, ["image"]),
        ({"image_channels": 3}, ["R", "G", "B"]),
        ({"image_channels": 3, "axis": "axial"}, ["channel 1", "channel 2", "channel 3"]),
        ({"image_channels": 2, "channel_names": ("flair", "t1gd")}, ["flair", "t1gd"]),
        ({"image_channels": 2, "channel_names": ("CT", "noNorm")}, ["CT channel", "noNorm channel"]),
    ],
)
def test_no_channel_is_called_as_a_normalisation(changes, called):
    assert channel_names(replace(SETTINGS, **changes)) == called


def test_what_is_called_otherwise_is_said():
    settings = replace(SETTINGS, image_channels=2, channel_names=("CT", "pet"))
    assert remarks_on_names(settings, labels((0, 1))) == [
        "channel CT is called CT channel: by its own name nnU-Net would choose a normalisation"
    ]
    (said,) = remarks_on_names(SETTINGS, labels((7, 9)))
    assert said == "class 7, the store's first class, is the background: nnU-Net has no other label 0"
    (said,) = remarks_on_names(SETTINGS, labels((0, 9), ("skin", "lung")))
    assert said.startswith("skin (class 0), the store's first class")
    assert remarks_on_names(SETTINGS, labels((0, 9), ("background", "lung"))) == []
