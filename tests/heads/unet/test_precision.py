"""Passes in bfloat16 while a network learns: near the exact fit, in the same bits again, and float32 in all that is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tedm.devices import choose_precision
from tedm.errors import TedmError
from tedm.heads.unet.head import UNetHead

SMALL = {"network": "dynunet", "width": 4, "iterations": 12, "images_per_batch": 3, "learning_rate": 3e-3}
ROUNDED = {**SMALL, "precision": "bfloat16"}


@pytest.fixture(autouse=True)
def monai():
    pytest.importorskip("monai", reason="needs the extra `monai`")


def same(one, other):
    pairs = zip(one.network_.state_dict().values(), other.network_.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_fit_in_bfloat16_learns_what_an_exact_one_learns(seen_store, images_of, look):
    data = images_of(seen_store)
    long = {"iterations": 150}
    exact, rounded = (UNetHead(**{**SMALL, **long, "precision": each}).fit_blocks(data) for each in ("float32", "bfloat16"))
    assert not same(exact, rounded)
    assert rounded.loss_curve_[-1] == pytest.approx(exact.loss_curve_[-1], abs=0.1)
    assert rounded.loss_curve_[-1] < 0.5 * rounded.loss_curve_[0]
    for name in seen_store.labels.names:
        mask = data.masks[name].ravel()
        known = mask < 2
        agree = [(look(head, seen_store, name).argmax(axis=1) == mask)[known].mean() for head in (exact, rounded)]
        assert agree[1] >= agree[0] - 0.1


def test_what_is_kept_and_predicted_is_float32(seen_store, images_of, look):
    head = UNetHead(**ROUNDED).fit_blocks(images_of(seen_store))
    assert {parameter.dtype for parameter in head.network_.parameters()} == {torch.float32}
    block = look(head, seen_store, seen_store.labels.names[0])
    assert block.dtype == np.float32
    assert not np.array_equal(block, torch.from_numpy(block).bfloat16().float().numpy())  # finer than bfloat16 has it


def test_an_interrupted_fit_in_bfloat16_goes_on_to_the_same_bits(seen_store, images_of, tmp_path):
    data = images_of(seen_store)
    whole = UNetHead(**ROUNDED).fit_blocks(data)

    def stop(done, total, loss):
        if done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        UNetHead(**ROUNDED).fit_blocks(data, progress=stop, checkpoint=tmp_path / "fit")
    assert same(UNetHead(**ROUNDED).fit_blocks(data, checkpoint=tmp_path / "fit"), whole)


@pytest.mark.parametrize(("first", "then"), [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_a_fit_goes_on_in_the_precision_that_it_began_in_only(seen_store, images_of, tmp_path, first, then):
    data = images_of(seen_store)
    UNetHead(**{**SMALL, "precision": first}).fit_blocks(data, checkpoint=tmp_path / "fit")
    with pytest.raises(TedmError, match=r"of another fit \(precision differs\); delete it to start again"):
        UNetHead(**{**SMALL, "precision": then}).fit_blocks(data, checkpoint=tmp_path / "fit")


def test_auto_is_what_the_processor_is_faster_in_and_is_reported(seen_store, images_of, tmp_path):
    data = images_of(seen_store)
    fastest = choose_precision("auto", "cpu", "training")
    usual = UNetHead(**SMALL).fit_blocks(data, checkpoint=tmp_path / "fit")
    assert usual.report().details["precision"] == fastest
    assert same(usual, UNetHead(**{**SMALL, "precision": fastest}).fit_blocks(data, checkpoint=tmp_path / "fit"))


def test_an_unknown_precision_is_refused_before_anything_is_read(seen_store, images_of):
    with pytest.raises(TedmError, match="there is no precision 'float16'; choose auto, float32 or bfloat16"):
        UNetHead(**{**SMALL, "precision": "float16"}).fit_blocks(images_of(seen_store))
