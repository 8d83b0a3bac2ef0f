"""Steps whose layers but the last multiply in bfloat16: near those in float32, and as reproducible."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_mlps import SMALL, data_of, same, state

from tedm.devices import choose_precision
from tedm.errors import TedmError
from tedm.heads.data.rows import dense_rows
from tedm.heads.mlp.asked import precision_of
from tedm.heads.mlp.head import MLPHead
from tedm.heads.mlp.row_layers import rounded_product

ROUNDED = {**SMALL, "precision": "bfloat16"}
UNIT = 2.0**-8  # twice the relative rounding of bfloat16


def test_a_rounded_product_and_its_gradients_are_those_of_rounded_factors():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(2, 37, 12, generator=generator).bfloat16()
    weight, bias = (torch.randn(2, shape, 5, generator=generator).requires_grad_() for shape in (12, 1))
    target = torch.randn(2, 37, 5, generator=generator)
    out = rounded_product(rows, weight, bias)
    out.backward(target)
    assert (out.dtype, weight.grad.dtype, bias.grad.dtype) == (torch.float32,) * 3
    exact = rows.double() @ weight.detach().bfloat16().double()
    by_weight = rows.double().mT @ target.bfloat16().double()
    for found, expected in ((out.detach() - bias.detach(), exact), (weight.grad, by_weight)):
        assert ((found - expected).abs() <= UNIT * expected.abs() + 1e-5).all()
    assert not torch.equal(weight.grad.double(), by_weight)
    torch.testing.assert_close(bias.grad, target.sum(1, keepdim=True))


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("rows", ["share", "concatenate"])
def test_the_first_step_is_near_that_in_float32(make_store, rows, upsampling, standardise):
    data = data_of(make_store(upsampling=upsampling), rows)
    of = {**SMALL, "iterations": 1, "standardise": standardise}
    exact, rounded = (MLPHead(2, **of, precision=precision).fit_blocks(data) for precision in ("float32", "bfloat16"))
    assert rounded.loss_curve_[0] == pytest.approx(exact.loss_curve_[0], rel=0.02)
    assert rounded.loss_curve_ != exact.loss_curve_
    for name, ours in state(rounded).items():
        if name.startswith("mean"):  # of a tenth of one step: what it would be in float32 but for rounding
            torch.testing.assert_close(ours, state(exact)[name], rtol=0.02, atol=2e-3)


def test_the_loss_falls_as_in_float32(make_store):
    data = data_of(make_store())
    of = {**SMALL, "iterations": 200, "learning_rate": 1e-2}
    exact, rounded = (MLPHead(2, **of, precision=precision).fit_blocks(data) for precision in ("float32", "bfloat16"))
    assert np.mean(rounded.loss_curve_[-20:]) < 0.75 * np.mean(rounded.loss_curve_[:5])
    assert np.mean(rounded.loss_curve_[-20:]) == pytest.approx(np.mean(exact.loss_curve_[-20:]), rel=0.1)


def test_a_seed_gives_its_bits_and_an_interrupted_fit_goes_on_to_them(make_store, tmp_path):
    data = data_of(make_store())
    whole = MLPHead(**ROUNDED).fit_blocks(data)

    def stop(done, total, loss):
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MLPHead(**ROUNDED).fit_blocks(data, progress=stop, checkpoint=tmp_path / "fit")
    assert same(state(MLPHead(**ROUNDED).fit_blocks(data)), state(whole))
    assert same(state(MLPHead(**ROUNDED).fit_blocks(data, checkpoint=tmp_path / "fit")), state(whole))
    assert not same(state(MLPHead(**SMALL, precision="float32").fit_blocks(data)), state(whole))


@pytest.mark.parametrize(("first", "then"), [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_a_fit_goes_on_in_the_precision_that_it_began_in_only(make_store, tmp_path, first, then):
    data = data_of(make_store())
    MLPHead(**SMALL, precision=first).fit_blocks(data, checkpoint=tmp_path / "fit")
    with pytest.raises(TedmError, match=r"of another fit \(precision differs\); delete it to start again"):
        MLPHead(**SMALL, precision=then).fit_blocks(data, checkpoint=tmp_path / "fit")


def test_a_head_says_in_which_precision_it_learned_and_predicts_in_float32(make_store, tmp_path):
    data = data_of(make_store())
    head = MLPHead(2, **ROUNDED).fit_blocks(data)
    assert head.report().details["precision"] == "bfloat16"
    plain = MLPHead(2, **SMALL, precision="float32").fit_blocks(data)
    assert plain.report().details["precision"] == "float32"
    fastest = choose_precision("auto", "cpu", "products")
    usual = MLPHead(2, **SMALL).fit_blocks(data)
    assert usual.report().details["precision"] == fastest
    assert same(state(usual), state(plain if fastest == "float32" else head))
    head.save(tmp_path)
    again = MLPHead(**head.constructor())
    again.restore(tmp_path, features=5, classes=2)
    block = data.features.block("one")
    assert np.array_equal(again.opinions(block, "share"), head.opinions(block, "share"))
    with torch.inference_mode():
        exact = head.network_(torch.from_numpy(dense_rows(block, "share")).float()[None]).softmax(dim=-1).numpy()
    np.testing.assert_allclose(head.opinions(block, "share"), exact, rtol=0, atol=1e-5)


def test_whole_images_and_arrays_are_float32_where_nobody_asks_otherwise(rng):
    asked = {**MLPHead().get_params(), "precision": "auto"}
    assert precision_of(asked, arrays=True) == "float32"
    assert precision_of({**asked, "batch": "images"}) == "float32"
    x = rng.normal(size=(100, 3))
    head = MLPHead(**{**SMALL, "iterations": 2}, precision="bfloat16").fit(x, (x[:, 0] > 0).astype(int))
    assert head.precision_ == "bfloat16"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"precision": "float16"}, "there is no precision 'float16'; choose auto, float32 or bfloat16"),
        ({"precision": "bfloat16", "batch": "images"}, "bfloat16 is for batches of pixels; leave it out"),
    ],
)
def test_what_cannot_be_is_refused(make_store, wrong, message):
    with pytest.raises(TedmError, match=message):
        MLPHead(**{**SMALL, **wrong}).fit_blocks(data_of(make_store(), "share"))
