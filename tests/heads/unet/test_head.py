"""The head that looks at images: it learns, goes on in the same bits, is kept, and believes no file."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict, replace
from inspect import signature

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tedm.errors import TedmError
from tedm.heads.base.registry import MEMBERS, make_head, remake_head
from tedm.heads.data.dataset import TrainingData
from tedm.heads.runtime.memory import Budget
from tedm.heads.segmenter.published import OWN_UNET
from tedm.heads.unet.head import WEIGHTS, UNetHead
from tedm.heads.unet.pictures import Pictures
from tedm.store import Block, FeatureStore

DYNUNET = {"network": "dynunet", "width": 4, "iterations": 6, "images_per_batch": 3}
TEDM = {"network": "tedm", "width": 8, "multipliers": (1, 2), "iterations": 6, "images_per_batch": 3}
STARTED = {"network": "tedm", "start": "diffusion", "iterations": 6, "images_per_batch": 3}


@pytest.fixture(autouse=True)
def monai():
    pytest.importorskip("monai", reason="needs the extra `monai`")


@pytest.fixture
def fitted(images_of, pretrained):
    """A head that was fitted on all images of a store."""

    def make(store, of=None, *, validation=None, progress=None, checkpoint=None, data=None, **changes):
        head = UNetHead(**{**(of or DYNUNET), **changes})
        if head.start:
            head.start_from(pretrained(head.start))
        return head.fit_blocks(data or images_of(store), validation, progress, checkpoint)

    return make


def restored(head, folder, *, classes=2, **changes):
    """What a folder's description makes of it, as it comes back from JSON."""
    arguments = json.loads(json.dumps(head.constructor())) | changes
    again = remake_head("unet", "UNetHead", arguments)
    again.restore(folder, features=head.n_features_in_, classes=classes)
    return again


class Stop:
    """A signal after so many calls."""

    def __init__(self, number):
        self.left = number

    def __call__(self, *_):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)


def test_its_capabilities_are_arguments_of_its_constructor():
    able, known = UNetHead.capabilities, signature(UNetHead).parameters
    assert set(able.options.values()) | {"seed", "device"} <= set(known)
    assert (able.looks_at_images, able.starts, able.resumes, able.takes_seed, able.takes_device) == (True,) * 5
    assert all(hasattr(UNetHead, member) for member in (*MEMBERS, "start_from"))
    assert OWN_UNET.keys() <= known.keys()
    assert make_head("unet", params=dict(OWN_UNET)).needs_validation()
    assert not make_head("unet").needs_validation()


@pytest.mark.parametrize("of", [DYNUNET, TEDM, STARTED])
def test_it_learns_masks_that_images_show(seen_store, fitted, look, of):
    head = fitted(seen_store, of, iterations=30, learning_rate=2e-2, augment=False)
    for name in seen_store.labels.names:
        opinions, mask = look(head, seen_store, name), seen_store.mask(name)
        np.testing.assert_allclose(opinions.sum(axis=1), 1, rtol=0, atol=1e-5)
        labelled = mask.ravel() < 255
        assert (opinions.argmax(axis=1) == mask.ravel())[labelled].mean() > 0.95
    assert len(head.loss_curve_) == 30
    assert head.loss_curve_[-1] < 0.5 * head.loss_curve_[0]


@pytest.mark.parametrize("of", [DYNUNET, STARTED])
def test_a_seed_gives_its_bits_whatever_the_memory_and_another_seed_others(seen_store, fitted, images_of, look, of):
    before = torch.get_rng_state()
    none = images_of(seen_store, memory=Budget(kept=0))
    heads = [fitted(seen_store, of, seed=seed, data=data) for seed, data in ((3, None), (3, none), (4, None))]
    assert torch.equal(torch.get_rng_state(), before)
    first, again, other = (look(head, seen_store, "two").tobytes() for head in heads)
    assert first == again != other
    assert heads[0].loss_curve_ == heads[1].loss_curve_


