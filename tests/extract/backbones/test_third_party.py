"""Networks of other packages: found or named, made without memory, called as those packages call them."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor, nn

from tedm.errors import TedmError
from tedm.extract.backbones import Content, third_party

CONTENT = Content("net.pt", "", {}, {}, None)


def test_a_package_that_is_not_installed_is_named_with_what_to_install():
    with pytest.raises(
        TedmError, match=r"needs a package that is not installed \(nowhere_at_all\): pip install 'tedm\[monai\]'"
    ):
        third_party.package("nowhere_at_all", "monai", CONTENT)


def test_a_package_that_cannot_be_imported_is_named_with_the_cause(tmp_path, monkeypatch):
    (tmp_path / "tedm_test_broken.py").write_text("raise OSError('libfoo.so is gone\\nand more')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        TedmError, match=r"tedm_test_broken, which is installed but cannot be imported: libfoo.so is gone\. Mend"
    ):
        third_party.package("tedm_test_broken", "monai", CONTENT)
    assert "tedm_test_broken" not in sys.modules


def test_a_network_is_made_without_memory_and_absurd_settings_are_refused():
    network = third_party.on_meta(lambda: nn.Linear(10**6, 10**6), CONTENT)
    assert network.weight.device.type == "meta"
    with pytest.raises(TedmError, match="the settings of checkpoint net.pt make no network: "):
        third_party.on_meta(lambda: nn.Conv2d(3, 4, 1, groups=2), CONTENT)


class Block(nn.Module):
    def __init__(self, residuals: int, attentions: int | None) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(nn.Identity() for _ in range(residuals))
        if attentions is not None:
            self.attentions = nn.ModuleList(nn.Identity() for _ in range(attentions))


def test_taps_come_after_attention_where_each_residual_block_has_one():
    blocks = nn.ModuleList([Block(2, 2), Block(1, None), Block(2, 1)])
    assert third_party.decoder_taps(blocks, "up") == [
        "up.0.attentions.0",
        "up.0.attentions.1",
        "up.1.resnets.0",
        "up.2.resnets.0",
        "up.2.resnets.1",
    ]


@pytest.mark.parametrize("values", [[0.9], [[0.9, 0.1]], [0.9, float("nan")], [1.5, 0.1]])
def test_a_schedule_that_is_none_is_refused(values):
    with pytest.raises(TedmError, match="is none: shape"):
        third_party.schedule_of("linear", torch.tensor(values), CONTENT)


@pytest.mark.parametrize(("value", "found"), [([0, 1], (0.0, 1.0)), ((-1, 1), (-1.0, 1.0))])
def test_the_range_of_training_is_that_of_the_settings(value, found):
    assert third_party.training_range(Content("", "", {}, {"training_range": value}, None)) == found
    assert third_party.training_range(CONTENT) == (-1.0, 1.0)


@pytest.mark.parametrize("value", [[1, 0], [1], [0, "1"], "01", 3, None])
def test_a_range_that_is_none_is_refused(value):
    with pytest.raises(TedmError, match="expected two numbers, the lower first"):
        third_party.training_range(Content("", "", {}, {"training_range": value}, None))


@pytest.mark.parametrize("label", [None, 2])
def test_a_network_is_called_with_the_class_that_all_images_are_of(label):
    class Conditional(nn.Module):
        def forward(self, x: Tensor, timesteps: Tensor, class_labels: Tensor | None = None) -> Tensor:
            return x + timesteps[:, None] + (0 if class_labels is None else 100 * class_labels[:, None])

    x, timesteps = torch.rand(2, 3), torch.tensor([4, 5])
    output = third_party.ThirdPartyNetwork(Conditional(), label)(x, timesteps)
    assert torch.equal(output, x + timesteps[:, None] + (0 if label is None else 200))
