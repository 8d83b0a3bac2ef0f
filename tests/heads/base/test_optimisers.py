"""Adam without torch's compiler: its bits, its states, and what is not imported."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from tedm.heads.base.optimisers import Adam, AdamW

KINDS = [(Adam, torch.optim.Adam), (AdamW, torch.optim.AdamW)]


def trained(kind: type[torch.optim.Adam], steps: int, state: dict | None = None, start: torch.Tensor | None = None):
    """A parameter after some steps downhill, and its optimiser."""
    parameter = torch.nn.Parameter(torch.linspace(-1, 2, 7) if start is None else start.clone())
    optimiser = kind([parameter], lr=0.1, weight_decay=0.01, fused=True)
    if state is not None:
        optimiser.load_state_dict(state)
    for _ in range(steps):
        optimiser.zero_grad()
        (parameter**4 - parameter).sum().backward()
        optimiser.step()
    return parameter.detach(), optimiser


@pytest.mark.parametrize(("ours", "torchs"), KINDS)
def test_its_bits_are_torchs(ours, torchs):
    (mine, one), (theirs, other) = trained(ours, 5), trained(torchs, 5)
    assert torch.equal(mine, theirs)
    assert torch.equal(one.state_dict()["state"][0]["exp_avg_sq"], other.state_dict()["state"][0]["exp_avg_sq"])
    assert isinstance(one, torchs)


@pytest.mark.parametrize(("ours", "torchs"), KINDS)
def test_a_state_of_torchs_is_gone_on_from(ours, torchs):
    halfway, theirs = trained(torchs, 2)
    assert torch.equal(trained(ours, 3, theirs.state_dict(), halfway)[0], trained(torchs, 5)[0])


def test_steps_do_not_import_the_compiler():
    code = """import sys, torch
from tedm.heads.base.optimisers import Adam, AdamW
for kind in (Adam, AdamW):
    parameter = torch.nn.Parameter(torch.ones(3))
    optimiser = kind([parameter], fused=True)
    parameter.sum().backward()
    optimiser.step()
    optimiser.zero_grad()
    optimiser.load_state_dict(optimiser.state_dict())
print(sorted({"torch._dynamo", "sympy"} & set(sys.modules)))"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
