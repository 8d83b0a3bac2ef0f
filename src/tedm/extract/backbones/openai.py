"""Checkpoints of OpenAI's improved-diffusion and guided-diffusion.

They are state dictionaries without settings. Names and shapes of the tensors tell the architecture but for three things: the
size of the images, how channels are divided among attention heads, and the noise schedule. These come from a JSON file
whose keys are that project's own. What the file says beyond that must agree with the tensors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from tedm.errors import TedmError
from tedm.jsons import JsonObject
from tedm.networks.openai_unet import OpenaiUNet, Shape
from tedm.store.settings import Level

from . import config as settings
from .backbone import Backbone
from .family import Content, fit_tensors, no_larger_than, presets_of
from .schedule import Schedule

NAME = "openai"
LOOKED_FOR = "OpenAI's guided-diffusion UNet (input_blocks.0.0.weight, output_blocks.0.0.in_layers.2.weight)"
KIND = "an OpenAI guided-diffusion UNet"
NEEDED = {
    "image_size": ("image_size",),
    "num_head_channels (or num_heads)": ("num_head_channels", "num_heads"),
    "noise_schedule": ("noise_schedule",),
}
EXAMPLE: JsonObject = {"image_size": 256, "num_head_channels": 64, "noise_schedule": "linear"}
# of these nothing depends that is computed here: training and sampling, and the type of the original's arithmetic
UNUSED = {
    "dims", "dropout", "rescale_learned_sigmas", "timestep_respacing", "use_checkpoint", "use_fp16", "use_kl",
}  # fmt: skip
KNOWN = UNUSED | {
    "attention_resolutions", "channel_mult", "class_cond", "class_label", "conv_resample", "diffusion_steps", "image_size",
    "in_channels", "learn_sigma", "model_channels", "noise_schedule", "num_channels", "num_classes", "num_head_channels",
    "num_heads", "num_heads_upsample", "num_res_blocks", "out_channels", "predict_xstart", "resblock_updown",
    "rescale_timesteps", "use_new_attention_order", "use_scale_shift_norm",
}  # fmt: skip


def recognises(content: Content) -> bool:
    """Whether the checkpoint has this UNet's first convolution and a residual block in its decoder."""
    return {"input_blocks.0.0.weight", "output_blocks.0.0.in_layers.2.weight"} <= content.tensors.keys()


def build(content: Content) -> Backbone:
    """Return the backbone of a state dictionary and the settings that it cannot tell.

    Raises
    ------
    TedmError
        If a setting is missing, unknown or wrong, or contradicts the tensors.
    """
    settings.require(content, KIND, NEEDED, EXAMPLE)
    settings.require_known(content, KNOWN)
    total = settings.integer(content, "diffusion_steps", 1000)
    schedule = Schedule.named(settings.one_of(content, "noise_schedule", None, ("linear", "cosine")), total)
    image_size = settings.integer(content, "image_size")
    shape = _shape(content, image_size)
    if shape.out_channels not in (shape.in_channels, 2 * shape.in_channels):
        raise TedmError(
            f"checkpoint {content.name} returns {shape.out_channels} channels for {shape.in_channels}: it is no noise "
            "predictor (with or without learned variances). Use the diffusion model, not a classifier or upsampler."
        )
    scale = 1000 / total if settings.boolean(content, "rescale_timesteps", False) else 1.0
    try:
        with torch.device("meta"), no_larger_than(content):
            network = OpenaiUNet(shape, class_label=settings.class_label(content, shape.num_classes) or 0, timestep_scale=scale)
    except (RuntimeError, OverflowError, TypeError) as error:  # sizes that torch cannot even write down
        raise TedmError(f"the settings of checkpoint {content.name} make no network: {shape}") from error
    fit_tensors(network, content.tensors, prefix="", checkpoint=content.name)
    levels = tuple(Level(f"block{index}", *output) for index, output in enumerate(network.outputs))
    presets = presets_of(levels)
    return Backbone(
        family=NAME,
        network=network,
        schedule=schedule,
        levels=levels,
        taps=tuple(f"output_blocks.{index}" for index in range(len(levels))),
        image_size=image_size,
        image_channels=shape.in_channels,
        size_multiple=2 ** (len(shape.channel_mult) - 1),
        sha256=content.sha256,
        step=content.step,
        predicts="image" if settings.boolean(content, "predict_xstart", False) else "noise",
        presets=presets,
    )


