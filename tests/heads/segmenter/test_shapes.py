"""Smoothing leaves probabilities probabilities; specks are what is much smaller than any part that the labels show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tedm.errors import TedmError
from tedm.heads import committee_of, evaluate, fit, load_head, method_named, predict, save_head
from tedm.heads.segmenter.shapes import smallest_parts, smoothed, without_specks
from tedm.store import IGNORE, FeatureStore

SIZE = 12


def drawn(*rectangles: tuple[int, int, int, int], value: int = 1) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for top, left, height, width in rectangles:
        mask[top : top + height, left : left + width] = value
    return mask


def sure_of(mask: np.ndarray, classes: int = 2) -> np.ndarray:
    """Probabilities of 0.8 for what a mask shows."""
    others = 0.2 / (classes - 1)
    return np.where(mask.reshape(-1, 1) == np.arange(classes), 0.8, others)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 3))
def test_smoothed_probabilities_sum_to_one_and_stay_between_those_there_were(seed: int, deviation: float) -> None:
    opinions = np.random.default_rng(seed).dirichlet([1, 1, 1], size=(2, SIZE * SIZE)).astype(np.float32)
    smooth = smoothed(opinions, SIZE, deviation)
    assert smooth.shape == opinions.shape
    np.testing.assert_allclose(smooth.sum(-1), 1, atol=1e-5)
    assert smooth.min() >= opinions.min() - 1e-6
    assert smooth.max() <= opinions.max() + 1e-6


def test_smoothing_is_of_the_image_and_not_across_voters_or_classes() -> None:
    opinions = np.zeros((2, SIZE * SIZE, 2), np.float32)
    opinions[0, 5 * SIZE + 5, 1] = 1
    smooth = smoothed(opinions, SIZE, 1.0).reshape(2, SIZE, SIZE, 2)
    assert smooth[1].max() == 0
    assert smooth[..., 0].max() == 0
    assert smooth[0, 5, 6, 1] == pytest.approx(smooth[0, 6, 5, 1])
    assert smooth[0, 5, 6, 1] > smooth[0, 6, 6, 1] > 0


def test_the_smallest_part_is_found_over_images_by_class_without_strays_and_what_is_cut_off() -> None:
    one = drawn((0, 0, 5, 5), (6, 6, 4, 4))
    one[11, 0] = 1  # a stray: a pixel beside 41
    other = drawn((0, 0, 3, 3))
    other[0, 3] = IGNORE  # what lies under it is not known
    two = drawn((2, 2, 3, 3), value=2)
    assert smallest_parts([one, other, two], 4) == (0, 16, 9, 0)


def test_a_speck_and_only_that_becomes_background() -> None:
    mask = drawn((0, 0, 5, 5), (8, 8, 1, 2))
    mask[10, 2] = 2
    probabilities = sure_of(mask, 3)
    cleaned = without_specks(probabilities, SIZE, (0, 3, 1))
    np.testing.assert_array_equal(cleaned.argmax(-1).reshape(SIZE, SIZE), np.where(mask == 2, 2, drawn((0, 0, 5, 5))))
    np.testing.assert_allclose(cleaned.sum(-1), 1)
    changed = (cleaned != probabilities).any(-1)
    assert changed.sum() == 2


@pytest.mark.parametrize("limits", [(), (0, 0), (0, 2)])
def test_where_nothing_is_a_speck_the_same_array_comes_back(limits: tuple[float, ...]) -> None:
    probabilities = sure_of(drawn((0, 0, 1, 2), (5, 5, 4, 4)))
    assert without_specks(probabilities, SIZE, limits) is probabilities


def test_a_head_keeps_what_it_learned_of_parts_and_predicts_and_scores_by_it(
    make_split_store: Callable[..., FeatureStore], tmp_path: Path
) -> None:
    store = make_split_store()
    head = fit(store, method_named("timestep:50", smoothing=1, specks=0.5), images=2)
    names = [image.name for image in head.provenance.learned_from]
    classes = len(store.labels.classes)
    assert head.smallest_parts == smallest_parts(map(store.mask, names), classes)
    save_head(head, tmp_path / "head")
    again = load_head(tmp_path / "head")
    assert (again.method, again.smallest_parts) == (head.method, head.smallest_parts)
    plain = replace(head, method=replace(head.method, smoothing=0.0, specks=0.0))
    (shown,) = predict(store, {"a": head}, names[:1])
    (unchanged,) = predict(store, {"a": plain}, names[:1])
    size = store.settings.image_size
    by_hand = smoothed(unchanged.probabilities.reshape(1, -1, classes), size, 1.0)[0]
    by_hand = without_specks(by_hand, size, [0.5 * each for each in head.smallest_parts])
    np.testing.assert_allclose(shown.probabilities.reshape(-1, classes), by_hand, atol=1e-6)
    scored = evaluate(store, {"a": again}, split="test")
    assert scored == evaluate(store, {"a": head}, split="test")


@pytest.mark.parametrize(
    ("setting", "value"), [("smoothing", -1.0), ("smoothing", float("nan")), ("specks", 1.5), ("specks", -0.1)]
)
def test_what_is_out_of_range_is_refused_by_the_name_of_its_option(setting: str, value: float) -> None:
    with pytest.raises(TedmError, match=f"--{setting} is"):
        method_named("tedm", **{setting: value})


def test_a_committee_is_smoothed_as_its_parts_ask_and_refuses_parts_that_differ() -> None:
    parts = [method_named(name, smoothing=1, specks=0.1) for name in ("tedm", "ledm")]
    both = committee_of("both", parts)
    assert (both.smoothing, both.specks) == (1.0, 0.1)
    assert not any("smoothing" in part for part in both.settings["parts"])
    with pytest.raises(TedmError, match="smoothed and cleaned alike"):
        committee_of("both", [parts[0], method_named("ledm")])


def test_a_committee_draws_pixels_as_its_parts_do_and_refuses_parts_that_differ() -> None:
    parts = [replace(method_named(name), sampling="root") for name in ("tedm", "ledm")]
    both = committee_of("both", parts)
    assert both.sampling == "root"
    assert not any("sampling" in part for part in both.settings["parts"])
    with pytest.raises(TedmError, match="parts of a committee learn from pixels drawn alike; these draw them root, uniform"):
        committee_of("both", [parts[0], method_named("ledm")])
