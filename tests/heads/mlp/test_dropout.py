"""What a step leaves out is a function of the seed."""

from __future__ import annotations

import pytest
import torch
from small_mlps import SMALL, data_of, same, state

from tedm.heads.mlp.dropout import Dropout, dropout_of_step
from tedm.heads.mlp.head import MLPHead


def test_dropout_leaves_units_out_of_a_step_and_never_of_a_prediction(make_store):
    data = data_of(make_store())
    dropped, again, plain = (MLPHead(**SMALL, dropout=rate).fit_blocks(data) for rate in (0.5, 0.5, 0.0))
    assert same(state(dropped), state(again))
    assert not same(state(dropped), state(plain))
    x = torch.ones(2, 400, 50)
    kept = Dropout(0.25, torch.Generator().manual_seed(0))(x)
    assert kept.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert 0.2 < float((kept == 0).float().mean()) < 0.3


def test_a_step_of_a_seed_leaves_out_the_same_and_another_something_else():
    x = torch.ones(1, 30, 8)
    first, again, other = (dropout_of_step(0.5, 0, step)(x) for step in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert dropout_of_step(0.0, 0, 3) is None
