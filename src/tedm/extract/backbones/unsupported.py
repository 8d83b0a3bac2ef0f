"""Checkpoints that are no backbone, but that people try: what they are, and what to use in their place."""

from __future__ import annotations

import re

from tedm.networks.pretrained import Objective

from .family import Content

PLAINLY = {
    "UNet2DConditionModel": "a text-conditional, latent-space UNet",
    "UNet3DConditionModel": "a 3D UNet",
    "UNetSpatioTemporalConditionModel": "a 3D UNet",
    "AutoencoderKL": "a VAE",
    "VQModel": "a VAE",
}
CONTRASTED: tuple[Objective, ...] = ("global-cl", "global-local-cl")
INSTEAD = "use a diffusion UNet for grey or RGB images (2D), as tedm-pretrain makes one"


def contrasted_kind(content: Content) -> str | None:
    """Return what a checkpoint is that tedm-pretrain made by contrast, with what to do; None if it is none."""
    objective = content.config.get("objective")
    if objective not in CONTRASTED:
        return None
    return (
        f"no backbone: it is a UNet's first layers, contrasted ({objective}), which are there to be fine-tuned: tedm-fit "
        f"--method {objective} --checkpoint {content.name}. Features are a diffusion model's, as tedm-pretrain makes one "
        "with --objective diffusion"
    )


def unsupported_kind(content: Content) -> str | None:
    """Return what a checkpoint is that cannot be a backbone, with what to do; None if it may be one."""
    names = list(content.tensors)
    if any(re.search(r"(^|[._])lora([._]|$)|\.lora_|lora_(up|down|A|B)", name) for name in names):
        return "a LoRA, corrections to another network's weights; merge it into that network and use the merged checkpoint"
    kind = PLAINLY.get(str(content.config.get("_class_name")))
    if kind:
        return f"{kind}; {INSTEAD}"
    if any(name.startswith("first_stage_model.") for name in names) or any(
        "transformer_blocks." in name or ".attn2." in name for name in names
    ):
        return f"a latent-space UNet, which sees the codes of a VAE and not images; {INSTEAD}"
    tops = {name.split(".")[0] for name in names}
    if {"encoder", "decoder"} <= tops and not any("time_emb" in name for name in names):
        return f"a VAE or another autoencoder; {INSTEAD}"
    solid = next((name for name in names if content.tensors[name].ndim == 5), None)
    if solid:
        shape = tuple(content.tensors[solid].shape)
        return f"a 3D UNet ({solid} has shape {shape}); {INSTEAD}"
    return None
