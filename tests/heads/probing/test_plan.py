"""A plan names what is fitted and scored, and refuses what cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads.probing.plan import plan_probes

TRAIN, VAL, TEST = tuple("abcde"), tuple("fg"), tuple("hijk")


def test_subsets_of_one_class_are_left_out_and_named(store, relabel):
    only = {name: {"mask": np.zeros((8, 8), np.uint8)} for name in TRAIN[:2]}
    found = plan_probes(relabel(store, **only), sizes=(1, None), repeats=5)
    left = [subset.repeat for subset in found.subsets if subset.n == 1]
    assert 0 < len(left) < 5
    assert len(found.remarks) == 5 - len(left)
    assert all("was left out: its images show class 0 only" in remark for remark in found.remarks)
    every = {name: {"mask": np.zeros((8, 8), np.uint8)} for name in TRAIN}
    with pytest.raises(TedmError, match="no subset of 5 training images shows two classes"):
        plan_probes(relabel(store, **every), sizes=(None,))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"sizes": (1, 6)}, r"--sizes asks for 6 training images and split 'train' has 5 with a mask"),
        ({"sizes": ()}, "--sizes is empty"),
        ({"repeats": 0}, "--repeats is 0; it must be at least 1"),
        ({"by": "draw"}, "--by is 'draw'; it must be one of timestep, level, timestep,level"),
        ({"domain": "moon"}, "there is no labelled image of split 'train' and domain 'moon'"),
        ({"test": "train"}, r"5 of these .* to be learned from and scored on \(the first: a\): a is the same picture as a"),
        ({"train": "val"}, r"2 of these .* to be learned from and chosen on \(the first: f\): f is the same picture as f"),
        ({"test": "val"}, r"2 of these .* to be chosen on and scored on \(the first: f\): f is the same picture as f"),
    ],
)
def test_what_cannot_be_probed_is_refused(store, asked, message):
    with pytest.raises(TedmError, match=message):
        plan_probes(store, **asked)


def test_a_group_that_would_be_learned_from_and_scored_on_is_refused(store, relabel):
    with pytest.raises(TedmError, match=r"to be learned from and scored on .*: h is of the same group p0 as a; .*one split"):
        plan_probes(relabel(store, h={"group": "p0"}))


def test_a_group_that_would_be_chosen_on_is_neither_learned_from_nor_scored_on(store, relabel):
    with pytest.raises(TedmError, match=r"to be learned from and chosen on .*: f is of the same group p0 as a"):
        plan_probes(relabel(store, f={"group": "p0"}))
    with pytest.raises(TedmError, match=r"to be chosen on and scored on .*: h is of the same group p5 as f"):
        plan_probes(relabel(store, h={"group": "p5"}))


def test_a_store_without_masks_is_refused(store, relabel):
    nothing = {name: {"mask": np.full((8, 8), 255, np.uint8)} for name in (*TRAIN, *VAL, *TEST)}
    with pytest.raises(TedmError, match="there is no labelled image of split 'train'"):
        plan_probes(relabel(store, **nothing))


def test_probes_are_named_by_what_they_see(store):
    names = [probe.name for probe in plan_probes(store, by="timestep,level").probes]
    assert names[:5] == ["timestep:1", "timestep:50", "timestep:400", "level:level0", "level:level1"]
    assert names[5:7] == ["timestep:1/level0", "timestep:50/level0"]
    assert len(names) == 11


def test_subsets_are_nested_within_a_repeat_and_all_images_have_one(store):
    plan = plan_probes(store, sizes=(None, 1, 3), repeats=2)
    assert [(subset.n, subset.repeat) for subset in plan.subsets] == [(1, 0), (1, 1), (3, 0), (3, 1), (5, 0)]
    for repeat in (0, 1):
        one, three = (next(s.images for s in plan.subsets if (s.n, s.repeat) == (n, repeat)) for n in (1, 3))
        assert one == three[:1]
    assert (plan.scored, plan.val) == ((*VAL, *TEST), 2)


def test_the_first_images_of_the_list_are_one_subset_of_each_size(store):
    plan = plan_probes(store, sizes=(1, 3, None), repeats=4, order="manifest")
    assert [(subset.n, subset.images) for subset in plan.subsets] == [(n, TRAIN[:n]) for n in (1, 3, 5)]
    with pytest.raises(TedmError, match="there is no --order 'list'"):
        plan_probes(store, order="list")
