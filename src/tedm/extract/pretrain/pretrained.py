"""Checkpoints as weights that another training starts from: of contrasted networks, and of DDPMs with TEDM's UNet.

A contrasted checkpoint is a safetensors file with the layers that learned, under the names of all checkpoints (`model.`), and
the objective with the network's sizes as JSON in the metadata. It is no backbone: nothing in it predicts noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from tedm.errors import TedmError
from tedm.extract.backbones import Content, load_backbone, tedm
from tedm.extract.backbones.checkpoint import read_content
from tedm.extract.backbones.families import FAMILIES
from tedm.extract.backbones.family import fitting_tensors
from tedm.extract.backbones.unsupported import CONTRASTED
from tedm.networks.pretrained import Objective, Pretrained
from tedm.networks.tedm_unet import TedmUNet

PREFIX = tedm.PREFIX
FAMILY = "tedm-contrast"
SHOWN = (-1.0, 1.0)  # what black and white are for every network that learns here or is fine-tuned
DECODED = 2  # decoder stages that the local objective trains
ENCODER = ("init_conv.", "downs.", "mid_")
# the last module of a stage makes the map larger for the next: the tap of the second stage lies before it
DECODER = ("ups.0.", "ups.1.0.", "ups.1.1.", "ups.1.2.")


def read_pretrained(path: Path) -> Pretrained:
    """Read weights to start from; nothing in the file is executed.

    Parameters
    ----------
    path : Path
        A checkpoint of `pretrain_contrast`, or a diffusion model with TEDM's UNet in any form that `load_backbone` reads.

    Returns
    -------
    Pretrained
        In float32 on the CPU; the moving average where the file has one.

    Raises
    ------
    TedmError
        If there is no such file, it is no checkpoint or of another network, or its settings and tensors contradict each other.

    Examples
    --------
    >>> from tedm.extract.backbones import random_backbone, save_backbone
    >>> _ = save_backbone(random_backbone(), Path("ddpm.safetensors"))
    >>> read_pretrained(Path("ddpm.safetensors")).objective
    'diffusion'
    """
    content = read_content(path)
    found = content.config.get("objective")
    for objective in CONTRASTED:
        if found == objective:
            return _contrasted(content, objective)
    family = next((family.NAME for family in FAMILIES if family.recognises(content)), tedm.NAME)
    if family != tedm.NAME:  # before it asks for settings, which would not help
        raise _other(path, family)
    backbone = load_backbone(path)
    network = backbone.network
    if not isinstance(network, TedmUNet):
        raise _other(path, backbone.family)
    if backbone.training_range != SHOWN:
        low, high = backbone.training_range
        raise TedmError(
            f"checkpoint {path} was trained on images from {low:g} to {high:g}, and "
            f"fine-tuning shows a network images from {SHOWN[0]:g} to {SHOWN[1]:g}; use a model that was trained on these"
        )
    return Pretrained(
        "diffusion",
        network.width,
        network.multipliers,
        network.image_channels,
        backbone.image_size,
        network.state_dict(),
        backbone.sha256,
    )


def is_learned(name: str, objective: Objective) -> bool:
    """Whether a contrasted checkpoint has a tensor of the UNet: one that its loss, or the one before it, reaches."""
    return name.startswith(ENCODER if objective == "global-cl" else ENCODER + DECODER)


def contrasted_content(
    tensors: Mapping[str, Tensor],
    *,
    objective: Objective,
    width: int,
    multipliers: tuple[int, ...],
    image_channels: int,
    image_size: int,
    step: int,
) -> Content:
    """Return what `read_pretrained` reads: settings under the names that those of diffusion models have."""
    return Content(
        name="",
        sha256="",
        tensors=tensors,
        config={
            "family": FAMILY,
            "objective": objective,
            "dim": width,
            "dim_mults": list(multipliers),
            "channels": image_channels,
            "img_size": image_size,
        },
        step=step,
    )


def _other(path: Path, family: str) -> TedmError:
    return TedmError(
        f"checkpoint {path} is a network of the family {family}, and only TEDM's UNet can be fine-tuned; use a diffusion "
        "model of the published TEDM, or one that tedm-pretrain makes"
    )


def _contrasted(content: Content, objective: Objective) -> Pretrained:
    sizes = tedm.sizes_of(content)
    image_size = tedm.image_size_of(content)
    network = tedm.network_on_meta(content, sizes, timed=False)
    expected = {name: tensor for name, tensor in network.state_dict().items() if is_learned(name, objective)}
    tensors = fitting_tensors(expected, content.tensors, prefix=PREFIX, checkpoint=content.name)
    return Pretrained(objective, sizes.width, sizes.multipliers, sizes.image_channels, image_size, tensors, content.sha256)
