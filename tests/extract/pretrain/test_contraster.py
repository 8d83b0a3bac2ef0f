"""Networks that learn by contrast: what learns, what is drawn, what is kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from contrast_files import contrast_digits, write_contrasted
from torch import Tensor

from tedm.extract.pretrain import read_pretrained
from tedm.extract.pretrain.contraster import Contraster, ContrastSettings, map_side, regions_of
from tedm.extract.pretrain.losses import local_contrast, nt_xent
from tedm.extract.pretrain.views import change_intensity
from tedm.networks.pretrained import Pretrained

GLOBAL = ContrastSettings(
    image_size=16, image_channels=1, width=8, multipliers=(1, 2), batch_size=4, accumulate=1, learning_rate=1e-3,
    clip_gradient=None, ema_decay=0.0, precision="float32", flip=False, seed=0, images="", objective="global-cl",
    as_published=False, start="",
)  # fmt: skip
LOCAL = dataclasses.replace(GLOBAL, objective="global-local-cl")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.from_numpy(contrast_digits())


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    return write_contrasted(tmp_path_factory.mktemp("contrast") / "global")


@pytest.fixture(scope="module", params=["global-cl", "global-local-cl"])
def made(request: pytest.FixtureRequest, start: Pretrained, images: Tensor) -> tuple[Contraster, Contraster]:
    """A learner before and after an iteration."""
    settings = dataclasses.replace(GLOBAL, objective=request.param)
    before, after = (Contraster(settings, None if request.param == "global-cl" else start, CPU) for _ in range(2))
    after.step(images)
    return before, after


def test_every_weight_that_is_to_learn_does_and_no_other(made: tuple[Contraster, Contraster], start: Pretrained) -> None:
    before, after = (each.network.state_dict() for each in made)
    changed = {name.removeprefix("network.") for name in before if not torch.equal(before[name], after[name])}
    encoder = {name for name in before if name.startswith(("network.init_conv.", "network.downs.", "network.mid_"))}
    decoder = {name for name in before if name.startswith(("network.ups.0.", "network.ups.1."))}
    decoder -= {name for name in before if name.startswith("network.ups.1.3.")}  # it makes the map larger for a third
    projection = {name for name in before if name.startswith("projection.")}
    expected = (encoder if made[0].settings.objective == "global-cl" else decoder) | projection
    assert changed == {name.removeprefix("network.") for name in expected}
    assert len(projection) == (5 if made[0].settings.objective == "global-cl" else 4)
    if made[0].settings.objective == "global-local-cl":
        for name, tensor in start.tensors.items():
            assert torch.equal(after[f"network.{name}"], tensor)


def test_a_checkpoint_has_what_has_learned_and_no_projection(made: tuple[Contraster, Contraster]) -> None:
    after = made[1]
    prefixes = ("init_conv", "downs", "mid_block1", "mid_attn", "mid_block2")
    if after.settings.objective == "global-local-cl":
        prefixes += ("ups",)
    assert {name.removeprefix("model.").split(".")[0] for name in after.content().tensors} == set(prefixes)
    assert not any(name.startswith("model.ups.1.3.") for name in after.content().tensors)
    assert not any("time_mlp" in name for name in after.content().tensors)
    assert after.content().config["objective"] == after.settings.objective


def test_the_global_loss_is_that_of_the_projections_of_two_views(images: Tensor) -> None:
    made = Contraster(GLOBAL, None, CPU)
    made.network.requires_grad_(False)
    drawn = made._draw(images, torch.Generator().manual_seed(1))
    assert [tuple(each.shape) for each in drawn] == [(4, 1, 16, 16)] * 2
    assert -1 <= float(drawn[0].min()) < -0.5 < 0.5 < float(drawn[0].max()) <= 1
    middle = made.network.network.encode(torch.cat(drawn))  # type: ignore[operator, union-attr]
    hidden, normalised, _, last = made.network.projection  # type: ignore[misc, union-attr]
    inner = middle.mean(dim=(2, 3)) @ hidden.weight.T
    inner = (inner - inner.mean(dim=0)) / (inner.var(dim=0, correction=0) + normalised.eps).sqrt()
    first, second = (inner.clamp(min=0) @ last.weight.T + last.bias).chunk(2)
    assert float(made._loss(made.network, drawn)) == pytest.approx(float(nt_xent(first, second)), rel=1e-5)


def test_the_published_projection_sees_the_map_as_it_is() -> None:
    pooled, flat = Contraster(GLOBAL, None, CPU), Contraster(dataclasses.replace(GLOBAL, as_published=True), None, CPU)
    assert [tuple(made.network.projection[0].weight.shape) for made in (pooled, flat)] == [(1024, 16), (1024, 16 * 8 * 8)]  # type: ignore[index, union-attr]
    assert tuple(flat.network(torch.zeros(2, 1, 16, 16)).shape) == (2, 128)
    assert [len(list(made.network.projection)) for made in (pooled, flat)] == [4, 3]  # type: ignore[arg-type]


def test_the_local_loss_is_that_of_equal_regions_of_views_that_differ_in_intensity(images: Tensor, start: Pretrained) -> None:
    made = Contraster(LOCAL, start, CPU)
    made.network.requires_grad_(False)
    first, second, regions = made._draw(images, torch.Generator().manual_seed(1))
    assert regions.shape == (4, 20, 9)
    # the same places: what is between black and white in both is a straight line of the other
    generator = torch.Generator().manual_seed(1)
    batch = images[torch.randperm(len(images), generator=generator)[:4]]
    for view in (first, second):
        torch.testing.assert_close(view, change_intensity(batch, generator) * 2 - 1)
    assert not torch.equal(first, second)
    maps = [made.network(view) for view in (first, second)]
    picked = [
        torch.stack([
            torch.stack([image.flatten(1)[:, pixels].T.flatten() for pixels in of_image])
            for image, of_image in zip(each, regions, strict=True)
        ])
        for each in maps
    ]  # fmt: skip
    expected = float(local_contrast(*picked))
    assert float(made._loss(made.network, (first, second, regions))) == pytest.approx(expected, rel=1e-5)
    assert float(made._loss(made.network, (first, second, regions))) < float(
        local_contrast(picked[0], picked[1].roll(1, dims=1))
    )


def test_no_image_is_twice_in_a_batch(images: Tensor) -> None:
    made = Contraster(dataclasses.replace(GLOBAL, batch_size=64), None, CPU)
    seen = torch.stack([torch.arange(64.0)] * 4, dim=1).reshape(64, 1, 2, 2) / 64 * 0.001 + 0.5
    for iteration in range(3):
        first, _ = made._draw(seen, torch.Generator().manual_seed(iteration))
        assert len(first.flatten(1).unique(dim=0)) == 64


@pytest.mark.parametrize("accumulate", [2, 4])
def test_a_local_batch_in_parts_has_the_gradient_of_the_whole(images: Tensor, start: Pretrained, accumulate: int) -> None:
    whole, parts = (Contraster(dataclasses.replace(LOCAL, accumulate=number), start, CPU) for number in (1, accumulate))
    assert parts.step(images) == pytest.approx(whole.step(images), rel=1e-5)
    for name, ours in parts.trained().items():
        torch.testing.assert_close(ours.grad, whole.trained()[name].grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", [GLOBAL, LOCAL], ids=["global", "local"])
@pytest.mark.parametrize("change", [{"precision": "bfloat16"}, {"flip": True}, {"ema_decay": 0.5}], ids=str)
def test_precision_flips_and_an_average_are_as_everywhere(
    images: Tensor, start: Pretrained, settings: ContrastSettings, change: dict[str, Any]
) -> None:
    begun = None if settings is GLOBAL else start
    plain, made = (Contraster(each, begun, CPU) for each in (settings, dataclasses.replace(settings, **change)))
    losses = [(plain.step(images), made.step(images)) for _ in range(2)]
    if "ema_decay" in change:
        assert losses[0][0] == losses[0][1]
        assert not any(
            torch.equal(ours, made.trained()[name])
            for name, ours in made.average.named_parameters()
            if name in made.trained() and ours.numel() > 100
        )
    else:
        assert losses[0][0] == pytest.approx(losses[0][1], rel=0.5)
        assert losses[0][0] != losses[0][1]
    assert {parameter.dtype for parameter in made.network.parameters()} == {torch.float32}


def test_the_loss_on_images_held_out_is_of_the_average_on_views_that_stay(start: Pretrained) -> None:
    digits = contrast_digits()
    for settings, begun in ((GLOBAL, None), (LOCAL, start)):
        made = Contraster(settings, begun, CPU)
        loss = made.held_out_loss(digits[:10])
        before = loss()
        assert loss() == before > 0
        made.step(torch.from_numpy(digits))
        assert loss() != before
        assert made.sampler(3)().shape == (0, 1, 16, 16)


def test_a_map_has_as_many_regions_as_do_not_overlap() -> None:
    assert map_side(64, (1, 2, 4)) == 32
    assert map_side(128, (1, 2, 4, 8)) == 32
    assert [regions_of(side) for side in (32, 15, 14, 8, 5)] == [20, 20, 16, 4, 1]


def test_a_seed_gives_the_weights(tmp_path: Path) -> None:
    first, second, other = (write_contrasted(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert first.sha256 == second.sha256 != other.sha256
    assert torch.isfinite(read_pretrained(tmp_path / "a").tensors["init_conv.weight"]).all()
