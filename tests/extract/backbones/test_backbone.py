import contextlib
import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from tedm.errors import TedmError
from tedm.extract.backbones import Backbone, random_backbone
from tedm.store.settings import Level, Precision


def images(count: int, *, channels: int = 1, side: int = 16) -> Tensor:
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(count))


def prepared(precision: Precision, *, width: int = 8, multipliers: tuple[int, ...] = (1, 2)) -> Backbone:
    return random_backbone(width=width, multipliers=multipliers).prepare(
        "cpu", precision=precision, channels_last=precision == "bfloat16"
    )


def full_pass(backbone: Backbone, x_t: Tensor, timesteps: Tensor) -> list[Tensor]:
    """The taps' outputs with hooks of our own, which end nothing."""
    outputs: dict[str, list[Tensor]] = {tap: [] for tap in backbone.taps}
    with contextlib.ExitStack() as hooks:
        for tap in backbone.taps:
            module = backbone.network.get_submodule(tap)
            hook = module.register_forward_hook(lambda module, inputs, output, tap=tap: outputs[tap].append(output))
            hooks.callback(hook.remove)
        for entry, timestep in zip(x_t.split(1), timesteps.split(1), strict=True):  # with threads their order is nobody's
            backbone.predict_noise(entry, timestep)
    return [torch.cat(outputs[tap]) for tap in backbone.taps]


def hooks_left(backbone: Backbone) -> int:
    return sum(len(module._forward_hooks) for module in backbone.network.modules())


def test_activations_have_the_shapes_that_the_levels_say() -> None:
    backbone = random_backbone(width=8, multipliers=(1, 2, 4), image_channels=3, image_size=32)
    activations = backbone.activations(images(2, channels=3, side=32), torch.tensor([3, 999]))
    assert backbone.levels == (Level("level0", 32, 4), Level("level1", 16, 2), Level("level2", 8, 1))
    assert [tuple(activation.shape) for activation in activations] == [(2, 32, 8, 8), (2, 16, 16, 16), (2, 8, 32, 32)]


def test_ending_the_pass_early_changes_no_bit() -> None:
    backbone = random_backbone()
    x_t, timesteps = images(3), torch.tensor([1, 200, 800])
    for early, full in zip(backbone.activations(x_t, timesteps), full_pass(backbone, x_t, timesteps), strict=True):
        assert torch.equal(early, full)


def test_the_pass_ends_at_the_last_level_needed() -> None:
    backbone = random_backbone().with_levels(["level0"])
    called = []
    for name in ("ups.0.2", "ups.0.3", "ups.1.0", "final_conv"):
        backbone.network.get_submodule(name).register_forward_hook(lambda *_, name=name: called.append(name))
    backbone.activations(images(1), torch.tensor([5]))
    assert called == ["ups.0.2"]


def test_levels_are_a_subset_in_the_order_of_computation() -> None:
    backbone = random_backbone(multipliers=(1, 2, 4))
    chosen = backbone.with_levels(["level2", "level0"])
    assert [level.name for level in chosen.levels] == ["level0", "level2"]
    x_t, timesteps = images(2), torch.tensor([1, 10])
    every = backbone.activations(x_t, timesteps)
    for some, expected in zip(chosen.activations(x_t, timesteps), (every[0], every[2]), strict=True):
        assert torch.equal(some, expected)


@pytest.mark.parametrize("names", [[], ["level9"], ["level0", "ups.0"]])
def test_levels_that_do_not_exist_are_refused(names: list[str]) -> None:
    with pytest.raises(TedmError, match="level0, level1"):
        random_backbone().with_levels(names)


def test_no_hook_stays_behind() -> None:
    backbone = random_backbone()
    backbone.activations(images(1), torch.tensor([5]))
    assert hooks_left(backbone) == 0


def test_no_hook_stays_behind_when_the_network_fails() -> None:
    backbone = random_backbone()
    broken = dataclasses.replace(backbone, size_multiple=1)
    with pytest.raises(RuntimeError):  # a side of 15 gives skip connections that do not fit
        broken.activations(images(1, side=15), torch.tensor([5]))
    assert hooks_left(backbone) == 0


def test_no_hook_stays_behind_when_a_tap_does_not_exist() -> None:
    backbone = random_backbone()
    broken = dataclasses.replace(backbone, taps=("ups.0.2", "ups.7.2"))
    with pytest.raises(AttributeError):
        broken.activations(images(1), torch.tensor([5]))
    assert hooks_left(backbone) == 0


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("batch", "threads"), [(2, 1), (3, 2)])
def test_an_entry_does_not_depend_on_its_neighbours_or_its_slot(
    precision: Precision, batch: int, threads: int, request: pytest.FixtureRequest
) -> None:
    # with this width, this side, 3 entries and 2 threads, batches as torch computes them fail this test
    before = torch.get_num_threads()
    request.addfinalizer(lambda: torch.set_num_threads(before))
    torch.set_num_threads(threads)
    backbone = prepared(precision, width=40)
    entry, timestep = images(1, side=36), 10
    seen: list[list[Tensor]] = []
    for slot in range(batch):
        x_t, timesteps = images(batch, side=36) * (slot + 1), torch.arange(batch) * 111 + slot
        x_t[slot], timesteps[slot] = entry[0], timestep
        seen.append([activation[slot] for activation in backbone.activations(x_t, timesteps)])
    padded = backbone.activations(torch.cat([entry] * batch), torch.full((batch,), timestep))
    seen.append([activation[0] for activation in padded])
    for other in seen[1:]:
        assert all(torch.equal(first, second) for first, second in zip(seen[0], other, strict=True))


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 5e-2)])
def test_batch_sizes_agree_to_rounding(precision: Precision, tolerance: float) -> None:
    backbone = prepared(precision, width=16, multipliers=(1, 2, 4))
    x_t, timesteps = images(4), torch.arange(4) * 111
    together = backbone.activations(x_t, timesteps)
    for entry in range(4):
        alone = backbone.activations(x_t[entry : entry + 1], timesteps[entry : entry + 1])
        for one, many in zip(alone, together, strict=True):
            assert (one[0].float() - many[entry].float()).abs().max() <= tolerance * many.float().abs().max()