@pytest.mark.parametrize("of", [DYNUNET, STARTED])
def test_an_interrupted_fit_goes_on_to_the_same_bits(seen_store, fitted, images_of, look, tmp_path, monkeypatch, of):
    path, val = tmp_path / "fit.state", images_of(seen_store, ["four"])
    of = {**of, "patience": 50, "iterations": 12}
    train = lambda **where: fitted(seen_store, of, validation=val, data=images_of(seen_store, ["one", "two"]), **where)  # noqa: E731
    whole = train()
    for number in (3, 5, 1):
        with pytest.raises(KeyboardInterrupt):
            train(progress=Stop(number), checkpoint=path)
    with monkeypatch.context() as patch:  # in the middle of a step
        step, stop = torch.optim.Adam.step, Stop(2)
        patch.setattr(torch.optim.Adam, "step", lambda *args, **more: [step(*args, **more), stop()][0])
        with pytest.raises(KeyboardInterrupt):
            train(checkpoint=path)
    head = train(checkpoint=path)
    assert look(head, seen_store, "three").tobytes() == look(whole, seen_store, "three").tobytes()
    assert (head.loss_curve_, head.validation_curve_, head.n_iter_) == (
        whole.loss_curve_,
        whole.validation_curve_,
        whole.n_iter_,
    )
    assert asdict(head.report()) == asdict(whole.report())


def test_a_checkpoint_of_another_fit_is_refused(seen_store, make_store, fitted, images_of, pretrained, tmp_path):
    path = tmp_path / "fit.state"
    with pytest.raises(KeyboardInterrupt):
        fitted(seen_store, STARTED, progress=Stop(3), checkpoint=path)
    for changes, store, of, what in (
        ({"seed": 1}, seen_store, {}, "seed"),
        ({"augment": False}, seen_store, {}, "augment"),
        ({}, seen_store, {"names": ["one", "two"]}, "images"),
        ({}, seen_store, {"pixels_per_image": 9}, "pixels or masks"),
        ({}, make_store(), {}, "pixels or masks"),
    ):
        with pytest.raises(TedmError, match=rf"is of another fit \({what} differs\); delete it to start again"):
            fitted(store, {**STARTED, **changes}, data=images_of(store, **of), checkpoint=path)
    head = UNetHead(**STARTED)
    head.start_from(pretrained(sha256="ef" * 32))
    with pytest.raises(TedmError, match="weights at the start differs"):
        head.fit_blocks(images_of(seen_store), checkpoint=path)


def test_the_least_validation_loss_decides_where_it_is_asked_for(seen_store, fitted, images_of):
    train, val = images_of(seen_store, ["one"]), images_of(seen_store, ["three", "four"])
    head = fitted(seen_store, TEDM, data=train, validation=val, patience=50, iterations=20, learning_rate=3e-2, augment=False)
    assert len(head.validation_curve_) == 20
    assert head.n_iter_ == 1 + int(np.argmin(head.validation_curve_))
    assert head.report().iterations == head.n_iter_
    without = fitted(seen_store, TEDM, data=train, validation=val)
    assert (without.validation_curve_, without.n_iter_) == ([], 6)
    with pytest.raises(TedmError, match="patience needs validation images"):
        fitted(seen_store, TEDM, patience=3)


def test_class_weights_are_those_of_the_loss(seen_store, fitted, images_of):
    counts = images_of(seen_store).class_counts()
    by_hand = {str(index): float(counts.sum() / (2 * count)) for index, count in enumerate(counts)}
    balanced, given, plain = (fitted(seen_store, class_weight=w, iterations=1) for w in ("balanced", by_hand, None))
    assert balanced.loss_curve_ == given.loss_curve_ != plain.loss_curve_
    with pytest.raises(TedmError, match="no class weights 'even'"):
        fitted(seen_store, class_weight="even")


