"""Each number of a batch arrives in its image's cells, and what does not fit there is found."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tedm.extract.arriving import Arriving, Opened, Place, places_of
from tedm.extract.backbones import random_backbone
from tedm.store import FeatureSettings


def test_a_batch_is_cut_where_its_images_change():
    backbone = random_backbone()
    settings = FeatureSettings(
        backbone.sha256, backbone.levels, 16, 1, "pad", (-1.0, 1.0), None, "nearest", "none", 0, (1, 50, 800), 2
    )
    image = np.zeros((16, 16, 1), np.float32)
    opened = [Opened.of(name, image, settings, 3, "float16", "cpu") for name in "abc"]
    batch = [(0, 4), (0, 5), *((1, entry) for entry in range(6)), (2, 0)]
    places = places_of(batch, dict(enumerate(opened)))
    assert [place.entries for place in places] == [slice(0, 2), slice(2, 8), slice(8, 9)]
    for number, place in enumerate(places, 1):
        for rows in place.rows:
            rows.fill_(number)
    for number, filled in enumerate(([4, 5], range(6), [0])):
        for cells in opened[number].computed.cells:
            assert (cells.reshape(6, -1)[list(filled)] == number + 1).all()


def test_entries_arrive_where_their_image_has_them():
    """The last entries of one image, all of another, the first of a third: each in its place, whatever its neighbours."""
    levels = [torch.randn(6, 4, 8, 8), torch.randn(6, 2, 16, 16).to(memory_format=torch.channels_last)]
    rows = [[torch.full((3, side, side, channels), 9.0) for side, channels in ((8, 4), (16, 2))] for _ in range(3)]
    places = [Place(0, [each[2:] for each in rows[0]]), Place(1, rows[1]), Place(4, [each[:2] for each in rows[2]])]
    assert list(Arriving(levels, places).misfits()) == []
    for level, found in zip(levels, zip(*rows, strict=True), strict=True):
        assert torch.equal(torch.cat(found)[2:8], level.permute(0, 2, 3, 1))
        assert (torch.cat(found)[[0, 1, 8]] == 9).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_what_arrives_from_a_gpu_is_what_was_computed_there():
    levels = [torch.randn(5, 4, 64, 64, device="cuda").bfloat16(), torch.randn(5, 2, 128, 128, device="cuda").bfloat16()]
    rows = [torch.empty(level.permute(0, 2, 3, 1).shape, dtype=torch.float16, pin_memory=True) for level in levels]
    assert list(Arriving(levels, [Place(0, rows)]).misfits()) == []
    for level, found in zip(levels, rows, strict=True):
        assert torch.equal(found, level.cpu().half().permute(0, 2, 3, 1))
    levels[1][3, 1, 2, 2] = 7e4
    ((level, entry, numbers),) = Arriving(levels, [Place(0, rows)]).misfits()
    assert (level, entry) == (1, 3)
    assert numbers[1, 2, 2] == levels[1][3, 1, 2, 2].float().item() > 65504
