from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tedm.errors import TedmError
from tedm.heads.data.subsets import first_groups, first_images

NAMES = [f"p{patient}_s{index}" for patient in range(5) for index in range(3)]
GROUPS = [f"p{patient}" for patient in range(5) for _ in range(3)]

cohorts = st.lists(
    st.tuples(st.text(max_size=4), st.sampled_from(["", "a", "b", "c"])), unique_by=lambda image: image[0], min_size=1
)
seeds = st.integers(0, 2**63)


@given(cohorts, seeds, st.data())
def test_subsets_are_nested(cohort: Any, seed: Any, data: Any) -> None:
    names, groups = zip(*cohort, strict=True)
    larger = data.draw(st.integers(1, len(names)))
    smaller = data.draw(st.integers(1, larger))
    assert first_images(names, groups, smaller, seed) == first_images(names, groups, larger, seed)[:smaller]
    assert first_images(names, groups, larger, seed) == first_images(names, groups, None, seed)[:larger]


@given(cohorts, seeds, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(cohort: Any, seed: Any, random: Any) -> None:
    shuffled = random.sample(cohort, len(cohort))
    names, groups = zip(*cohort, strict=True)
    other_names, other_groups = zip(*shuffled, strict=True)
    assert first_images(names, groups, None, seed) == first_images(other_names, other_groups, None, seed)


@given(cohorts, seeds)
def test_all_images_come_once_and_group_by_group(cohort: Any, seed: Any) -> None:
    group_of = dict(cohort)
    order = first_images(list(group_of), list(group_of.values()), None, seed)
    assert sorted(order) == sorted(group_of)
    runs = [group for group, _ in groupby(group_of[name] or f"alone {name}" for name in order)]
    assert len(runs) == len(set(runs))


@given(cohorts, seeds)
def test_an_image_less_leaves_the_order_of_the_others(cohort: Any, seed: Any) -> None:
    names, groups = zip(*cohort, strict=True)
    without = [name for name in first_images(names, groups, None, seed) if name != names[0]]
    assert without == first_images(names[1:], groups[1:], None, seed)


def test_seeds_differ_in_the_order_of_groups_and_inside_a_group() -> None:
    orders = [first_images(NAMES, GROUPS, None, seed) for seed in range(20)]
    assert len({tuple(dict.fromkeys(name[:2] for name in order)) for order in orders}) > 10
    assert len({tuple(name for name in order if name.startswith("p0")) for order in orders}) == 6


def test_the_permutation_is_pinned() -> None:
    assert first_images(NAMES, GROUPS, 5, seed=7) == ["p4_s2", "p4_s0", "p4_s1", "p0_s0", "p0_s1"]


def test_an_image_without_a_group_is_a_group_of_its_own() -> None:
    firsts = {first_images(NAMES, [""] * len(NAMES), 2, seed)[1][:2] for seed in range(30)}
    assert firsts == {"p0", "p1", "p2", "p3", "p4"}


@pytest.mark.parametrize(("n", "message"), [(16, "only 15 to choose from"), (0, "at least 1"), (-3, "at least 1")])
def test_sizes_that_are_not_there_are_refused(n: Any, message: Any) -> None:
    with pytest.raises(TedmError, match=message):
        first_images(NAMES, GROUPS, n, 0)


def test_a_name_that_comes_twice_is_refused() -> None:
    with pytest.raises(TedmError, match="more than once: a"):
        first_images(["a", "b", "a"], ["x", "y", "z"], 1, 0)


def test_each_image_needs_a_group() -> None:
    with pytest.raises(TedmError, match="3 names and 2 groups"):
        first_images(["a", "b", "c"], ["x", "y"], 1, 0)


grouped = cohorts.filter(lambda cohort: any(group for _, group in cohort))


@given(grouped, seeds, st.data())
def test_subsets_of_groups_are_whole_and_nested_and_those_of_the_same_permutation(cohort: Any, seed: Any, data: Any) -> None:
    names, groups = zip(*cohort, strict=True)
    of = {name: group or f"alone {name}" for name, group in cohort}
    larger = data.draw(st.integers(1, len(set(of.values()))))
    smaller = data.draw(st.integers(1, larger))
    chosen = first_groups(names, groups, larger, seed)
    assert len({of[name] for name in chosen}) == larger
    assert sorted(chosen) == sorted(name for name in names if of[name] in {of[each] for each in chosen})
    assert chosen == first_images(names, groups, len(chosen), seed)
    few = first_groups(names, groups, smaller, seed)
    assert few == chosen[: len(few)]


@given(grouped, seeds, st.data())
def test_images_of_some_groups_come_in_turn_and_are_nested(cohort: Any, seed: Any, data: Any) -> None:
    names, groups = zip(*cohort, strict=True)
    of = {name: group or f"alone {name}" for name, group in cohort}
    n = data.draw(st.integers(1, len(set(of.values()))))
    every = first_groups(names, groups, n, seed)
    images = data.draw(st.integers(1, len(every)))
    chosen = first_groups(names, groups, n, seed, images=images)
    assert len(set(chosen)) == images
    assert set(chosen) <= set(every)
    assert len({of[name] for name in chosen}) == min(images, n)
    assert chosen == first_groups(names, groups, n, seed, images=len(every))[:images]


def test_the_permutation_of_groups_is_pinned() -> None:
    assert first_groups(NAMES, GROUPS, 2, seed=7) == ["p4_s2", "p4_s0", "p4_s1", "p0_s0", "p0_s1", "p0_s2"]
    assert first_groups(NAMES, GROUPS, 2, seed=7, images=3) == ["p4_s2", "p0_s0", "p4_s0"]


@pytest.mark.parametrize(
    ("groups", "n", "images", "message"),
    [
        (GROUPS, 6, None, "there are only 5 to choose from; ask for at most 5"),
        (GROUPS, 0, None, "cannot train on 0 groups: ask for at least 1"),
        (GROUPS, 2, 7, "cannot train on 7 images of 2 groups: these have 6; ask for 1 to 6"),
        (GROUPS, 2, 0, "cannot train on 0 images of 2 groups"),
        ([""] * 15, 2, None, "none of these 15 images has one; give patients in the manifest's column group or patient"),
    ],
)
def test_groups_that_are_not_there_are_refused(groups: Any, n: int, images: Any, message: str) -> None:
    with pytest.raises(TedmError, match=message):
        first_groups(NAMES, groups, n, 0, images=images)


@given(grouped, seeds, st.data())
def test_the_first_of_the_list_are_taken_whatever_the_seed(cohort: Any, seed: Any, data: Any) -> None:
    names, groups = zip(*cohort, strict=True)
    n = data.draw(st.integers(1, len(names)))
    assert first_images(names, groups, n, seed, order="manifest") == list(names[:n])
    assert first_images(names, groups, None, seed, order="manifest") == list(names)


def test_the_first_groups_of_the_list_come_with_all_their_images() -> None:
    names, groups = ["b1", "a1", "x", "b2", "a2"], ["b", "a", "", "b", "a"]
    assert first_groups(names, groups, 2, 7, order="manifest") == ["b1", "b2", "a1", "a2"]
    assert first_groups(names, groups, 3, 7, order="manifest", images=4) == ["b1", "a1", "x", "b2"]


def test_another_order_is_refused() -> None:
    with pytest.raises(TedmError, match="there is no --order 'random'; choose one of seed, manifest"):
        first_images(NAMES, GROUPS, 2, 0, order="random")  # type: ignore[arg-type]