def test_it_starts_from_the_weights_and_says_so(seen_store, fitted, pretrained, images_of):
    for objective in ("diffusion", "global-cl", "global-local-cl"):
        head = fitted(seen_store, STARTED, start=objective, iterations=1, learning_rate=1e-9)
        weights = pretrained(objective).tensors
        own = dict(head.network_.unet.named_parameters())
        for name, tensor in weights.items():
            if not name.startswith("final_conv."):
                torch.testing.assert_close(own[name].detach(), tensor, rtol=0, atol=1e-6)
        assert ("time_mlp.1.weight" in own) == (objective == "diffusion")
        assert len(own["final_conv.bias"]) == 2
        assert head.report().details["start"] == {"objective": objective, "sha256": "cd" * 32}
        assert (head.constructor()["width"], head.constructor()["multipliers"]) == (8, [1, 2])
    assert "start" not in fitted(seen_store).report().details
    head = UNetHead(**STARTED)
    with pytest.raises(TedmError, match="--method ddpm-finetune starts from a checkpoint"):
        head.fit_blocks(images_of(seen_store))
    with pytest.raises(TedmError, match="has learned global-cl"):
        head.start_from(pretrained("global-cl"))
    for what, value in (("width", 16), ("multipliers", (1, 2, 4)), ("image_size", 16), ("image_channels", 3)):
        with pytest.raises(TedmError, match=rf"the checkpoint's {what} is .* was asked for; leave {what} out"):
            UNetHead(**STARTED, **{what: value}).start_from(pretrained())
    head.start_from(pretrained(image_size=16))
    with pytest.raises(TedmError, match="is for images of 16 pixels a side"):
        head.fit_blocks(images_of(seen_store))


def test_another_timestep_is_another_network(seen_store, fitted, look):
    first, other = (fitted(seen_store, STARTED, timestep=timestep, iterations=2) for timestep in (0, 1))
    assert not np.array_equal(look(first, seen_store, "one"), look(other, seen_store, "one"))


@pytest.mark.parametrize("of", [DYNUNET, TEDM, {**STARTED, "timestep": 1}])
def test_what_was_saved_predicts_the_same_bits(seen_store, fitted, look, tmp_path, of):
    head, folder = fitted(seen_store, of), tmp_path / "head"
    folder.mkdir()
    head.save(folder)
    assert [file.name for file in folder.iterdir()] == [WEIGHTS]
    parameters = sum(parameter.nbytes for parameter in head.network_.parameters())
    assert (folder / WEIGHTS).stat().st_size < 1.2 * parameters + 20_000  # each layer once
    again = restored(head, folder)
    for name in seen_store.labels.names:
        assert look(again, seen_store, name).tobytes() == look(head, seen_store, name).tobytes()
    assert again.constructor() == head.constructor()
    assert again.classes_.tolist() == head.classes_.tolist()
    assert head.constructor()["iterations"] == 6


def test_a_class_that_no_pixel_shows_gets_nothing(make_store, fitted, look, tmp_path):
    store = make_store(values=(0, 7, 9), shown=(0, 2))
    head = fitted(store)
    head.save(tmp_path)
    for each in (head, restored(head, tmp_path, classes=3)):
        opinions = look(each, store, "one")
        assert not opinions[:, 1].any()
        np.testing.assert_allclose(opinions.sum(axis=1), 1, rtol=0, atol=1e-5)


def test_weights_of_a_stranger_are_refused(seen_store, fitted, tmp_path):
    head = fitted(seen_store, TEDM)
    head.save(tmp_path)
    good = load_file(tmp_path / WEIGHTS)
    first = "unet.init_conv.weight"
    for arrays, message in (
        ({**good, "extra": np.ones(3, np.float32)}, "holds 'extra'"),
        ({name: each for name, each in good.items() if name != first}, f"has no {first!r}"),
        ({**good, first: good[first][:4]}, f"{first} in .* is F32 of"),
        ({**good, first: good[first].astype(np.int32)}, f"{first} in .* is I32 of"),
        ({**good, first: np.full_like(good[first], np.nan)}, "no finite numbers"),
        ({**good, "seen": np.zeros(2, bool)}, "no class is seen"),
        ({name: each for name, each in good.items() if name != "seen"}, "no class is seen"),
    ):
        save_file(arrays, tmp_path / WEIGHTS)
        with pytest.raises(ValueError, match=message):
            restored(head, tmp_path)
    save_file(good, tmp_path / WEIGHTS)
    for changes, message in (
        ({"width": None}, "are not told"),
        ({"image_size": None}, "are not told"),
        ({"width": 12}, "a width of 12 channels cannot be normalised"),
        ({"width": 2**15}, "should be F32 or F64 of"),
        ({"width": 2**62}, "a network cannot have the width"),
        ({"multipliers": []}, "1 to 10 levels"),
        ({"multipliers": [1] * 4000}, "there are 4000 multipliers"),
        ({"multipliers": [-1, 2]}, "a network cannot have"),
        ({"image_channels": 3}, "should be F32 or F64 of"),
        ({"network": "dynunet", "multipliers": [1, 2, 4]}, "has no|holds"),
        ({"network": "other"}, "Invalid enum value"),
        ({"start": "diffusion"}, "has no 'unet.downs.0.0.time_mlp.* and [0-9]+ more$"),
        ({"start": "diffusion", "timestep": -1}, "timestep is -1"),
        ({"timestep": 4}, "only a network that starts from a diffusion model"),
    ):
        with pytest.raises(ValueError, match=message):
            restored(head, tmp_path, **changes)
    with pytest.raises(ValueError, match="seen in weights"):
        restored(head, tmp_path, classes=3)


