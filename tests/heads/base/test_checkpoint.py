"""A fit that was interrupted goes on to the bits of one that was not, and from no other fit's file."""

from __future__ import annotations

import os
import signal

import pytest
import torch

from tedm.errors import TedmError
from tedm.heads.base import checkpoint as module
from tedm.heads.data.dataset import TrainingData
from tedm.heads.mlp import head as mlp_head
from tedm.heads.mlp.head import MLPHead
from tedm.heads.mlp.network import Committee
from tedm.heads.runtime.memory import Budget

SMALL = {"hidden": (8, 4), "pixels_per_batch": 32, "iterations": 60}


def state(head):
    return {name: tensor.clone() for name, tensor in head.network_.state_dict().items()}


def same(ours, theirs):
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def data_of(store, rows="share", names=None, **changes):
    return TrainingData(store, names or store.labels.names, rows=rows, **changes)


class Stop:
    """A signal after so many blocks were read or losses told: anywhere in an iteration."""

    def __init__(self, number, which=signal.SIGINT):
        self.left, self.which = number, which

    def __call__(self, *_):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(self.which)


@pytest.mark.parametrize("patience", [None, 20])
@pytest.mark.parametrize(("batch", "kept"), [("pixels", None), ("pixels", 2), ("images", None), ("images", 0)])
def test_an_interrupted_fit_goes_on_to_the_same_bits(make_store, tmp_path, monkeypatch, batch, kept, patience):
    store = make_store()
    val = data_of(store, names=["four"])
    of = {**SMALL, "batch": batch, "images_per_batch": 2, "iterations": 48, "learning_rate": 1e-2, "patience": patience}

    def train(stop=None, checkpoint=None, where=None):
        memory = None if kept is None else Budget(kept=kept * store.block("one").nbytes)
        head, data = MLPHead(2, **of), data_of(store, names=["one", "two", "three"], memory=memory)
        with monkeypatch.context() as patch:
            if where is not None:
                owner, name = where
                real = getattr(owner, name)
                patch.setattr(owner, name, lambda *args, **more: [real(*args, **more), stop()][0])
            return head.fit_blocks(data, val, checkpoint=checkpoint)

    whole = train()
    # In the forward pass, right after Adam, and while validating.
    places = [(Committee, "_follow"), (torch.optim.Adam, "step"), (mlp_head, "mean_loss")][: 3 if patience else 2]
    path = tmp_path / "fit.state"
    for number, where in ((1, 0), (5, 0), (22, 1), (17, 2 % len(places)), (9, 0)):
        with pytest.raises(KeyboardInterrupt):
            train(Stop(number), path, places[where])
        assert list(tmp_path.iterdir()) == [path]
    head = train(checkpoint=path)
    assert same(state(head), state(whole))
    assert head.loss_curve_ == whole.loss_curve_
    assert head.validation_curve_ == whole.validation_curve_
    assert head.n_iter_ == whole.n_iter_
    again = train(checkpoint=path)  # all is done, but the head was not saved, say
    assert same(state(again), state(whole))


def test_sigterm_leaves_a_checkpoint_and_so_does_time(make_store, tmp_path, monkeypatch):
    data, path = data_of(make_store()), tmp_path / "fit.state"
    before = signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(SystemExit(143)))
    try:
        with pytest.raises(SystemExit):
            MLPHead(**SMALL).fit_blocks(data, progress=Stop(3, signal.SIGTERM), checkpoint=path)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert path.exists()
    path.unlink()
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", 0)
    there = []
    MLPHead(**SMALL).fit_blocks(data, progress=lambda *_: there.append(path.exists()), checkpoint=path)
    assert there == [False] + [True] * 59


def test_a_checkpoint_of_another_fit_is_refused(make_store, tmp_path):
    store, path = make_store(), tmp_path / "fit.state"
    with pytest.raises(KeyboardInterrupt):
        MLPHead(**SMALL).fit_blocks(data_of(store), progress=Stop(5), checkpoint=path)
    for changes, of, what in (
        ({"seed": 1}, {}, "seed"),
        ({"pixels_per_batch": 33}, {}, "pixels per batch"),
        ({}, {"names": ["one", "two"]}, "images"),
        ({}, {"pixels_per_image": 9}, "masks"),
        ({}, {"sampling": "balanced"}, "sampling"),
        ({}, {"rows": "concatenate"}, "rows"),
    ):
        with pytest.raises(TedmError, match=rf"is of another fit \({what} differs\); delete it to start again"):
            MLPHead(**{**SMALL, **changes}).fit_blocks(data_of(store, **of), checkpoint=path)
    with pytest.raises(TedmError, match="was made with 4 images in memory, for which the budget is too small"):
        MLPHead(**SMALL).fit_blocks(data_of(store, memory=Budget(kept=0)), checkpoint=path)
    os.truncate(path, 100)
    with pytest.raises(TedmError, match="fit.state is damaged .* delete it to start again"):
        MLPHead(**SMALL).fit_blocks(data_of(store), checkpoint=path)
    with pytest.raises(TedmError, match="there is no folder"):
        MLPHead(**SMALL).fit_blocks(data_of(store), checkpoint=tmp_path / "absent" / "fit.state")
