"""The default method by the number of training images: one name, two forms, and nobody else's settings changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import committee_of, fit, load_head, method_named, names_in_records, save_head
from tedm.heads.base.head import HeadOptions
from tedm.heads.segmenter import by_number as rule
from tedm.heads.segmenter.by_number import MANY, PIXELS, as_asked, by_number, for_many_images
from tedm.heads.segmenter.methods import DEFAULT, JURIES, METHODS

JUST = HeadOptions()


@pytest.mark.parametrize("name", JURIES)
def test_the_default_and_its_fast_variant_are_committees_from_so_many_images_on_and_called_the_same(name):
    few = method_named(name)
    assert by_number(few, MANY - 1, JUST, None) == few
    many = by_number(few, MANY, JUST, None)
    assert (many.name, many.head, many.timesteps, many.sampling, many.specks) == (
        few.name, "committee", few.timesteps, few.sampling, few.specks,
    )  # fmt: skip
    networks, probe = many.settings["parts"]
    assert (networks["head"], networks["members"], networks["pixels_per_batch"]) == ("mlp", 3, 512)
    assert (probe["head"], probe["timesteps"], probe["pixels_per_image"]) == ("logistic", [50], PIXELS)
    assert as_asked(many) == as_asked(few) == few


def test_the_fast_variant_is_the_default_at_two_timesteps_and_a_name_of_its_own():
    usual, fast = METHODS[DEFAULT], METHODS["jury-fast"]
    assert replace(fast, name=DEFAULT, timesteps=usual.timesteps) == usual
    assert fast.timesteps == (1, 50)


def test_the_fast_variant_with_another_head_has_settings_of_its_own_and_not_the_defaults(store, tmp_path):
    head = fit(store, method_named("jury-fast", head="logistic", timesteps=(1, 50), views=0), images=2)
    assert names_in_records({"head": head}) == {"head": "jury-fast-logistic"}


def test_views_and_shapes_that_are_asked_for_stay_as_they_are():
    asked = method_named(DEFAULT, views=2, smoothing=1.5, specks=0.0)
    many = by_number(asked, MANY, JUST, None)
    assert (many.views, many.smoothing, many.specks, many.head) == (2, 1.5, 0.0, "committee")
    assert as_asked(many) == asked


@pytest.mark.parametrize("changed", [{"members": 5}, {"vote": "soft"}, {"timesteps": (1, 50)}, {"head": "logistic"}])
def test_what_else_is_asked_for_is_done_whatever_the_number(changed):
    asked = method_named(DEFAULT, **changed)
    assert by_number(asked, 10 * MANY, JUST, None) == asked
    assert as_asked(asked) == asked


def test_options_of_the_networks_keep_the_default_what_it_is():
    few = method_named(DEFAULT)
    for options, params in (
        (HeadOptions(pixels_per_batch=128), None),
        (HeadOptions(learning_rate=1e-3), None),
        (JUST, {"hidden": [8]}),
    ):
        assert by_number(few, MANY, options, params) == few
    assert by_number(few, MANY, HeadOptions(iterations=10, class_weight="balanced"), {}) == for_many_images(few)
    other = method_named("tedm")
    assert by_number(other, MANY, JUST, None) == other


def test_heads_of_few_and_of_many_images_are_one_method_in_a_table(store, tmp_path, monkeypatch):
    monkeypatch.setattr(rule, "MANY", 3)
    quick = {"iterations": 20, "seed": 1}
    default = method_named(DEFAULT, views=0)
    monkeypatch.setitem(rule.METHODS, DEFAULT, replace(rule.METHODS[DEFAULT], timesteps=(1, 10, 50)))
    default = replace(default, timesteps=(1, 10, 50))
    few, many = fit(store, default, images=2, **quick), fit(store, default, images=4, **quick)
    assert (few.method.head, many.method.head) == ("mlp", "committee")
    save_head(many, tmp_path / "many")
    loaded = load_head(tmp_path / "many")
    block = store.block(store.labels.names[0])
    np.testing.assert_array_equal(loaded.probabilities(block), many.probabilities(block))
    assert names_in_records({"few": few, "many": loaded}) == {"few": DEFAULT, "many": DEFAULT}
    longer = fit(store, default, images=4, iterations=21, seed=1)
    assert names_in_records({"a": many, "b": longer}) == {"a": f"{DEFAULT}, iterations 20", "b": f"{DEFAULT}, iterations 21"}
    own = fit(store, default, images=4, pixels_per_image=60, **quick)
    assert names_in_records({"a": many, "b": own}) == {"a": DEFAULT, "b": f"{DEFAULT}, pixels per image 60"}


def test_a_part_that_learns_from_some_pixels_is_what_its_method_alone_would_be(store):
    probe, networks = method_named("timestep:10"), method_named("ledm", timesteps=[1, 10], members=1)
    both = committee_of(
        "both", [replace(networks, settings={"hidden": [8], "iterations": 10}), probe], pixels_per_image={probe.name: 40}
    )
    made = fit(store, both, images=2, seed=3)
    alone, all_pixels = (fit(store, probe, images=2, seed=3, pixels_per_image=pixels) for pixels in (40, None))
    block = store.block(store.labels.names[-1])
    opinion = made.estimator.opinions(block, "concatenate")[1]
    np.testing.assert_array_equal(opinion, alone.probabilities(block).reshape(opinion.shape))
    assert np.abs(opinion - all_pixels.probabilities(block).reshape(opinion.shape)).max() > 1e-3
    assert made.estimator.constructor()["parts"][1]["pixels_per_image"] == 40
    assert "pixels_per_image" not in made.estimator.constructor()["parts"][0]
    with pytest.raises(TedmError, match="pixels_per_image is 0; it should be 1 to"):
        committee_of("both", [networks, probe], pixels_per_image={probe.name: 0})