def _shape(content: Content, image_size: int) -> Shape:
    """Return the architecture: what the settings say, else what the tensors tell."""
    try:
        told = _told(content.tensors)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise TedmError(
            f"checkpoint {content.name} is {KIND}, but not a whole one: it lacks {error}. Use the file as written."
        ) from error
    if settings.integer(content, "dims", 2) != 2:
        raise TedmError(f"checkpoint {content.name} is for images of {content.config['dims']} dimensions; use a 2D network")
    config = content.config
    in_channels = settings.integer(content, "in_channels", told.in_channels)
    out_channels = told.out_channels
    if "learn_sigma" in config:
        out_channels = in_channels * (2 if settings.boolean(content, "learn_sigma", False) else 1)
    width = settings.integer(content, "num_channels", settings.integer(content, "model_channels", told.model_channels))
    multipliers = settings.numbers(content, "channel_mult") if config.get("channel_mult") else told.channel_mult
    attention: tuple[int, ...] = told.attention_at
    if config.get("attention_resolutions"):
        sides = settings.numbers(content, "attention_resolutions")
        # that project's scripts take sides as text and hand strides to the constructor
        as_text = isinstance(config["attention_resolutions"], str)
        attention = tuple(image_size // int(side) if as_text else int(side) for side in sides)
    classes = told.num_classes
    if "class_cond" in config and settings.boolean(content, "class_cond", False) != bool(classes):
        classes = 0 if classes else 1000
    heads = settings.integer(content, "num_heads", 1)
    upsample = settings.integer(content, "num_heads_upsample", -1, least=-1)
    per_head = settings.integer(content, "num_head_channels", -1, least=-1)
    return Shape(
        in_channels=in_channels,
        out_channels=settings.integer(content, "out_channels", out_channels),
        model_channels=width,
        first_channels=told.first_channels,
        num_res_blocks=settings.integer(content, "num_res_blocks", told.num_res_blocks),
        channel_mult=multipliers,
        attention_at=attention,
        num_heads=heads,
        num_heads_upsample=heads if upsample == -1 else upsample,
        num_head_channels=max(per_head, 0),
        new_attention_order=settings.boolean(content, "use_new_attention_order", False),
        scale_shift_norm=settings.boolean(content, "use_scale_shift_norm", told.scale_shift_norm),
        resblock_updown=settings.boolean(content, "resblock_updown", told.resblock_updown),
        conv_resample=settings.boolean(content, "conv_resample", told.conv_resample),
        num_classes=settings.integer(content, "num_classes", classes, least=0),
    )


def _told(tensors: Mapping[str, Tensor]) -> Shape:
    """Return what names and shapes tell; how channels are divided among heads they do not."""
    first, out = tensors["input_blocks.0.0.weight"], tensors["out.2.weight"]
    width = tensors["time_embed.0.weight"].shape[1]
    parts = [re.match(r"(input|output)_blocks\.(\d+)\.(\d+)\.(qkv|in_layers|conv|op)\.", name) for name in tensors]
    found = {(part[1], int(part[2]), int(part[3]), part[4]) for part in parts if part}
    blocks = 1 + max(block for where, block, _, _ in found if where == "output")
    ups = {block: kind for where, block, place, kind in found if where == "output" and place and kind in ("conv", "in_layers")}
    here = {block for where, block, _, _ in found if where == "input"}
    pooled = [block for block in range(1, blocks) if block not in here]  # halving without weights leaves a gap
    residuals = min(ups) if ups else pooled[0] - 1 if pooled else blocks - 1
    starts = range(1, blocks, residuals + 1)  # the first block of each stage
    inside = [tensors[f"input_blocks.{start}.0.in_layers.2.weight"].shape[0] for start in starts]
    return Shape(
        in_channels=first.shape[1],
        out_channels=out.shape[0],
        first_channels=first.shape[0],
        model_channels=width,
        num_res_blocks=residuals,
        channel_mult=tuple(channels / width for channels in inside),
        attention_at=tuple(2**stage for stage, start in enumerate(starts) if ("input", start, 1, "qkv") in found),
        num_heads=1,
        num_heads_upsample=1,
        scale_shift_norm=tensors["input_blocks.1.0.emb_layers.1.weight"].shape[0] == 2 * inside[0],
        resblock_updown="in_layers" in ups.values(),
        conv_resample=not pooled,
        num_classes=len(tensors["label_emb.weight"]) if "label_emb.weight" in tensors else 0,
    )
