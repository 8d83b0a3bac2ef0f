"""What the default method is made of: MLPs and a network, one name, and nobody else's settings changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.heads import committee_of, fit, load_head, method_named, names_in_records, predict, save_head
from tedm.heads.base.head import HeadOptions
from tedm.heads.segmenter import by_number as rule
from tedm.heads.segmenter.by_number import MANY, as_asked, by_number, is_jury, starts_from_weights, with_network
from tedm.heads.segmenter.methods import DEFAULT, JURIES, METHODS
from tedm.networks.pretrained import Pretrained

JUST = HeadOptions()


@pytest.fixture(autouse=True)
def monai():
    pytest.importorskip("monai")


@pytest.mark.parametrize("name", JURIES)
def test_the_default_and_its_fast_variant_are_mlps_and_a_network_and_the_mlps_others_from_so_many_images_on(name):
    asked = method_named(name)
    few, many = by_number(asked, MANY - 1, JUST, None), by_number(asked, MANY, JUST, None)
    for made, members, pixels, vote in ((few, 10, 64, "hard"), (many, 3, 512, "soft")):
        assert (made.name, made.head, made.timesteps, made.sampling, made.specks, made.views, made.vote) == (
            asked.name, "committee", asked.timesteps, asked.sampling, asked.specks, asked.views, "soft",
        )  # fmt: skip
        mlps, network = made.settings["parts"]
        assert (mlps["head"], mlps["members"], mlps["pixels_per_batch"], mlps["vote"]) == ("mlp", members, pixels, vote)
        assert (network["head"], network["timesteps"], network["settings"]) == ("unet", [], METHODS[JURIES[name]].settings)
        assert as_asked(made) == as_asked(asked) == asked
        assert is_jury(asked)
        assert not is_jury(made)


def test_methods_that_start_from_weights_are_those_that_train_some_further():
    starting = {"ddpm-finetune", "jury-finetune", "global-cl", "global-local-cl"}
    assert {name for name in METHODS if starts_from_weights(METHODS[name])} == starting & set(METHODS)
    assert starting <= set(METHODS)


def test_the_fast_variant_is_the_default_at_two_timesteps_and_a_name_of_its_own():
    usual, fast = METHODS[DEFAULT], METHODS["jury-fast"]
    assert replace(fast, name=DEFAULT, timesteps=usual.timesteps) == usual
    assert fast.timesteps == (1, 50)


def test_the_fast_variant_with_another_head_has_settings_of_its_own_and_not_the_defaults(store, tmp_path):
    head = fit(store, method_named("jury-fast", head="logistic", timesteps=(1, 50), views=0), images=2)
    assert names_in_records({"head": head}) == {"head": "jury-fast-logistic"}


def test_timesteps_views_and_shapes_that_are_asked_for_stay_as_they_are():
    asked = method_named(DEFAULT, views=2, smoothing=1.5, specks=0.0, timesteps=(1, 50))
    for images in (1, MANY):
        made = by_number(asked, images, JUST, None)
        assert (made.views, made.smoothing, made.specks, made.timesteps) == (2, 1.5, 0.0, (1, 50))
        assert made.head == "committee"
        assert as_asked(made) == asked


@pytest.mark.parametrize(
    "changed", [{"members": 5}, {"vote": "soft"}, {"rows": "share"}, {"head": "logistic"}, {"head": "mlp"}]
)
def test_what_else_is_asked_for_is_done_whatever_the_number(changed):
    asked = method_named(DEFAULT, **changed)
    assert by_number(asked, 1, JUST, None) == by_number(asked, 10 * MANY, JUST, None) == asked
    assert as_asked(asked) == asked


def test_options_of_the_mlps_alone_leave_the_network_out():
    asked = method_named(DEFAULT)
    for options, params in (
        (HeadOptions(pixels_per_batch=128), None),
        (HeadOptions(learning_rate=1e-3), None),
        (JUST, {"hidden": [8]}),
    ):
        assert by_number(asked, 3, options, params) == asked
    assert by_number(asked, 3, HeadOptions(iterations=10, class_weight="balanced"), {}) == with_network(asked, 3)
    other = method_named("tedm")
    assert by_number(other, MANY, JUST, None) == other


def test_heads_of_few_and_of_many_images_are_one_method_in_a_table_and_one_without_a_network_another(
    store, tmp_path, monkeypatch
):
    monkeypatch.setattr(rule, "MANY", 3)
    quick = {"iterations": 20, "seed": 1}
    default = method_named(DEFAULT, views=0, timesteps=(1, 10, 50))
    monkeypatch.setitem(rule.METHODS, DEFAULT, replace(rule.METHODS[DEFAULT], timesteps=(1, 10, 50)))
    few, many = fit(store, default, images=2, **quick), fit(store, default, images=4, **quick)
    assert [part["members"] for part in (few.method.settings["parts"][0], many.method.settings["parts"][0])] == [10, 3]
    save_head(many, tmp_path / "many")
    loaded = load_head(tmp_path / "many")
    names = store.labels.names[:1]
    (mine,), (same,) = (list(predict(store, {"h": head}, names)) for head in (many, loaded))
    np.testing.assert_array_equal(mine.probabilities, same.probabilities)
    assert names_in_records({"few": few, "many": loaded}) == {"few": DEFAULT, "many": DEFAULT}
    longer = fit(store, default, images=4, iterations=21, seed=1)
    assert names_in_records({"a": many, "b": longer}) == {"a": f"{DEFAULT}, iterations 20", "b": f"{DEFAULT}, iterations 21"}
    own = fit(store, default, images=4, pixels_per_image=60, **quick)
    assert names_in_records({"a": many, "b": own}) == {"a": DEFAULT, "b": f"{DEFAULT}, pixels per image 60"}
    alone = fit(store, default, images=2, learning_rate=1e-3, **quick)  # what the default was before
    assert alone.method.head == "mlp"
    assert names_in_records({"a": few, "b": alone}) == {"a": DEFAULT, "b": f"{DEFAULT}, network no"}


def test_one_that_is_named_for_its_network_is_not_fitted_without_it(store):
    asked = method_named("jury-finetune", views=0, timesteps=(1, 50))
    for method, options in ((asked, HeadOptions(learning_rate=1e-3)), (replace(asked, members=2), JUST)):
        with pytest.raises(TedmError, match="jury-finetune is its MLPs and a network that is trained further"):
            by_number(method, 3, options, None)
    with pytest.raises(TedmError, match="the part 'network' of the committee: .* starts from a checkpoint: name one with"):
        fit(store, asked, images=2, iterations=2)


def test_weights_are_for_the_one_that_starts_from_them(store):
    weights = Pretrained("diffusion", 8, (1, 2), 1, 8, {}, "ab" * 32)
    with pytest.raises(TedmError, match="--method jury starts from none; leave it out, or choose --method jury-finetune"):
        fit(store, method_named(DEFAULT, views=0, timesteps=(1, 50)), images=2, iterations=2, start=weights)


def test_the_default_is_the_vote_of_its_mlps_and_of_the_network_each_fitted_alone(store):
    quick = {"iterations": 12, "seed": 4, "images": 2}
    default = method_named(DEFAULT, views=0, timesteps=(1, 50), specks=0.0)
    together = fit(store, default, **quick)
    mlps = fit(store, replace(default, name="mlps"), **quick)
    network = fit(store, "unet", **quick)
    for name in store.labels.select(split="test"):
        each = [next(predict(store, {"h": one}, [name])).probabilities for one in (mlps, network)]
        both = next(predict(store, {"h": together}, [name])).probabilities
        np.testing.assert_allclose(both, np.mean(each, axis=0), atol=1e-6)


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
