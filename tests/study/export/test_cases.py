"""What becomes a case, what is left out, and which cases nnU-Net validates on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tedm.errors import TedmError
from tedm.store import Labels, Slice, Volume
from tedm.store.volumes.volume import NO_SLICE
from tedm.study.export.cases import cases_of, folds_of

EYE = ((1.0, 0, 0, 0), (0, 1.0, 0, 0), (0, 0, 1.0, 0), (0, 0, 0, 1.0))
VOLUME = Volume("v", (4, 5, 3), EYE, (2, 1, 0), (True, False, False))


def pictures(splits: str, groups: str = "", labelled: str = "", names: tuple[str, ...] = ()) -> Labels:
    """Pictures called a, b, ...; a letter of `splits` for each (t, v, s for the split test, - for none)."""
    of = {"t": "train", "v": "val", "s": "test", "-": ""}
    count = len(splits)
    return Labels(
        names or tuple("abcdefghijkl"[:count]),
        tuple(of[each] for each in splits),
        tuple(groups or [""] * count),
        ("here",) * count,
        ((8, 8),) * count,
        tuple(map(int, labelled or "9" * count)),
        (0, 1),
    )


def slices(indices: tuple[int, ...], split: str = "t") -> Labels:
    """Slices of one volume that is counted against its axis."""
    labels = pictures(split * len(indices))
    return replace(labels, volumes=(VOLUME,), slices=tuple(Slice(0, index) for index in indices))


def test_cases_are_the_pictures_that_can_be_used():
    cases, remarks = cases_of(pictures("tv-sts", labelled="990900"), "store")
    assert [(case.name, case.split, case.labelled) for case in cases] == [
        ("a", "train", True),
        ("b", "val", True),
        ("d", "test", True),
        ("f", "test", False),
    ]
    assert remarks == [
        "1 case (c) left out: of no split; tedm-label gives them one",
        "1 case (e) of the splits train and val left out: they have no mask, and nnU-Net takes none without",
    ]


def test_slices_are_one_case_in_the_order_in_which_they_are_counted():
    (case,), remarks = cases_of(slices((1, 0, 2)), "store")
    assert (case.name, case.images, [each.index for each in case.slices]) == ("v", ("c", "a", "b"), [2, 1, 0])
    assert remarks == []


def test_slices_of_another_crop_are_a_case_of_their_own():
    labels = slices((0, 1, 2))
    labels = replace(labels, slices=(*labels.slices[:2], Slice(0, 2, 1, 1, 3, 3)))
    cases, _ = cases_of(labels, "store")
    assert [(case.name, case.images) for case in cases] == [("v-part1", ("b", "a")), ("v-part2", ("c",))]


def test_slices_at_an_end_that_are_not_there_leave_one_case():
    (case,), (remark,) = cases_of(slices((1, 2)), "store")
    assert (case.name, len(case.images)) == ("v", 2)
    assert remark.startswith("1 volume (v) not whole in the store")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (pictures("vvss"), "store has no labelled image of the split train, and nnU-Net learns from nothing else"),
        (pictures("tts", labelled="009"), "store has no labelled image of the split train"),
        (replace(slices((0, 1, 2)), slices=(Slice(0, 0), Slice(0, 1), NO_SLICE)), "holds 1 picture and 2 slices of volumes"),
        (pictures("tt", names=("A", "a")), "images 'A' and 'a' would both become A and a, the same file on some systems"),
        (pictures("tt", names=("a/b", "c")), "the name cannot be a file's name"),
        (pictures("tt", names=("x" * 201, "c")), "too long to become a file's name"),
    ],
)
def test_what_cannot_become_a_data_set_is_refused(labels, message):
    with pytest.raises(TedmError) as caught:
        cases_of(labels, "store")
    assert message in str(caught.value)


def test_one_fold_is_the_split_of_train_and_val():
    cases, _ = cases_of(pictures("tvts"), "store")
    assert folds_of(cases) == [{"train": ["a", "c"], "val": ["b"]}]


def test_folds_keep_groups_together_where_there_is_no_val():
    cases, _ = cases_of(pictures("ttttts", "pqpqrs"), "store")
    assert folds_of(cases) == [
        {"train": ["b", "d", "e"], "val": ["a", "c"]},
        {"train": ["a", "c", "e"], "val": ["b", "d"]},
        {"train": ["a", "b", "c", "d"], "val": ["e"]},
    ]


@pytest.mark.parametrize("groups", ["pqrs", "pppp"])
def test_there_is_nothing_to_say_of_folds_where_every_case_is_a_group_or_all_are_one(groups):
    cases, _ = cases_of(pictures("tttt", groups), "store")
    assert folds_of(cases) == []
