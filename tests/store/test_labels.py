"""Who is in a collection, and who is chosen from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tedm.errors import TedmError
from tedm.store import Labels

LABELS = Labels(
    names=("a", "b", "c", "d"),
    splits=("train", "test", "train", ""),
    groups=("p1", "p2", "p1", "p3"),
    domains=("here", "there", "there", ""),
    original_sizes=((8, 9), (8, 8), (7, 8), (6, 6)),
    labelled=(5, 0, 3, 0),
    classes=(0, 255),
)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, ["a", "b", "c", "d"]),
        ({"split": "train"}, ["a", "c"]),
        ({"domain": "there"}, ["b", "c"]),
        ({"split": "train", "domain": "there"}, ["c"]),
        ({"split": ""}, ["d"]),
        ({"labelled": True}, ["a", "c"]),
    ],
)
def test_images_are_chosen_by_split_domain_and_labels_in_order(asked, names):
    assert LABELS.select(**asked) == names


def test_a_choice_of_nothing_says_what_there_is():
    with pytest.raises(TedmError) as refused:
        LABELS.select(split="test", domain="there", labelled=True)
    assert str(refused.value) == (
        "there is no labelled image of split 'test' and domain 'there'\n"
        "  4 images: no domain no split: 1 (0 labelled), here train: 1 (1 labelled), "
        "there test: 1 (0 labelled), there train: 1 (1 labelled)\n"
        "Choose another split or domain, or add masks and splits with tedm-label."
    )


def test_groups_and_positions_are_found_by_name():
    assert LABELS.group_of(["d", "a"]) == ["p3", "p1"]
    assert [LABELS.index(name) for name in LABELS.names] == [0, 1, 2, 3]
    with pytest.raises(TedmError, match="there is no image z among these 4 images"):
        LABELS.index("z")


def test_classes_are_called_by_their_names_or_their_values():
    assert LABELS.called == ("class 0", "class 255")
    assert replace(LABELS, class_names=("", "left lung")).called == ("class 0", "left lung")
