"""Which arithmetic is chosen, and that torch is set up for it and put back."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tedm import devices
from tedm.errors import TedmError
from tedm.extract import arithmetic as arithmetic_module
from tedm.extract.arithmetic import choose_arithmetic, on_this_machine, running


@pytest.mark.parametrize(("flags", "precision"), [("avx512f avx512_bf16", "float32"), ("avx512_bf16 amx_bf16", "bfloat16")])
def test_bfloat16_follows_from_the_processors_features(monkeypatch, flags, precision):
    monkeypatch.setattr(devices, "cpuinfo", lambda field: flags if field == "flags" else "a processor")
    chosen = choose_arithmetic(device="cpu")
    assert (chosen.precision, chosen.channels_last) == (precision, True)


def test_a_batch_gives_every_thread_an_entry():
    assert [choose_arithmetic(device="cpu", threads=threads).batch_size for threads in (1, 2, 3, 8, 12)] == [8, 8, 9, 8, 12]


def test_a_batch_on_a_gpu_has_as_many_pixels_whatever_their_size(monkeypatch):
    monkeypatch.setattr(arithmetic_module, "choose_device", lambda device: "cuda")
    monkeypatch.setattr(arithmetic_module, "choose_precision", lambda *_: "bfloat16")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    sizes = {size: choose_arithmetic(image_size=size).batch_size for size in (32, 64, 96, 128, 256, 512)}
    assert sizes == {32: 256, 64: 256, 96: 113, 128: 64, 256: 16, 512: 8}
    assert choose_arithmetic(image_size=64, batch_size=5).batch_size == 5


def test_another_revision_of_the_code_is_another_arithmetic():
    chosen = choose_arithmetic(device="cpu")
    old = {field.name: getattr(chosen, field.name) for field in dataclasses.fields(chosen) if field.name != "revision"}
    assert type(chosen)(**old).revision == 0 != chosen.revision
    assert "revision" in arithmetic_module.FIELDS


def torchs_settings() -> tuple[bool, bool, int]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.benchmark, torch.get_num_threads()


def test_float32_is_float32_while_it_runs_and_torch_is_as_before_afterwards(request):
    before = torchs_settings()

    def put_back() -> None:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.benchmark, _ = before

    request.addfinalizer(put_back)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.benchmark = True
    threads = torch.get_num_threads()
    with running(choose_arithmetic(device="cpu", threads=threads + 1)):
        assert torchs_settings() == (False, False, threads + 1)
    assert torchs_settings() == (True, True, threads)


def test_a_record_of_another_machine_keeps_what_does_not_depend_on_the_machine():
    recorded = dataclasses.replace(
        choose_arithmetic(device="cpu", batch_size=5), torch="1.0", processor="a slide rule", revision=0
    )
    assert on_this_machine(recorded) == choose_arithmetic(device="cpu", batch_size=5)


@pytest.mark.parametrize("name", ["batch_size", "threads"])
def test_numbers_below_one_are_refused(name):
    with pytest.raises(TedmError, match="is 0; it must be at least 1"):
        choose_arithmetic(device="cpu", **{name: 0})
