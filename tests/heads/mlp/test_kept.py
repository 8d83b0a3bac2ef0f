"""A kept network is the one that was kept, and a file that cannot be one is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tedm.heads.base.weights import write_weights
from tedm.heads.mlp.kept import read_network
from tedm.heads.mlp.network import Committee

SHAPE = {"members": 2, "hidden": (6, 4), "features": 5, "classes": 3}


def write(path, **changes):
    network = Committee(2, 5, (6, 4), 3, torch.Generator().manual_seed(0))
    arrays = {name: tensor.numpy().copy() for name, tensor in network.state_dict().items()}
    arrays.update(changes)
    write_weights(path, {name: array for name, array in arrays.items() if array is not None})
    return network.eval()


def test_what_is_read_gives_the_logits_of_what_was_written(tmp_path):
    network = write(tmp_path / "weights", seen=np.array([True, False, True]))
    network.get_buffer("seen")[1] = False
    rows = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(1))
    read = read_network(tmp_path / "weights", **SHAPE).eval()
    assert torch.equal(read(rows), network(rows))
    assert torch.isinf(read(rows)[..., 1]).all()


def test_a_network_of_before_has_seen_all_classes(tmp_path):
    write(tmp_path / "weights", seen=None)
    assert read_network(tmp_path / "weights", **SHAPE).get_buffer("seen").tolist() == [True] * 3


@pytest.mark.parametrize(
    ("changes", "shape", "said"),
    [
        ({"variance_0": np.full((2, 1, 6), -1, np.float32)}, {}, "a variance in weights is negative"),
        ({"seen": np.zeros(3, bool)}, {}, "no class is seen in weights"),
        ({"biases.0": np.full((2, 1, 6), np.nan, np.float32)}, {}, "finite"),
        ({}, {"members": 0}, "cannot be of 0 members"),
        ({}, {"hidden": (6, True)}, "hidden layers of 6, True"),
        ({}, {"features": 6}, r"is F32 of \[2, 5, 6\]; it should be"),
    ],
)
def test_a_file_that_cannot_be_that_network_is_refused(tmp_path, changes, shape, said):
    write(tmp_path / "weights", **changes)
    with pytest.raises(ValueError, match=said):
        read_network(tmp_path / "weights", **{**SHAPE, **shape})
