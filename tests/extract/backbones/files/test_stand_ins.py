"""Harmless values beside the weights of a checkpoint."""

import argparse
import collections
import datetime
import pathlib
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tedm.errors import TedmError
from tedm.extract.backbones import load_backbone, random_backbone
from tedm.extract.backbones.files.stand_ins import STAND_INS
from tedm.extract.backbones.tedm import content


def saved(path: Path, *, archive: bool = True, config: object = None, **beside: object) -> Path:
    """A file in the published format, with something beside the weights."""
    ours = content(random_backbone())
    whole = {"model_state_dict": dict(ours.tensors), "config": config or dict(ours.config), "step": 3, **beside}
    torch.save(whole, path, _use_new_zipfile_serialization=archive)
    return path


HARMLESS: dict[str, object] = {
    "numpy numbers": [np.float64(1.5), np.int64(3), np.float32(0.1), np.bool_(True)],
    "numpy arrays": {"loss": np.arange(5.0), "big": np.ones((40, 30)), "bytes": np.zeros(3, np.uint8)},
    "numpy types": [np.dtype("float32"), np.dtype(">i4")],
    "a random state": np.random.default_rng(0).bit_generator.state,
    "an old random state": np.random.RandomState(0).get_state(),
    "paths": [pathlib.Path("a/b"), pathlib.PurePosixPath("x"), pathlib.PureWindowsPath("c:/x")],
    "defaultdict": collections.defaultdict(list, a=[1]),
    "nested defaultdict": collections.defaultdict(dict, {"a": collections.defaultdict(int, b=2)}),
    "ordered": collections.OrderedDict(a=1),
    "counter": collections.Counter("aab"),
    "deque": collections.deque([1, 2], maxlen=3),
    "namespaces": [argparse.Namespace(a=argparse.Namespace(b=1)), types.SimpleNamespace(c=2)],
    "times": [datetime.datetime(2024, 1, 2), datetime.timedelta(3), datetime.date(2024, 1, 2)],
    "types": [float, int, str, list, dict, bool, tuple],
    "sets": [{1, 2}, frozenset({3})],
    "numbers": [1j, 2**70, -1, 3.5, None, True, b"bytes", bytes(3)],
    "of torch": [torch.float32, torch.device("cpu"), torch.Size([1, 2]), torch.__version__, torch.nn.Parameter(torch.ones(2))],
}


@pytest.mark.parametrize("what", HARMLESS)
@pytest.mark.parametrize("archive", [True, False], ids=["zip", "old"])
def test_harmless_values_beside_the_weights_do_no_harm(tmp_path: Path, what: str, archive: bool) -> None:
    backbone = load_backbone(saved(tmp_path / "net.pt", archive=archive, extra=HARMLESS[what]))
    assert backbone.step == 3


def test_settings_of_numpy_numbers_are_read_as_numbers(tmp_path: Path) -> None:
    plain = dict(content(random_backbone()).config)
    of_numpy = {
        **plain,
        "dim": np.int64(8),
        "dim_mults": np.array([1, 2]),
        "img_size": np.uint16(16),
        "timesteps": np.int32(1000),
    }
    backbone = load_backbone(saved(tmp_path / "net.pt", config=of_numpy, step=np.int64(7)))
    assert (backbone.image_size, len(backbone.levels), backbone.step) == (16, 2, 7)
    load_backbone(saved(tmp_path / "net.pt", config={**plain, "dim": np.array([8], ">i2")[0]}))


def test_no_stand_in_is_what_it_stands_for() -> None:
    """Nothing of NumPy, pathlib or Lightning is called: only what is ours, and two plain classes."""
    others = {name for name, ours in STAND_INS.items() if not ours.__module__.startswith("tedm.")}
    assert {STAND_INS[name] for name in others} == {argparse.Namespace, dict}


class Trainer:
    """A class that a training code keeps in its checkpoints."""

    def __init__(self) -> None:
        self.state = 3


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Trainer(), "Trainer"),
        (np.random.default_rng(0), "numpy.random"),
        (torch.nn.Linear(1, 1), r"torch\.nn\.modules\.linear\.Linear"),
    ],
)
def test_a_class_that_is_not_known_is_named_with_what_to_do(tmp_path: Path, value: Any, named: str) -> None:
    import sys

    sys.modules.setdefault(Trainer.__module__, sys.modules[__name__])  # where pickle looks for it
    with pytest.raises(TedmError, match=rf"would run code.*{named}.*Nothing was run.*torch\.save\(") as refused:
        load_backbone(saved(tmp_path / "net.pt", extra=value))
    assert "\n" not in str(refused.value)
