"""Where torch computes: nothing falls back in silence."""

from __future__ import annotations

import pytest
import torch

from tedm import devices
from tedm.devices import choose_device, choose_precision, repeatable_convolutions
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


@pytest.mark.parametrize(
    ("vendor", "flags", "faster"),
    [
        ("GenuineIntel", "avx512f", "float32"),
        ("GenuineIntel", "avx512_bf16", "float32"),
        ("GenuineIntel", "avx512_bf16 amx_bf16", "bfloat16"),
        ("AuthenticAMD", "avx512f", "float32"),
        ("AuthenticAMD", "avx512_bf16", "bfloat16"),
    ],
)
def test_auto_is_bfloat16_where_the_processor_is_faster_in_it(monkeypatch, vendor, flags, faster):
    monkeypatch.setattr(devices, "cpuinfo", {"vendor_id": vendor, "flags": flags}.__getitem__)
    assert [choose_precision("auto", "cpu", work) for work in ("convolutions", "training", "products")] == 3 * [faster]
    assert choose_precision("float32", "cpu", "products") == "float32"
    assert choose_precision("bfloat16", "cpu", "convolutions") == "bfloat16"


@pytest.mark.parametrize(("capability", "passes"), [((9, 0), "bfloat16"), ((8, 0), "bfloat16"), ((7, 5), "float32")])
def test_on_a_gpu_auto_is_bfloat16_for_passes_without_gradients_alone(monkeypatch, capability, passes):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: capability)
    chosen = [choose_precision("auto", "cuda", work) for work in ("convolutions", "training", "products")]
    assert chosen == [passes, "float32", "float32"]


@pytest.mark.parametrize("exact", [True, False])
def test_factors_are_rounded_only_where_that_is_allowed_and_torch_is_as_before_afterwards(exact):
    import torch

    def settings():
        return torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark

    before = settings()
    with repeatable_convolutions(exact=exact):
        assert settings() == (not exact, True, False)
    assert settings() == before


def test_an_unknown_precision_is_refused():
    with pytest.raises(TedmError, match="there is no precision 'half'; choose auto, float32 or bfloat16"):
        choose_precision("half", "cpu", "products")
