"""The example of a model's card prepares images and draws noise as tedm does, bit for bit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from tedm.extract import read_manifest, square_image
from tedm.extract.noise import draw_noise
from tedm.heads import load_head
from tedm.study.export.models.example import example_lines, noise_lines

RANDOM = np.random.default_rng(4)
PICTURES = {
    "8 bits": ({}, RANDOM.integers(0, 256, (23, 31), dtype=np.uint8)),
    "16 bits": ({}, RANDOM.integers(0, 2**16, (40, 21), dtype=np.uint16)),
    "stretched": ({"geometry": "stretch"}, RANDOM.integers(0, 256, (50, 21), dtype=np.uint8)),
    "colour": ({"image_channels": 3}, RANDOM.integers(0, 256, (12, 33, 3), dtype=np.uint8)),
    "a range": ({"intensity_range": (300.5, 2000.0)}, RANDOM.integers(0, 4096, (30, 30), dtype=np.uint16)),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_the_example_makes_the_square_that_tedm_makes(kind, fitted, tmp_path, monkeypatch):
    changes, pixels = PICTURES[kind]
    head = load_head(fitted)
    head = dataclasses.replace(head, settings=dataclasses.replace(head.settings, **changes))
    Image.fromarray(pixels).save(tmp_path / "scan.png")
    monkeypatch.chdir(tmp_path)
    lines = example_lines(head).splitlines()
    preparing = [
        line for line in lines[: [line.startswith("drawn") for line in lines].index(True)] if "onnxruntime" not in line
    ]
    made = {"np": np}
    exec("\n".join(preparing), made)
    (entry,) = read_manifest(tmp_path / "scan.png").entries
    ours = square_image(entry, head.settings).transpose(2, 0, 1)
    np.testing.assert_array_equal(made["image"], ours)
    assert made["image"].dtype == np.float32


@pytest.mark.parametrize("name", ["scan", "CHNCXR_0002_0", "größe 7"])
def test_the_lines_of_noise_draw_the_noise_of_tedm(name, fitted):
    made: dict = {}
    exec(noise_lines(load_head(fitted)), made)
    ours = draw_noise((1, 16, 16), mode="per-image", seed=3, name=name, timestep=50, draw=1)
    np.testing.assert_array_equal(made["noise"](name, 3, 50, 1, (1, 16, 16)), ours)


def test_the_example_is_short(fitted):
    assert len([line for line in example_lines(load_head(fitted)).splitlines() if line]) <= 16


def test_noise_of_other_kinds_is_read_or_left_out(fitted):
    head = load_head(fitted)

    def lines(**changes):
        return example_lines(dataclasses.replace(head, settings=dataclasses.replace(head.settings, **changes)))

    assert 'np.load("noise.npy")' in lines(noise="shared")
    assert "noise" not in lines(noise="none")
    assert "noise.npy" not in lines()


def test_slices_of_volumes_begin_with_their_square(fitted):
    head = load_head(fitted)
    head = dataclasses.replace(head, settings=dataclasses.replace(head.settings, axis="axial"))
    assert 'image = np.load(f"{name}.npy").astype("float32")  # of shape (1, 16, 16), in [0, 1]' in example_lines(head)
