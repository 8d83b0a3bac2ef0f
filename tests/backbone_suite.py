"""What holds for every backbone, whatever its family: a family's test inherits `BackboneSuite` and says how one is made."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tedm.errors import TedmError
from tedm.extract import extract, read_manifest
from tedm.extract.backbones import Backbone
from tedm.heads import evaluate, fit, method_named, summarise


def images(backbone: Backbone, count: int) -> Tensor:
    """Noise of the backbone's size and channels, a function of `count`."""
    side = backbone.image_size
    return torch.randn(count, backbone.image_channels, side, side, generator=torch.Generator().manual_seed(count))


def full_pass(backbone: Backbone, x_t: Tensor, timesteps: Tensor) -> list[Tensor]:
    """The taps' outputs in passes of one entry and one thread to the network's end, with hooks of our own."""
    threads = torch.get_num_threads()
    outputs: dict[str, list[Tensor]] = {tap: [] for tap in backbone.taps}
    with contextlib.ExitStack() as hooks, torch.inference_mode():
        for tap in backbone.taps:
            module = backbone.network.get_submodule(tap)
            hook = module.register_forward_hook(lambda module, inputs, output, tap=tap: outputs[tap].append(output.clone()))
            hooks.callback(hook.remove)
        hooks.callback(torch.set_num_threads, threads)
        torch.set_num_threads(1)  # some processors add up in another order where two share an operation
        for entry, timestep in zip(x_t.split(1), timesteps.split(1), strict=True):
            backbone.network(entry.clone(), timestep)
    return [torch.cat(outputs[tap]) for tap in backbone.taps]


