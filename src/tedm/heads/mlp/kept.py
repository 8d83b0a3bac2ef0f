"""A network that a head has kept, from its file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from tedm.heads.base.weights import read_weights, require_finite
from tedm.heads.mlp.network import Committee, hidden_sizes, parameter_shapes
from tedm.text import listed


def read_network(path: Path, members: int, hidden: Sequence[int] | None, features: int, classes: int) -> Committee:
    """Return the network whose weights lie in a file.

    Parameters
    ----------
    path : Path
    members : int
    hidden : sequence of int or None
        Widths of the hidden layers; None takes the usual ones.
    features, classes : int

    Raises
    ------
    ValueError
        If the numbers make no network, or the file is not of one like that.
    """
    hidden = hidden or hidden_sizes(classes)
    if not all(type(size) is int and size >= 1 for size in (members, *hidden)):
        raise ValueError(f"its weights cannot be of {members!r} members with hidden layers of {listed(hidden)}")
    # Older heads saw all of their classes. The file is looked at before a network of whatever size is made.
    shapes = parameter_shapes(members, features, hidden, classes)
    arrays = read_weights(path, shapes, flags={"seen": (classes,)})
    require_finite(arrays, where=path.name)
    if any((array < 0).any() for name, array in arrays.items() if name.startswith("variance_")):
        raise ValueError(f"a variance in {path.name} is negative")
    arrays.setdefault("seen", np.ones(classes, bool))
    if not arrays["seen"].any():
        raise ValueError(f"no class is seen in {path.name}")
    network = Committee(members, features, hidden, classes, torch.Generator())
    network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return network
