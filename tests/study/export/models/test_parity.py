"""A file that does not do what the head does is found out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract import load_backbone
from tedm.extract.noise import draw_noise
from tedm.heads import load_head
from tedm.study.export.models.parity import check_images, noise_for, require_agreement


def test_the_file_of_a_head_agrees_with_it(exported, fitted, checkpoint):
    found = require_agreement(load_head(fitted), load_backbone(checkpoint), exported / "model.onnx")
    assert found.images == 2
    assert 0 < found.opinions < 1e-4
    assert found.probabilities < 1e-4
    assert found.as_predicted < 0.01  # activations are rounded to float16 there
    assert found.pixels < 0.01


def test_another_heads_file_is_refused(exported, fitted, checkpoint):
    head = load_head(fitted)
    head.estimator.network_.biases[-1].data[:, :, 0] += 0.01
    with pytest.raises(TedmError) as refusal:
        require_agreement(head, load_backbone(checkpoint), exported / "model.onnx")
    first, remedy = str(refusal.value).splitlines()
    assert first.startswith("the ONNX file does not do what the head does, and nothing was written: with onnxruntime ")
    assert "a probability of a voter differs by 0.00" in first
    assert first.endswith("from the head's, and 0.0001 is the most")
    assert remedy.startswith("Leave out --onnx, or try the versions of torch")


def test_another_vote_is_refused(exported, fitted, checkpoint):
    head = load_head(fitted)
    head = dataclasses.replace(head, method=dataclasses.replace(head.method, vote="hard"))
    with pytest.raises(TedmError, match="a probability of the vote differs by"):
        require_agreement(head, load_backbone(checkpoint), exported / "model.onnx")


def test_no_file_of_onnx_is_refused(fitted, checkpoint, tmp_path):
    pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")
    (tmp_path / "m.onnx").write_bytes(b"no such file")
    with pytest.raises(TedmError, match="nothing was written: onnxruntime .* cannot read it: "):
        require_agreement(load_head(fitted), load_backbone(checkpoint), tmp_path / "m.onnx")


@pytest.mark.parametrize("size", [16, 64, 7])
def test_check_images_are_pictures_and_always_the_same(fitted, size):
    settings = dataclasses.replace(load_head(fitted).settings, image_size=size, image_channels=2)
    first, again = check_images(settings), check_images(settings)
    assert [image.shape for image in first] == [(size, size, 2)] * 2
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.min() >= 0
        assert one.max() <= 1
        assert one.std() > 0.05


def test_noise_is_that_of_the_images_name(fitted):
    settings = dataclasses.replace(load_head(fitted).settings, draws=2, noise_seed=5)
    noise = noise_for(settings, (50, 1), "a")
    assert noise.shape == (2, 2, 1, 16, 16)
    ours = draw_noise((1, 16, 16), mode="per-image", seed=5, name="a", timestep=1, draw=1)
    np.testing.assert_array_equal(noise[1, 1], ours)
