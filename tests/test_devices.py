"""Where torch computes: nothing falls back in silence."""

from __future__ import annotations

import pytest
import torch

from tedm.devices import choose_device
from tedm.errors import TedmError


def test_auto_is_cuda_where_there_is_one():
    assert choose_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_that_is_not_there_is_refused():
    with pytest.raises(TedmError, match="there is no CUDA device here"):
        choose_device("cuda")


def test_an_unknown_device_is_refused():
    with pytest.raises(TedmError, match="there is no device 'tpu'; choose auto, cpu or cuda"):
        choose_device("tpu")