def test_a_budget_that_is_too_small_is_refused_before_work(seen_store, images_of, monkeypatch):
    data, told = images_of(seen_store), []
    data.budget.total, data.budget.was_given = 1000, True
    monkeypatch.setattr(FeatureStore, "image", lambda *of: told.append(of))
    with pytest.raises(TedmError, match=r"not enough for steps on 3 whole images: the least that would do is --memory \d+MB"):
        UNetHead(**DYNUNET).fit_blocks(data, progress=lambda *of: told.append(of))
    assert told == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"iterations": 0}, "iterations is 0"),
        ({"learning_rate": 0.0}, "the learning rate is 0.0"),
        ({"network": "unet"}, "there is no network 'unet'"),
        ({"width": 0}, "cannot have the width 0"),
        ({"image_size": 64}, "image_size is 64, and the images here have 8"),
        ({"timestep": 5}, "timestep is 5"),
        ({"learning_rate": 1e38}, "the loss is no longer finite after .* lower the learning rate"),
    ],
)
def test_wrong_settings_are_refused(seen_store, images_of, wrong, message):
    with pytest.raises(TedmError, match=message):
        UNetHead(**{**DYNUNET, **wrong}).fit_blocks(images_of(seen_store))


def test_pixels_drawn_by_weights_are_refused_and_few_of_an_image_are_not(seen_store, fitted, images_of):
    with pytest.raises(TedmError, match="--sampling balanced is for heads that draw pixels"):
        fitted(seen_store, data=images_of(seen_store, sampling="balanced"))
    fitted(seen_store, data=images_of(seen_store, sampling="balanced", pixels_per_image=9))


def test_rows_and_blocks_without_their_image_are_refused(seen_store, fitted):
    head = fitted(seen_store)
    for ask in (lambda: head.fit(np.ones((4, 2)), [0, 1, 0, 1]), lambda: head.predict_proba(np.ones((4, 2)))):
        with pytest.raises(TedmError, match="a unet (learns from|looks at) images and not (from|at) rows"):
            ask()
    block = Block("one", (), (), 8, "nearest")
    with pytest.raises(TedmError, match="the block of one has no image; this head looks at images of 8 x 8 pixels and 1 ch"):
        head.opinions(block, "concatenate")
    with pytest.raises(TedmError, match=r"has an image of shape \(4, 4, 1\)"):
        head.opinions(replace(block, image=np.ones((4, 4, 1), np.float32)), "concatenate")


def test_its_constructor_is_json_and_makes_an_equal_head(seen_store, fitted):
    for head in (UNetHead(), UNetHead(**TEDM, class_weight={"1": 2.0}), fitted(seen_store)):
        arguments = json.loads(json.dumps(head.constructor()))
        assert json.loads(json.dumps(remake_head("unet", "UNetHead", arguments).constructor())) == arguments


def test_it_tells_that_it_ended_before_it_found_its_classes(fitted, seen_store):
    early = fitted(seen_store, learning_rate=1e-9, iterations=1)
    with torch.no_grad():
        early.network_.unet.output_block.conv.conv.bias.copy_(torch.tensor([9.0, 0.0]))  # all background
    training = early._training(1, 1, 1e-3)
    assert training.classes_found(Pictures(TrainingData(seen_store, seen_store.labels.names, rows="concatenate"))) == (0, 1)
    early._found = (0, 1)
    assert early.remarks() == [
        "after 1 iterations it finds 0 of the classes in images that it learned from, which show 1; raise --iterations"
    ]
    assert fitted(seen_store, iterations=100, learning_rate=3e-3).remarks() == []
