"""A committee is its parts, each as it is alone, and a vote of equals; it goes on, is kept, and believes no file."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import asdict, replace
from inspect import signature

import numpy as np
import pytest
from click.testing import CliRunner

import tedm.heads
from tedm.cli.fit import main as tedm_fit
from tedm.errors import TedmError
from tedm.heads import (
    calibrate,
    evaluate,
    fit,
    identity_of,
    learn_weights,
    load_head,
    predict,
    rank,
    save_head,
)
from tedm.heads.base.registry import BUILT_IN, MEMBERS, make_head, remake_head
from tedm.heads.committee.head import CommitteeHead
from tedm.heads.data.blocks import blocks_with_images
from tedm.heads.runtime.memory import Budget, BudgetError
from tedm.heads.segmenter.methods import Method, committee_of
from tedm.networks.pretrained import Pretrained

ALL = ("shared", "side", "ridge")


def by_image(predictions):
    return {one.name: one.probabilities.tobytes() for one in predictions}


def as_json(head):
    return json.loads(json.dumps(asdict(head.report())))


def block_of(store, name, timesteps=None):
    (block,) = blocks_with_images(store, [name], timesteps or store.settings.timesteps)
    return block


class Stop:
    """A signal after so many calls."""

    def __init__(self, number):
        self.left, self.told = number, []

    def __call__(self, *told):
        self.told.append(told)
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)


def test_its_capabilities_are_arguments_of_its_constructor():
    able, known = CommitteeHead.capabilities, signature(CommitteeHead).parameters
    assert set(able.options.values()) | able.from_method | {"seed", "device"} <= set(known)
    assert able.voting_draws(3) == 1
    assert all(hasattr(CommitteeHead, member) for member in (*MEMBERS, "start_from", "sees_images", "part_bytes"))


def test_its_vote_is_the_mean_of_its_methods_each_fitted_alone(make_split_store, methods):
    store = make_split_store(draws=2, values=(0, 3, 7))
    chosen = [methods[name] for name in ALL]
    together = fit(store, committee_of("all", chosen), seed=5)
    alone = [fit(store, method, seed=5) for method in chosen]
    for name in store.labels.select(split="test"):
        opinions = together.opinions(store.block(name))
        each = [head.probabilities(store.block(name)).reshape(-1, 3) for head in alone]
        assert opinions.shape == (3, 64, 3)
        for own, expected in zip(opinions, each, strict=True):
            assert own.astype(expected.dtype).tobytes() == expected.tobytes()
        np.testing.assert_allclose(together.probabilities(store.block(name)).reshape(-1, 3), np.mean(each, axis=0), atol=1e-6)
    assert [part.n_features_in_ for part in together.estimator.heads_] == [5, 10, 5]
    assert together.estimator.n_features_in_ == 15


def test_a_part_that_looks_at_images_votes_beside_the_others(make_split_store, methods, tmp_path):
    pytest.importorskip("monai", reason="needs the extra `monai`")
    store = make_split_store()
    method = committee_of("both", [methods["net"], methods["shared"]])
    head, net = fit(store, method, seed=2), fit(store, methods["net"], seed=2)
    shared = fit(store, methods["shared"], seed=2)
    names = store.labels.select(split="test")
    expected = {name: [next(predict(store, {"h": one}, [name])).probabilities for one in (net, shared)] for name in names}
    assert head.sees_images
    assert not shared.sees_images
    for prediction in predict(store, {"h": head}, names):
        np.testing.assert_allclose(prediction.probabilities, np.mean(expected[prediction.name], axis=0), atol=1e-6)
    with pytest.raises(TedmError, match="the block of f has no image"):
        head.opinions(store.block("f"))
    save_head(head, tmp_path / "head")
    again = load_head(tmp_path / "head")
    assert by_image(predict(store, {"h": again}, names)) == by_image(predict(store, {"h": head}, names))
    assert len(evaluate(store, {"h": again})) == 2 * len(names)
    assert {one.name for one in rank(store, again, names=names)} == set(names)


def test_how_pixels_are_drawn_is_of_no_matter_to_a_part_that_looks_at_images(make_split_store, methods):
    pytest.importorskip("monai", reason="needs the extra `monai`")
    store, drawn = make_split_store(), replace(methods["shared"], sampling="root")
    head = fit(store, committee_of("both", [drawn, methods["net"]]), seed=2)
    alone = [fit(store, method, seed=2) for method in (drawn, methods["net"])]
    assert head.method.sampling == "root"
    for name in store.labels.select(split="test"):
        each = [next(predict(store, {"h": one}, [name])).probabilities for one in alone]
        both = next(predict(store, {"h": head}, [name])).probabilities
        np.testing.assert_allclose(both, np.mean(each, axis=0), atol=1e-6)


def test_it_is_asked_only_for_the_timesteps_of_its_parts(make_store, methods):
    store = make_store(timesteps=(1, 25, 50, 400, 800))
    head = fit(store, committee_of("two", [methods["ridge"], methods["shared"]]))
    assert head.method.timesteps == (1, 50, 400)
    whole = head.opinions(block_of(store, "one"))
    assert whole.tobytes() == head.opinions(block_of(store, "one", [400, 1, 50])).tobytes()
    with pytest.raises(TedmError, match="reads its timesteps 1, 50, 400 side by side and cannot do with 1"):
        head.vote(timesteps=[1])


def test_a_seed_gives_its_bits_whatever_the_memory_and_another_seed_others(make_store, committee, data_of):
    store = make_store()
    kept = data_of(store, committee(), memory=Budget(kept=10**7))
    room = kept.budget.keepable()
    heads = [
        committee(seed=seed).fit_blocks(data)
        for seed, data in ((3, kept), (3, data_of(store, committee(), memory=10**10)), (4, data_of(store, committee())))
    ]
    first, again, other = (head.opinions(store.block("two"), "concatenate").tobytes() for head in heads)
    assert first == again != other
    assert kept.budget.keepable() == room  # each part has let go of what it kept


@pytest.mark.parametrize("names", [("shared", "side"), ("side", "ridge", "shared"), ("shared", "net")])
def test_an_interrupted_fit_goes_on_to_the_same_bits(make_store, committee, data_of, tmp_path, names):
    if "net" in names:
        pytest.importorskip("monai", reason="needs the extra `monai`")
    store, path = make_store(), tmp_path / "fit.state"
    train = lambda **where: committee(*names).fit_blocks(data_of(store, committee(*names)), **where)  # noqa: E731
    whole = train()
    reached = []
    for number in (3, 8, 2):  # in the first part, in a later one, and again
        stop = Stop(number)
        with pytest.raises(KeyboardInterrupt):
            train(progress=stop, checkpoint=path)
        reached.append(stop.told[-1][0])
    assert reached[0] < 100 < reached[1]
    told = []
    again = train(progress=lambda *each: told.append(each[:2]), checkpoint=path)
    assert told[0][0] == 100  # of the first part nothing is computed again
    assert (told[-1], sorted(told)) == ((100 * len(names), 100 * len(names)), told)
    for name in store.labels.names:
        block = block_of(store, name)
        assert again.opinions(block, "concatenate").tobytes() == whole.opinions(block, "concatenate").tobytes()
    assert as_json(again) == as_json(whole)


def test_a_checkpoint_of_another_fit_is_refused_and_nothing_of_it_is_lost(make_store, committee, data_of, tmp_path):
    store, path = make_store(), tmp_path / "fit.state"
    with pytest.raises(KeyboardInterrupt):
        committee().fit_blocks(data_of(store, committee()), progress=Stop(3), checkpoint=path)
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    for head, data, what in (
        (committee("side", "shared"), {}, "parts"),
        (committee(seed=1), {}, "seed"),
        (committee(iterations=9), {}, "iterations"),
        (committee(), {"pixels_per_image": 9}, "masks"),
    ):
        with pytest.raises(TedmError, match=rf"is of another fit \({what} differs?\); delete it to start again"):
            head.fit_blocks(data_of(store, head, **data), checkpoint=path)
    (path / "parts.json").write_text("{")
    with pytest.raises(TedmError, match="the checkpoint .* is damaged .* delete it to start again"):
        committee().fit_blocks(data_of(store, committee()), checkpoint=path)
    (path / "parts.json").write_bytes(before["parts.json"])
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before


def test_saved_and_loaded_it_is_the_same_head(make_split_store, methods, tmp_path):
    store = make_split_store(draws=2)
    method = committee_of("all", [methods[name] for name in ALL])
    head = fit(store, method, iterations=6, class_weight={"255": 2.0}, calibrate=True)
    save_head(head, tmp_path / "head")
    again = load_head(tmp_path / "head")
    assert (again.method, again.provenance, identity_of(again)) == (head.method, head.provenance, identity_of(head))
    names = store.labels.names
    assert by_image(predict(store, {"h": again}, names)) == by_image(predict(store, {"h": head}, names))
    assert again.estimator.constructor() == head.estimator.constructor()
    save_head(again, tmp_path / "copy")
    for file in (tmp_path / "head").rglob("*.*"):
        assert (tmp_path / "copy" / file.relative_to(tmp_path / "head")).read_bytes() == file.read_bytes()


def test_its_constructor_is_json_and_makes_an_equal_head(committee):
    head = committee(*ALL, seed=5, iterations=7, class_weight="balanced")
    arguments = json.loads(json.dumps(head.constructor()))
    again = remake_head("committee", "CommitteeHead", arguments)
    assert json.loads(json.dumps(again.constructor())) == arguments
    assert arguments["members"] == 3


def _swap(folder):
    (folder / "part-0").rename(folder / "aside")
    (folder / "part-1").rename(folder / "part-0")
    (folder / "aside").rename(folder / "part-1")


def _rewrite(name, **changes):
    def change(folder):
        about = json.loads((folder / name).read_text())
        for path, value in changes.items():
            *to, last = path.split("__")
            inner = about
            for key in to:
                inner = inner[int(key) if key.isdecimal() else key]
            inner[last] = value
        (folder / name).write_text(json.dumps(about))

    return change


DAMAGES = {
    "swapped": _swap,
    "gone": lambda folder: shutil.rmtree(folder / "part-2"),
    "a weight file gone": lambda folder: (folder / "part-1" / "weights.safetensors").unlink(),
    "a weight file cut": lambda folder: (folder / "part-1" / "weights.safetensors").write_bytes(b"12345678"),
    "no JSON": lambda folder: (folder / "part-0" / "part.json").write_text("{"),
    "no object": lambda folder: (folder / "part-0" / "part.json").write_text("[]"),
    "another number of features": _rewrite("part-0/part.json", features=4),
    "no features": _rewrite("part-0/part.json", features=-5),
    "another type": _rewrite("part-0/part.json", features="5"),
    "a field more": _rewrite("part-0/part.json", more=1),
    "other members": _rewrite("part-1/part.json", parameters__members=3),
    "another vote": _rewrite("part-1/part.json", parameters__vote="soft"),
    "an argument of another type": _rewrite("part-0/part.json", parameters__hidden="4"),
    "another class": _rewrite("part-0/part.json", estimator="LogisticHead", parameters={}),
    "an image head": _rewrite("part-0/part.json", estimator="UNetHead", parameters={}),
    "no head of activations": _rewrite("head.json", parameters__parts__0__timesteps=[]),
    "a part of other timesteps": _rewrite("head.json", parameters__parts__0__timesteps=[1, 25]),
    "a part less": lambda folder: _rewrite(
        "head.json", parameters__parts=json.loads((folder / "head.json").read_text())["parameters"]["parts"][:2]
    )(folder),
    "no parts": _rewrite("head.json", parameters__parts=[]),
    "parts of another kind": _rewrite("head.json", parameters__parts=3),
    "a vote to be learned": _rewrite("head.json", parameters__parts__0__vote="learned"),
    "other members of the method": _rewrite("head.json", method__members=2),
    "shared rows": _rewrite("head.json", method__rows="share"),
    "shared rows of their length": _rewrite("head.json", method__rows="share", features=5),
    "a committee inside": _rewrite("head.json", parameters__parts__0__head="committee"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_refused_in_one_line(saved, damage):
    DAMAGES[damage](saved)
    with pytest.raises(TedmError, match=r"^the head .* is damaged \([^\n]+\); fit it again with tedm-fit$"):
        load_head(saved)


def test_a_part_of_a_package_that_is_not_here_is_no_damage(saved):
    _rewrite("head.json", parameters__parts__0__head="elsewhere")(saved)
    with pytest.raises(TedmError, match="there is no head 'elsewhere' here; install the package that it is from"):
        load_head(saved)


def test_its_parts_are_weighed_and_calibrated_like_any_voters(make_split_store, methods):
    store = make_split_store(draws=2)
    head = fit(store, committee_of("all", [methods[name] for name in ALL]), iterations=10)
    tuned = calibrate(learn_weights(head, store), store)
    assert np.shape(tuned.weights.values) == (3, 1)
    assert tuned.calibration is not None
    block = store.block("f")
    expected = np.tensordot(np.ravel(tuned.weights.values), head.opinions(block), axes=1)
    np.testing.assert_allclose(replace(tuned, calibration=None).probabilities(block).reshape(-1, 2), expected, atol=1e-6)
    assert fit(store, replace(head.method, vote="learned"), iterations=10).weights == tuned.weights


def test_the_memory_of_a_vote_counts_parts_and_what_these_merge(make_store, methods):
    store = make_store(draws=2)
    both = fit(store, committee_of("both", [methods["ridge"], methods["side"]]), iterations=2)
    rows = fit(store, committee_of("rows", [methods["ridge"], replace(methods["shared"], head="sklearn:naive_bayes.GaussianNB",
                                                                      settings={})]))  # fmt: skip
    pixels = 64 * 2 * 8
    cells = 4 * 2 * (3 * 4 + 2 * 64)  # bytes at a timestep
    merged, part = pixels * (2 * 2 + 8), pixels * (2 * 4 + 8)  # two parts; two members and two draws
    assert both.voting_bytes(store, both.vote()) == 2 * 2 * cells + merged + 3 * 2 * cells + part
    assert rows.voting_bytes(store, rows.vote()) > 2**27 > both.voting_bytes(store, both.vote())


def test_its_report_and_remarks_are_those_of_its_parts(make_store, committee, data_of):
    store = make_store()
    head = committee(*ALL, iterations=2, class_weight="balanced").fit_blocks(data_of(store, committee(*ALL)))
    parts = head.report().details["parts"]
    assert [part["name"] for part in parts] == list(ALL)
    assert [part["iterations"] for part in parts] == [2, 2, 2]
    assert parts[0]["loss"] == head.heads_[0].loss_curve_[-1]
    assert head.remarks() == ["ridge: the solver stopped after 2 iterations before it had converged; raise --iterations"]
    assert [one.iterations for one in head.heads_[:2]] == [2, 2]
    assert all(one.class_weight == "balanced" for one in head.heads_)


def test_an_option_that_a_part_does_not_take_is_remarked_on(make_store, committee, methods, data_of, monkeypatch):
    monkeypatch.setitem(BUILT_IN, "brightness", "brightness_head:BrightnessHead")
    methods["net"] = Method("net", (), "concatenate", "brightness", 1, "soft")
    head = committee("shared", "net", iterations=2)
    head.fit_blocks(data_of(make_store(), head))
    assert head.remarks() == ["net: brightness takes no --iterations, and is fitted without it"]
    assert [part.n_features_in_ for part in head.heads_] == [5, 1]


def test_whatever_a_part_refuses_is_refused_before_any_part_learns(make_store, methods, data_of):
    store = make_store()

    def fit_of(last, data=None, **changes):
        told = []
        head = CommitteeHead(committee_of("two", [methods["shared"], last]).settings["parts"], **changes)
        try:
            head.fit_blocks(data_of(store, head, **(data or {})), progress=lambda *each: told.append(each))
        finally:
            assert told == []

    side, net = methods["side"], methods["net"]
    for last, more, message in (
        (replace(side, settings={"iterations": 0}), {}, "the part 'side' of the committee: iterations is 0; it must be at"),
        (replace(side, settings={"learning_rate": -1.0}), {}, "the learning rate is -1.0; it must be above 0"),
        (replace(side, settings={"patience": 3}), {}, "the part 'side' of the committee: patience needs validation images"),
        (side, {"class_weight": {"7": 2.0}}, "a class weight is for '7', which is no class"),
        (replace(net, settings={"images_per_batch": 0}), {}, "the part 'net' of the committee: images_per_batch is 0; it must"),
        (
            replace(net, settings={"network": "tedm", "start": "diffusion"}),
            {},
            "the part 'net' of the committee: --method ddpm-finetune starts from a checkpoint: name one",
        ),
        (
            replace(methods["ridge"], head="sklearn:nowhere.Forest"),
            {},
            "the part 'ridge' of the committee: .*nowhere",
        ),
    ):
        with pytest.raises(TedmError, match=message):
            fit_of(last, **more)


def test_a_budget_that_a_part_does_not_fit_is_refused_as_such(make_store, committee, data_of):
    data = data_of(make_store(), committee())
    data.budget.total, data.budget.was_given = 1000, True
    with pytest.raises(BudgetError, match=r"the part 'shared' .* the least that would do is --memory \d+MB$"):
        committee().fit_blocks(data)


def test_its_method_must_be_that_of_its_parts(make_store, committee, data_of):
    store, head = make_store(), committee()
    for changes, message in (
        ({"rows": "share"}, "the parts of a committee have rows of their own.*--rows concatenate"),
        ({"timesteps": [1, 50]}, "read the timesteps 1, 50, 400, and its method 1, 50: say --timesteps 1,50,400"),
    ):
        with pytest.raises(TedmError, match=message):
            head.fit_blocks(data_of(store, head, **changes))
    with pytest.raises(TedmError, match="the committee has 2 parts, and its method 3 members: say --members 2"):
        committee(members=3).fit_blocks(data_of(store, head))
    for ask in (lambda: head.fit([[1.0]], [0]), lambda: head.predict_proba([[1.0]]), lambda: head.predict([[1.0]])):
        with pytest.raises(TedmError, match="the parts of a committee need rows of their own"):
            ask()


def test_weights_to_start_from_go_to_the_parts_that_start(committee, methods):
    weights = Pretrained("diffusion", 8, (1, 2), 1, 8, {}, "ab" * 32)
    with pytest.raises(
        TedmError, match="--checkpoint names weights to start from, and no part of the committee starts from any: leave it out"
    ):
        committee("shared", "net").start_from(weights)
    methods["net"] = replace(methods["net"], settings={"network": "tedm", "start": "diffusion"})
    committee("shared", "net").start_from(weights)
    with pytest.raises(TedmError, match="the part 'net' of the committee: the checkpoint has learned global-cl"):
        committee("shared", "net").start_from(replace(weights, objective="global-cl"))


def test_a_part_that_needs_validation_images_makes_its_committee_need_them(make_split_store, methods):
    store = make_split_store()
    waits = replace(methods["side"], settings={"iterations": 8, "patience": 2})
    head = fit(store, committee_of("waits", [waits, methods["ridge"]]))
    assert head.provenance.validation_images == ["d", "e"]
    alone = fit(store, waits, patience=2)
    block = store.block("f")
    assert head.opinions(block)[0].astype(np.float32).tobytes() == alone.probabilities(block).tobytes()


def test_the_command_fits_one_and_says_what_is_missing(make_split_store, methods, tmp_path):
    store = str(make_split_store().path)
    run = CliRunner().invoke(tedm_fit, [store, str(tmp_path / "none"), "--head", "committee", "--timesteps", "1,50"])
    assert run.exit_code == 1
    (line,) = run.stderr.splitlines()
    assert "a committee has 2 to 16 parts, and none is named: name each with its head, timesteps and rows, --params" in line
    parts = committee_of("all", [methods[name] for name in ALL]).settings
    command = [store, str(tmp_path / "head"), "--head", "committee", "--members", "3", "--rows", "concatenate"]
    run = CliRunner().invoke(tedm_fit, [*command, "--timesteps", "1,50,400", "--params", json.dumps(parts)])
    assert run.exit_code == 0, run.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["head"]  # no checkpoint is left
    assert load_head(tmp_path / "head").method.members == 3


def test_it_is_at_the_door():
    assert tedm.heads.CommitteeHead is CommitteeHead
    assert tedm.heads.committee_of is committee_of
    assert isinstance(make_head("committee"), CommitteeHead)
