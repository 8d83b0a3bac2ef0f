"""What a study asks for: settings that contradict each other are none."""

from __future__ import annotations

import pytest

from tedm.errors import TedmError
from tedm.study.trial.spec import FeaturesAsked, MethodAsked, ScoreAsked, without_runs


def test_images_may_be_one_place_or_several() -> None:
    assert FeaturesAsked(images="a", checkpoint="c").sources == ("a",)
    assert FeaturesAsked(images=("a", "b"), checkpoint="c").sources == ("a", "b")
    assert FeaturesAsked(store="s").sources == ()


def test_a_method_without_its_sizes_and_seeds_has_the_same_head() -> None:
    method = MethodAsked("ledm", members=3, iterations=7, sizes=(1,), seeds=(2,))
    bare = without_runs(method)
    assert (bare.sizes, bare.seeds) == (None, None)
    assert bare.settled() == method.settled()
    assert bare.unfitted().get_params() == method.unfitted().get_params()
    assert method.settled().members == 3
    assert method.options.iterations == 7


def test_a_unit_is_computed_in_float32_where_nothing_else_is_asked_and_there_is_a_choice() -> None:
    assert MethodAsked("tedm").fitted_with.precision == "float32"
    assert MethodAsked("jury", precision="auto").fitted_with.precision == "auto"
    assert MethodAsked("ledme", precision="bfloat16").fitted_with.precision == "bfloat16"
    assert MethodAsked("unet").fitted_with.precision == MethodAsked("jury").fitted_with.precision == "float32"
    assert MethodAsked("timestep:50").fitted_with == MethodAsked("timestep:50").options


def test_a_method_as_published_is_what_tedm_fit_makes_of_it() -> None:
    published = MethodAsked("ledm", as_published=True)
    assert (published.settled().members, published.settled().published) == (1, True)
    assert published.unfitted().needs_validation()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FeaturesAsked(), "name a store that is there, or images and the checkpoint"),
        (lambda: FeaturesAsked(images="a"), "name a store that is there, or images and the checkpoint"),
        (lambda: FeaturesAsked(images="a", checkpoint="c", normalise="quantile", percentiles=(50, 200)), "from 0 to 100"),
        (lambda: FeaturesAsked(images="a", checkpoint="c", deviations=2), 'for normalise = "zscore"'),
        (lambda: ScoreAsked(tolerance=2.0), "are for whole volumes"),
        (lambda: ScoreAsked(volumes="v", tolerance=2.0), "add distances = true"),
        (lambda: MethodAsked("tedm", name="tedm@50"), "has an @"),
        (lambda: MethodAsked("tedm", name=" tedm"), "cannot stand in a table"),
        (lambda: MethodAsked("tedm", name="///"), "give another one with name"),
        (lambda: MethodAsked("timestep:x"), "there is no method 'timestep:x'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(make, message: str) -> None:
    with pytest.raises(TedmError, match=message):
        make()