class BackboneSuite:
    """Inherit, and define `load`; random weights will do, constant ones will not."""

    bfloat16_tolerance = 5e-2  # of each level's largest value
    sees_timesteps = True

    def load(self, folder: Path) -> Backbone:
        """A small backbone with all its levels, of files written to `folder`; equal at every call."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def backbone(cls, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
        return cls().load(tmp_path_factory.mktemp("backbone"))

    def timesteps(self, backbone: Backbone, count: int) -> Tensor:
        """Timesteps from all over the schedule, no two alike if it has as many."""
        total = backbone.schedule.timesteps_total
        return (torch.arange(count) * total // count + 1).clamp(max=total - 1)

    def test_shapes_and_strides_are_as_declared(self, backbone: Backbone) -> None:
        activations = backbone.activations(images(backbone, 2), self.timesteps(backbone, 2))
        assert len(backbone.levels) == len(backbone.taps) > 1
        assert len({level.name for level in backbone.levels}) == len(backbone.levels)
        for level, activation in zip(backbone.levels, activations, strict=True):
            side = backbone.image_size // level.stride
            assert side * level.stride == backbone.image_size
            assert activation.shape == (2, level.channels, side, side)
            assert torch.isfinite(activation).all()
            assert activation.std() > 0

    def test_presets_name_levels(self, backbone: Backbone) -> None:
        names = {level.name for level in backbone.levels}
        assert backbone.presets
        for chosen in backbone.presets.values():
            assert chosen
            assert set(chosen) <= names

    def test_no_hook_stays_behind(self, backbone: Backbone) -> None:
        backbone.activations(images(backbone, 1), self.timesteps(backbone, 1))
        assert sum(len(module._forward_hooks) for module in backbone.network.modules()) == 0

    @pytest.mark.parametrize("threads", [1, 2])
    def test_an_entry_is_independent_of_its_neighbours(
        self, backbone: Backbone, threads: int, request: pytest.FixtureRequest
    ) -> None:
        before = torch.get_num_threads()
        request.addfinalizer(lambda: torch.set_num_threads(before))
        torch.set_num_threads(threads)
        entry, timestep = images(backbone, 1), self.timesteps(backbone, 1)
        alone = backbone.activations(entry, timestep)
        for slot in range(3):
            x_t, timesteps = images(backbone, 3) * (slot + 1), self.timesteps(backbone, 3)
            x_t[slot], timesteps[slot] = entry[0], timestep[0]
            for expected, found in zip(alone, backbone.activations(x_t, timesteps), strict=True):
                assert torch.equal(expected[0], found[slot])

    def test_ending_early_changes_no_bit(self, backbone: Backbone) -> None:
        x_t, timesteps = images(backbone, 2), self.timesteps(backbone, 2)
        for early, full in zip(backbone.activations(x_t, timesteps), full_pass(backbone, x_t, timesteps), strict=True):
            assert torch.equal(early, full)

    def test_a_level_alone_has_the_bits_that_it_has_in_company(self, backbone: Backbone) -> None:
        x_t, timesteps = images(backbone, 1), self.timesteps(backbone, 1)
        every = backbone.activations(x_t, timesteps)
        for index, level in enumerate(backbone.levels):
            [alone] = backbone.with_levels([level.name]).activations(x_t, timesteps)
            assert torch.equal(alone, every[index])

    def test_bfloat16_is_close_to_float32(self, backbone: Backbone) -> None:
        x_t, timesteps = images(backbone, 2), self.timesteps(backbone, 2)
        exact = backbone.activations(x_t, timesteps)
        rounded = backbone.prepare("cpu", precision="bfloat16", channels_last=True)
        for ours, expected in zip(rounded.activations(x_t, timesteps), exact, strict=True):
            assert ours.dtype == torch.bfloat16
            assert (ours.float() - expected).abs().max() <= self.bfloat16_tolerance * expected.abs().max()

    def test_it_is_deterministic(self, backbone: Backbone, tmp_path: Path) -> None:
        again = self.load(tmp_path)
        assert again.sha256 == backbone.sha256
        x_t, timesteps = images(backbone, 2), self.timesteps(backbone, 2)
        first = backbone.activations(x_t, timesteps)
        for other in (backbone.activations(x_t, timesteps), again.activations(x_t, timesteps)):
            assert all(torch.equal(one, two) for one, two in zip(first, other, strict=True))

    def test_the_timestep_matters_if_it_should(self, backbone: Backbone) -> None:
        x_t = torch.cat([images(backbone, 1)] * 2)
        total = backbone.schedule.timesteps_total
        first, second = backbone.activations(x_t, torch.tensor([0, total - 1]))[-1]
        assert torch.equal(first, second) != self.sees_timesteps

    def test_images_of_other_channels_are_refused(self, backbone: Backbone) -> None:
        side = backbone.image_size
        with pytest.raises(TedmError, match="number of channels"):
            backbone.activations(torch.zeros(1, 2, side, side), self.timesteps(backbone, 1))

    def test_sizes_that_cannot_be_halved_are_refused_with_the_nearest(self, backbone: Backbone) -> None:
        multiple, side = backbone.size_multiple, backbone.image_size + 1
        with pytest.raises(TedmError, match=f"{side // multiple * multiple} or {side // multiple * multiple + multiple}"):
            backbone.activations(torch.zeros(1, backbone.image_channels, side, side), self.timesteps(backbone, 1))

    def test_it_goes_from_images_to_scores(self, backbone: Backbone, dataset: Path, tmp_path: Path) -> None:
        timestep = min(5, backbone.schedule.timesteps_total - 1)
        settings: dict[str, Any] = {"timesteps": (timestep,), "device": "cpu", "precision": "float32", "threads": 1}
        store = extract(read_manifest(dataset), tmp_path / "store", backbone.choose(), **settings).store
        head = fit(store, method_named(f"timestep:{timestep}"), images=3, seed=0)
        scores = evaluate(store, {"probe": head}, split="test")
        assert "Dice" in summarise(scores).to_text() or "dice" in summarise(scores).to_text()


def outputs_of(
    modules: Sequence[nn.Module], network: Callable[[Tensor, Tensor], object], x_t: Tensor, timesteps: Tensor
) -> list[Tensor]:
    """What modules of somebody's network give in its own passes, entry by entry."""
    seen: list[list[Tensor]] = [[] for _ in modules]
    with contextlib.ExitStack() as hooks, torch.inference_mode():
        for module, outputs in zip(modules, seen, strict=True):
            hook = module.register_forward_hook(lambda module, inputs, output, outputs=outputs: outputs.append(output.clone()))
            hooks.callback(hook.remove)
        for entry, timestep in zip(x_t.split(1), timesteps.split(1), strict=True):
            network(entry.clone(), timestep)
    return [torch.cat(outputs) for outputs in seen]
