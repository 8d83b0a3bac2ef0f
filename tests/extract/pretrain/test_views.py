"""Random views."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tedm.extract.pretrain.views import change_intensity, choose_regions, crop_and_resize


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def ramp() -> Tensor:
    """Images whose pixels tell their place: channel 0 is x and channel 1 is y, from 0 to 1."""
    at = (torch.arange(16) + 0.5) / 16
    return torch.stack((at.expand(16, 16), at[:, None].expand(16, 16))).expand(200, 2, 16, 16).contiguous()


def test_a_crop_is_a_rectangle_inside_of_the_image_that_fills_the_view(ramp: Tensor) -> None:
    views = crop_and_resize(ramp, drawn())
    middle = views[:, :, 1:-1, 1:-1]  # the outermost pixels may be those of the border
    torch.testing.assert_close(middle[:, 0], middle[:, 0, :1].expand_as(middle[:, 0]))  # x does not depend on y
    torch.testing.assert_close(middle[:, 1], middle[:, 1, :, :1].expand_as(middle[:, 1]))
    widths, heights = ((views[:, axis].amax(dim=(1, 2)) - views[:, axis].amin(dim=(1, 2))) * 16 / 15 for axis in (0, 1))
    areas, ratios = widths * heights, widths / heights
    assert 0.22 < float(areas.min()) < 0.35
    assert float(areas.max()) > 0.9
    assert 0.6 < float(ratios.min()) < 0.85
    assert 1.2 < float(ratios.max()) < 1.5
    steps = views[:, 0, 0].diff(dim=1)[:, 2:-2]
    assert float(steps.min()) > 0  # nothing is turned


def test_crops_are_everywhere(ramp: Tensor) -> None:
    views = crop_and_resize(ramp, drawn())
    for axis in (0, 1):
        assert float(views[:, axis].min()) < 0.05
        assert float(views[:, axis].max()) > 0.95
        assert 0.4 < float(views[:, axis].mean()) < 0.6


def test_intensities_are_scaled_about_their_mean_and_moved(rng: np.random.Generator) -> None:
    images = torch.from_numpy(0.45 + 0.1 * rng.random((300, 1, 4, 4)))  # so near to grey that nothing is cut off
    views = change_intensity(images, drawn())
    contrast = views.std(dim=(1, 2, 3)) / images.std(dim=(1, 2, 3))
    brightness = views.mean(dim=(1, 2, 3)) - images.mean(dim=(1, 2, 3))
    assert 0.7 <= float(contrast.min()) < 0.73
    assert 1.27 < float(contrast.max()) <= 1.3
    assert -0.3 <= float(brightness.min()) < -0.27
    assert 0.27 < float(brightness.max()) <= 0.3
    expected = (images - images.mean(dim=(2, 3), keepdim=True)) * contrast[:, None, None, None]
    expected += images.mean(dim=(2, 3), keepdim=True) + brightness[:, None, None, None]
    torch.testing.assert_close(views, expected)


def test_views_stay_between_black_and_white(rng: np.random.Generator) -> None:
    views = change_intensity(torch.from_numpy(rng.random((50, 1, 8, 8))), drawn())
    assert (float(views.min()), float(views.max())) == (0, 1)


def test_views_are_functions_of_the_generator(ramp: Tensor) -> None:
    for view in (crop_and_resize, change_intensity):
        assert torch.equal(view(ramp, drawn(3)), view(ramp, drawn(3)))
        assert not torch.equal(view(ramp, drawn(3)), view(ramp, drawn(4)))
        assert len(view(ramp, drawn()).flatten(1).unique(dim=0)) == len(ramp)  # each image has its own


@given(st.integers(6, 20), st.integers(0, 1000))
def test_regions_are_squares_that_do_not_overlap(side: int, seed: int) -> None:
    regions = min(20, (side // 3) ** 2)
    for chosen in choose_regions(3, side, regions=regions, region=3, generator=drawn(seed)):
        assert len(set(chosen.flatten().tolist())) == regions * 9
        y, x = chosen // side, chosen % side
        assert torch.equal(y - y[:, :1], torch.arange(3).repeat_interleave(3).expand(regions, 9))
        assert torch.equal(x - x[:, :1], torch.arange(3).repeat(3).expand(regions, 9))
        assert 0 <= int(chosen.min()) <= int(chosen.max()) < side**2


def test_every_pixel_can_be_in_a_region() -> None:
    chosen = choose_regions(500, 8, regions=4, region=3, generator=drawn())
    assert set(chosen.flatten().tolist()) == set(range(64))