def test_bfloat16_is_close_to_float32() -> None:
    x_t, timesteps = images(4), torch.tensor([1, 50, 400, 800])
    exact = prepared("float32").activations(x_t, timesteps)
    for rounded, expected in zip(prepared("bfloat16").activations(x_t, timesteps), exact, strict=True):
        assert rounded.dtype == torch.bfloat16
        assert (rounded.float() - expected).abs().max() < 5e-2 * expected.abs().max()


def test_bfloat16_tells_neighbouring_timesteps_apart() -> None:
    # 800 and 801 are one number in bfloat16
    embedded = prepared("bfloat16").network.get_submodule("time_mlp")(torch.tensor([800, 801]))
    assert embedded.dtype == torch.float32
    assert not torch.equal(embedded[0], embedded[1])


def test_rounding_leaves_the_backbone_as_it_was() -> None:
    backbone, x_t, timesteps = random_backbone(), torch.randn(2, 1, 16, 16), torch.tensor([1, 400])
    before = backbone.activations(x_t, timesteps)
    backbone.prepare("cpu", precision="bfloat16", channels_last=True).activations(x_t, timesteps)
    again = backbone.prepare("cpu").activations(x_t, timesteps)
    for level, expected in zip(again, before, strict=True):
        assert torch.equal(level, expected)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_prepared_is_not_prepared_again(precision: Precision) -> None:
    backbone = prepared(precision)
    assert backbone.prepare("cpu", precision=precision, channels_last=backbone.channels_last) is backbone
    other = backbone.prepare("cpu", precision=precision, channels_last=not backbone.channels_last)
    assert other is not backbone
    # the network is one, and was moved: the first is not ready any more, whatever its fields say
    again = backbone.prepare("cpu", precision=precision, channels_last=backbone.channels_last)
    weight = next(
        weight for weight in again.network.parameters() if weight.ndim == 4 and weight.shape[-1] > 1 < weight.shape[1]
    )
    assert weight.is_contiguous(memory_format=torch.channels_last) is backbone.channels_last


def test_a_network_that_cannot_be_copied_is_not_rounded_and_says_so() -> None:
    backbone = random_backbone()
    backbone.network.history = torch.ones(1, requires_grad=True) * 2
    with pytest.raises(TedmError, match="cannot be copied to round its weights.*; use --precision float32"):
        backbone.prepare("cpu", precision="bfloat16")
    backbone.prepare("cpu")


def test_weights_that_were_rounded_are_not_called_float32() -> None:
    with pytest.raises(TedmError, match="load the checkpoint again"):
        prepared("bfloat16").prepare("cpu", precision="float32")


def test_a_network_that_predicts_the_image_predicts_the_noise_with_it() -> None:
    backbone = dataclasses.replace(random_backbone(), predicts="image")
    x_t, timesteps = images(2), torch.tensor([100, 500])
    with torch.inference_mode():
        image = backbone.network(x_t, timesteps)
    noise = backbone.predict_noise(x_t, timesteps)
    torch.testing.assert_close(backbone.schedule.x_t(image, noise, timesteps), x_t)


def test_activations_need_no_gradients() -> None:
    backbone = random_backbone()
    assert not backbone.network.training
    assert not any(parameter.requires_grad for parameter in backbone.network.parameters())
    assert not any(activation.requires_grad for activation in backbone.activations(images(1), torch.tensor([5])))


def test_a_size_that_the_network_cannot_halve_is_refused() -> None:
    with pytest.raises(TedmError, match="multiples of 4. The nearest size is 28 or 32"):
        random_backbone(multipliers=(1, 2, 4)).activations(images(1, side=30), torch.tensor([5]))
    with pytest.raises(TedmError, match="multiples of 2. The nearest size is 14 or 16"):
        random_backbone(image_size=15)


def test_images_of_other_channels_are_refused() -> None:
    with pytest.raises(TedmError, match=r"\(batch, 1, height, width\), got \(1, 3, 16, 16\)"):
        random_backbone().activations(images(1, channels=3), torch.tensor([5]))


@pytest.mark.parametrize("device", ["tpu", "cuda:99", "meta", "mps"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(TedmError, match="use"):
        random_backbone().prepare(device)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_agrees_with_a_cpu() -> None:
    x_t, timesteps = images(4), torch.tensor([1, 50, 400, 800])
    expected = random_backbone().activations(x_t, timesteps)
    for ours, theirs in zip(random_backbone().prepare("cuda").activations(x_t, timesteps), expected, strict=True):
        assert (ours.cpu() - theirs).abs().max() < 1e-4 * theirs.abs().max()


def test_random_backbones_are_functions_of_their_seed() -> None:
    assert random_backbone(seed=1).sha256 == random_backbone(seed=1).sha256 != random_backbone(seed=2).sha256


def test_making_a_random_backbone_leaves_torchs_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    random_backbone()
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("settings", [{"width": 12}, {"multipliers": ()}, {"multipliers": (1, 0)}, {"image_channels": 0}])
def test_a_network_that_cannot_be_made_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(TedmError):
        random_backbone(**settings)
