"""State dictionaries of MONAI's `DiffusionModelUNet` for 2D images.

They have no settings: the constructor's come from a JSON file, under their own names, beside `image_size` and `scheduler`.
"""

from __future__ import annotations

import inspect

from tedm.errors import TedmError
from tedm.jsons import JsonObject

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

NAME = "monai"
LOOKED_FOR = "MONAI's DiffusionModelUNet (conv_in.conv.weight, time_embed.0.weight)"
NEEDED = {name: (name,) for name in ("image_size", "channels", "attention_levels", "num_head_channels", "scheduler")}
EXAMPLE: JsonObject = {
    "image_size": 64,
    "channels": [128, 256, 256],
    "attention_levels": [False, True, True],
    "num_res_blocks": 1,
    "num_head_channels": 256,
    "scheduler": {"schedule": "linear_beta", "num_train_timesteps": 1000},
}
OURS = {"image_size", "scheduler", "class_label", "training_range"}


def recognises(content: Content) -> bool:
    """Whether the checkpoint has this UNet's first convolution and its embedding of timesteps."""
    return {"conv_in.conv.weight", "time_embed.0.weight"} <= content.tensors.keys()


def build(content: Content) -> Backbone:
    """Return the backbone of a state dictionary and its settings.

    Raises
    ------
    TedmError
        If MONAI is not installed, a setting is missing or unknown to it, or the settings contradict the tensors.
    """
    settings.require(content, "MONAI's DiffusionModelUNet", NEEDED, EXAMPLE)
    package("einops", "monai", content)  # without which MONAI makes no attention, and says so at length
    nets = package("monai.networks.nets", "monai", content)
    config = {name: value for name, value in content.config.items() if name not in OURS}
    settings.require_known(content, OURS | set(inspect.signature(nets.DiffusionModelUNet).parameters))
    if config.setdefault("spatial_dims", 2) != 2:
        raise TedmError(f"checkpoint {content.name} is for images of {config['spatial_dims']} dimensions; use a 2D network")
    if config.get("with_conditioning"):
        raise TedmError(f"checkpoint {content.name} is conditional on a context; use an unconditional network")
    config.setdefault("in_channels", content.tensors["conv_in.conv.weight"].shape[1])
    config.setdefault("out_channels", config["in_channels"])
    image_size = settings.integer(content, "image_size")
    conditional = config.get("num_class_embeds") is not None
    label = settings.class_label(content, settings.integer(content, "num_class_embeds", least=0) if conditional else None)
    schedule, predicts = _schedule(content)
    unet = on_meta(lambda: nets.DiffusionModelUNet(**config), content)
    channels = unet.state_dict()["conv_in.conv.weight"].shape[1]
    network = ThirdPartyNetwork(unet, label)
    taps = decoder_taps(unet.up_blocks, "unet.up_blocks")
    levels, taps_in_order = measure_levels(network, taps, side=image_size, channels=channels, name="block")
    fit_tensors(unet, content.tensors, prefix="", checkpoint=content.name)
    return Backbone(
        family=NAME,
        network=network,
        schedule=schedule,
        levels=levels,
        taps=taps_in_order,
        image_size=image_size,
        image_channels=channels,
        size_multiple=2 ** (len(unet.up_blocks) - 1),
        sha256=content.sha256,
        step=content.step,
        training_range=training_range(content),
        predicts=predicts,
        presets=presets_of(levels),
    )


def _schedule(content: Content) -> tuple[Schedule, Prediction]:
    """Return the package's own schedule, and what the network predicts."""
    config = content.config["scheduler"]
    if not isinstance(config, dict) or "schedule" not in config:
        raise settings.wrong(
            content, "scheduler", config, 'an object with "schedule" and the other settings of MONAI\'s DDPMScheduler'
        )
    predicts = config.get("prediction_type", "epsilon")
    if not isinstance(predicts, str) or predicts not in PREDICTIONS:
        raise TedmError(f"checkpoint {content.name} predicts {predicts!r}; known are {', '.join(PREDICTIONS)}")
    schedulers = package("monai.networks.schedulers", "monai", content)
    require_timesteps("num_train_timesteps", config, content)
    try:
        scheduler = schedulers.DDPMScheduler(**config)
    except Exception as error:
        raise TedmError(f"the scheduler of checkpoint {content.name} cannot be made: {error}") from error
    return schedule_of(str(config["schedule"]), scheduler.alphas_cumprod, content), PREDICTIONS[predicts]
