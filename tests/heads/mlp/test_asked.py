"""Decays and smoothing are as asked for, and a fit that was interrupted is of the same settings."""

from __future__ import annotations

import pytest
import torch
from small_mlps import SMALL, data_of, same, state

from tedm.errors import TedmError
from tedm.heads.base.loop import rate_of_step
from tedm.heads.mlp import asked
from tedm.heads.mlp.head import MLPHead


def test_weights_decay_and_rates_fall_as_torchs_own(make_store):
    data = data_of(make_store())
    plain, decayed, falling = (
        MLPHead(**{**SMALL, "iterations": 20}, **more).fit_blocks(data) for more in ({}, {"weight_decay": 5.0}, {"decay": True})
    )
    norms = [
        float(torch.cat([weights.flatten() for weights in head.network_.weights]).detach().norm()) for head in (plain, decayed)
    ]
    assert norms[1] < 0.95 * norms[0]
    assert not same(state(plain), state(falling))
    # the first step has the whole rate: one iteration of a hundred moves a weight by 1e-3, the last by next to nothing
    assert rate_of_step(1e-3, 99, 100, decay=True) < 2e-5


def test_smoothed_labels_cost_more_in_batches_of_whole_images_too(make_store):
    store, losses = make_store(), []
    data = data_of(store)
    for smoothing in (0.0, 0.3):
        head = MLPHead(**SMALL, batch="images", label_smoothing=smoothing).fit_blocks(data)
        losses.append(head.loss_curve_[-1])
    assert losses[1] > losses[0] + 0.03  # even a perfect network pays for labels that are not sure


def test_a_fit_of_standardised_features_goes_on_to_the_same_bits(make_store, tmp_path):
    data = data_of(make_store())
    options = {**SMALL, "standardise": True, "dropout": 0.2, "decay": True, "weight_decay": 0.01}
    whole = MLPHead(**options).fit_blocks(data)

    def stop(done, total, loss):
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MLPHead(**options).fit_blocks(data, progress=stop, checkpoint=tmp_path / "fit")
    assert same(state(MLPHead(**options).fit_blocks(data, checkpoint=tmp_path / "fit")), state(whole))
    assert same(state(MLPHead(**options).fit_blocks(data, checkpoint=tmp_path / "fit")), state(whole))  # at its end


def test_a_checkpoint_of_other_settings_is_refused(make_store, tmp_path):
    data = data_of(make_store())
    MLPHead(**SMALL, label_smoothing=0.1).fit_blocks(data, checkpoint=tmp_path / "fit")
    with pytest.raises(TedmError, match="label smoothing"):
        MLPHead(**SMALL, label_smoothing=0.2).fit_blocks(data, checkpoint=tmp_path / "fit")


def test_a_checkpoint_of_the_arithmetic_before_is_refused_for_pixels_and_goes_on_for_images(make_store, tmp_path, monkeypatch):
    data = data_of(make_store())
    for batch in ("pixels", "images"):
        with monkeypatch.context() as before:
            before.setattr(asked, "REVISION", 0)
            before.setattr(asked, "ROUNDED_REVISION", 0)  # as a file from before there was one, which does not name it
            MLPHead(**SMALL, batch=batch).fit_blocks(data, checkpoint=tmp_path / batch)
    with pytest.raises(TedmError, match=r"another fit \(revision of the arithmetic differs\); delete it to start again"):
        MLPHead(**SMALL).fit_blocks(data, checkpoint=tmp_path / "pixels")
    MLPHead(**SMALL, batch="images").fit_blocks(data, checkpoint=tmp_path / "images")


@pytest.mark.parametrize(
    ("how", "revision"),
    [({"precision": "float32"}, 1), ({"precision": "bfloat16"}, 2), ({"batch": "images"}, 0)],
)
def test_a_head_says_which_arithmetic_made_it(make_store, how, revision):
    head = MLPHead(**SMALL, **how).fit_blocks(data_of(make_store()))
    assert head.report().details["revision"] == revision
