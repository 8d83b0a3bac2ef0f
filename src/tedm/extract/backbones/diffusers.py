"""Folders of Hugging Face diffusers with a `UNet2DModel`, alone or in a DDPM or DDIM pipeline.

The network is the library's own, made from the settings in the folder, and so is the noise schedule. Where a pipeline has
averaged weights beside the others (`unet_ema`), they are taken.
"""

from __future__ import annotations

import inspect
import re
from types import ModuleType

from tedm.errors import TedmError

from . import config as settings
from .backbone import Backbone, Prediction
from .family import Content, fit_tensors, presets_of
from .levels import measure_levels
from .schedule import Schedule
from .third_party import (
    PREDICTIONS,
    ThirdPartyNetwork,
    decoder_taps,
    on_meta,
    package,
    require_timesteps,
    schedule_of,
    training_range,
)

NAME = "diffusers"
LOOKED_FOR = "a diffusers folder with a UNet2DModel (config.json and diffusion_pytorch_model.safetensors)"
OURS = {"scheduler", "class_label", "training_range", "image_size"}
BETAS = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "rescale_betas_zero_snr")
# what the library called attention's parts until 2023, and still converts
OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def recognises(content: Content) -> bool:
    """Whether the checkpoint has this UNet's first convolution and the library's embedding of timesteps."""
    return {"conv_in.weight", "time_embedding.linear_1.weight"} <= content.tensors.keys()


def build(content: Content) -> Backbone:
    """Return the backbone of a folder.

    Raises
    ------
    TedmError
        If diffusers is not installed, a setting is missing or unknown to it, or the settings contradict the tensors.
    """
    kind = content.config.get("_class_name")
    if kind != "UNet2DModel":
        what = f"a {kind}" if kind else "a diffusers UNet without its config.json"
        raise TedmError(f"checkpoint {content.name} is {what}; name the folder of a UNet2DModel or of its pipeline")
    library = package("diffusers", "diffusers", content)
    config = {name: value for name, value in content.config.items() if not name.startswith("_") and name not in OURS}
    settings.require_known(Content("", "", {}, config, None), set(inspect.signature(library.UNet2DModel).parameters))
    image_size = _image_size(content)
    label = settings.class_label(content, _classes(content))
    schedule, predicts = _schedule(content, library)
    unet = on_meta(lambda: library.UNet2DModel(**{**config, "sample_size": image_size}), content)
    network = ThirdPartyNetwork(unet, label)
    taps = decoder_taps(unet.up_blocks, "unet.up_blocks")
    levels, taps_in_order = measure_levels(network, taps, side=image_size, channels=unet.config.in_channels, name="block")
    tensors = {
        re.sub(r"(attentions\.\d+)\.(query|key|value|proj_attn)\.", lambda m: f"{m[1]}.{OLD_NAMES[m[2]]}.", name): tensor
        for name, tensor in content.tensors.items()
    }
    fit_tensors(unet, tensors, prefix="", checkpoint=content.name)
    return Backbone(
        family=NAME,
        network=network,
        schedule=schedule,
        levels=levels,
        taps=taps_in_order,
        image_size=image_size,
        image_channels=unet.config.in_channels,
        size_multiple=2 ** (len(unet.up_blocks) - 1),
        sha256=content.sha256,
        step=content.step,
        training_range=training_range(content),
        predicts=predicts,
        presets=presets_of(levels),
    )


def _image_size(content: Content) -> int:
    size = content.config.get("image_size", content.config.get("sample_size"))
    if isinstance(size, (list, tuple)) and len(set(size)) == 1:
        size = size[0]
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise TedmError(
            f"checkpoint {content.name} was trained on images of size {size!r}; say which square it is to see, with "
            '"image_size": 64, say, in the file of --backbone-config'
        )
    return size


def _classes(content: Content) -> int | None:
    kind = content.config.get("class_embed_type")
    if kind not in (None, "timestep"):
        raise TedmError(
            f"checkpoint {content.name} is conditional on {kind!r}; use an unconditional or class-conditional UNet2DModel"
        )
    if content.config.get("num_class_embeds") is None and kind is None:
        return None
    return settings.integer(content, "num_class_embeds", 1000, least=0) or 1000


def _schedule(content: Content, library: ModuleType) -> tuple[Schedule, Prediction]:
    """Return the library's own schedule, and what the network predicts."""
    config = content.config.get("scheduler")
    if not isinstance(config, dict):
        raise TedmError(
            f"checkpoint {content.name} is a UNet without a scheduler_config.json: name the folder of its pipeline, or write "
            '{"scheduler": {"beta_schedule": "linear", "num_train_timesteps": 1000}}, say, to a file for --backbone-config'
        )
    if "beta_schedule" not in config:
        raise TedmError(
            f"the scheduler of checkpoint {content.name} is a {config.get('_class_name', 'scheduler without beta_schedule')}; "
            "only those of DDPM and DDIM, with a beta_schedule, say how images were noised"
        )
    predicts = config.get("prediction_type", "epsilon")
    if not isinstance(predicts, str) or predicts not in PREDICTIONS:
        raise TedmError(f"checkpoint {content.name} predicts {predicts!r}; known are {', '.join(PREDICTIONS)}")
    require_timesteps("num_train_timesteps", config, content)
    try:
        scheduler = library.DDPMScheduler(**{name: config[name] for name in BETAS if config.get(name) is not None})
    except Exception as error:
        raise TedmError(f"the scheduler of checkpoint {content.name} cannot be made: {error}") from error
    return schedule_of(str(config["beta_schedule"]), scheduler.alphas_cumprod, content), PREDICTIONS[predicts]
