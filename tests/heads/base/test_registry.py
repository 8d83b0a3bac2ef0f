"""Heads by name: made from options and parameters, made again from a folder's words, and refused where they do not exist."""

from __future__ import annotations

import pytest

from tedm.errors import TedmError
from tedm.heads.base.head import HeadOptions
from tedm.heads.base.registry import BUILT_IN, head_class, known_heads, make_head, remake_head


def test_options_are_arguments_by_the_heads_own_names():
    head = make_head("xgboost", HeadOptions(iterations=7, patience=2), {"max_depth": 3}, seed=5, device="cuda")
    assert head.constructor() | {"rounds": 7, "patience": 2, "max_depth": 3, "seed": 5} == head.constructor()
    assert head.device == "cuda"
    assert make_head("logistic", HeadOptions(iterations=7)).max_iter == 7
    assert make_head("mlp", HeadOptions(), {"iterations": 9}).iterations == 9


def test_the_method_decides_what_a_head_takes_of_it_and_options_override_that():
    method = {"members": 3, "vote": "hard", "pixels_per_batch": 64}
    mlp = make_head("mlp", from_method=method)
    assert (mlp.members, mlp.vote, mlp.pixels_per_batch) == (3, "hard", 64)
    assert make_head("mlp", HeadOptions(pixels_per_batch=8), from_method=method).pixels_per_batch == 8
    assert make_head("mlp", HeadOptions(pixels_per_batch=8), {"members": 2}, from_method=method).members == 2
    assert make_head("logistic", from_method=method).constructor() == make_head("logistic").constructor()


def test_an_estimator_is_named_behind_the_colon_and_gets_its_parameters():
    head = make_head("sklearn:svm.LinearSVC", HeadOptions(iterations=3), {"C": 2.0}, seed=4)
    assert (head.estimator, head.parameters, head.epochs, head.seed) == ("svm.LinearSVC", {"C": 2.0}, 3, 4)


@pytest.mark.parametrize("name", ["forest", "sklearn", "sklearn:", "logistic:big", "", ":"])
def test_a_head_that_is_not_there_is_answered_with_those_that_are(name):
    with pytest.raises(TedmError, match=r"there is no head '.*'; choose one of mlp, logistic, xgboost.* or sklearn:module"):
        head_class(name)


def test_what_a_head_does_not_take_is_said_with_those_that_do():
    for head, options, takers in (
        ("logistic", HeadOptions(learning_rate=0.1), "mlp or xgboost or unet"),
        ("xgboost", HeadOptions(images_per_batch=2), "mlp or unet"),
        ("sklearn:svm.LinearSVC", HeadOptions(ridge=1.0), "logistic"),
    ):
        with pytest.raises(TedmError, match=f"is for --head {takers}, not for {head.partition(':')[0]}$"):
            make_head(head, options)
    with pytest.raises(TedmError, match="--params: logistic heads know no 'strength'; they know ridge, select"):
        make_head("logistic", params={"strength": 1})


def test_the_size_of_batches_of_something_else_is_refused_and_not_ignored():
    assert make_head("mlp", HeadOptions(batch="images", images_per_batch=4)).images_per_batch == 4
    assert make_head("mlp", HeadOptions(images_per_batch=4), {"batch": "images"}).images_per_batch == 4
    assert make_head("unet", HeadOptions(images_per_batch=4)).images_per_batch == 4
    with pytest.raises(TedmError, match="--images-per-batch is given, but batches are of pixels: add --batch images"):
        make_head("mlp", HeadOptions(images_per_batch=4))
    with pytest.raises(TedmError, match="--pixels-per-batch is given, but batches are of whole images: add --batch pixels"):
        make_head("mlp", HeadOptions(pixels_per_batch=4, batch="images"))


def test_a_head_is_made_again_by_its_class_whatever_it_was_called():
    assert remake_head("logistic", "LogisticHead", {"ridge": 2.0}).ridge == 2.0
    assert remake_head("old-name", "MLPHead", {"members": 2}, device="cuda").device == "cuda"
    with pytest.raises(TedmError, match="there is no head of kind 'ForestHead' here; install the package that it is from"):
        remake_head("logistic", "ForestHead", {})


def test_every_built_in_head_is_there_by_its_name():
    assert known_heads()[: len(BUILT_IN)] == ["mlp", "logistic", "xgboost", "sklearn", "unet", "committee"]
    for name in ("mlp", "logistic", "xgboost", "sklearn:svm.LinearSVC", "unet", "committee"):
        assert head_class(name).__name__ == BUILT_IN[name.partition(":")[0]].rpartition(":")[2]


def test_a_class_of_scikit_learn_under_its_full_name_is_told_how_it_is_named_here():
    with pytest.raises(TedmError, match=r"did you mean sklearn:ensemble\.RandomForestClassifier\?"):
        head_class("sklearn.ensemble.RandomForestClassifier")


@pytest.mark.parametrize("head", ["mlp", "logistic", "xgboost", "unet"])
def test_iterations_below_one_are_refused_of_every_head(head):
    for iterations in (0, -5):
        with pytest.raises(TedmError, match=f"iterations is {iterations}; it must be at least 1"):
            make_head(head, HeadOptions(iterations=iterations))


@pytest.mark.parametrize(
    ("head", "params", "said"),
    [
        ("mlp", {"hidden": 5}, "--params: hidden: "),
        ("mlp", {"hidden": [True]}, "--params: hidden: "),
        ("mlp", {"hidden": "abc"}, "--params: hidden: "),
        ("mlp", {"members": True}, "--params: members: "),
        ("mlp", {"learning_rate": "a"}, "--params: learning_rate: "),
        ("unet", {"width": "8"}, "--params: width: "),
    ],
)
def test_arguments_of_another_type_are_refused_by_name(head, params, said):
    with pytest.raises(TedmError, match=said):
        make_head(head, params=params)
