"""Checkpoints of the published TEDM.

Rosnati et al. (arXiv:2311.07421) saved a whole diffusion object: the UNet's parameters under `model.`, the schedule's buffers
beside them, and the settings as an `argparse.Namespace`. Its levels are the outputs of the attention of each decoder stage. Our
own checkpoints of this UNet have the same names for the same things.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from tedm.errors import TedmError
from tedm.jsons import JsonValue
from tedm.networks.tedm_unet import TedmUNet
from tedm.store.settings import Level
from tedm.text import listed

from .backbone import Backbone, Prediction
from .family import Content, fit_tensors, no_larger_than
from .schedule import Schedule, precision_of

NAME = "tedm"
LOOKED_FOR = "TEDM's UNet (model.init_conv.weight, model.ups.0.2.fn.fn.to_qkv.weight)"
PREFIX = "model."  # the published file is a diffusion object that has the network as its `model`
FINAL = f"{PREFIX}final_conv.weight"
# as the published code and those that it was made of call them; activations do not depend on it
OBJECTIVES: dict[str, Prediction] = {"pred_noise": "noise", "pred_x_0": "image", "pred_x0": "image", "pred_v": "velocity"}
WRITTEN: dict[Prediction, str] = {"noise": "pred_noise", "image": "pred_x0", "velocity": "pred_v"}


def recognises(content: Content) -> bool:
    """Whether the checkpoint has this UNet's first convolution and its attention in the decoder."""
    return {f"{PREFIX}init_conv.weight", f"{PREFIX}ups.0.2.fn.fn.to_qkv.weight"} <= content.tensors.keys()


def build(content: Content) -> Backbone:
    """Return the backbone of a published checkpoint, or of one of ours.

    Raises
    ------
    TedmError
        If a setting is missing or none of its kind, or the settings contradict the tensors.
    """
    sizes = sizes_of(content)
    schedule, remark = _schedule(content)
    objective = content.config.get("objective", "pred_noise")
    if not isinstance(objective, str) or objective not in OBJECTIVES:
        raise TedmError(f"checkpoint {content.name} predicts {objective!r}; known are {listed(OBJECTIVES)}")
    final = content.tensors.get(FINAL)
    # by its tensor: the published `out_channels` is that of another network
    out_channels = sizes.image_channels if final is None or not final.ndim else len(final)
    network = network_on_meta(content, sizes, out_channels=out_channels)
    fit_tensors(network, content.tensors, prefix=PREFIX, checkpoint=content.name)
    if out_channels < sizes.image_channels:
        raise TedmError(
            f"checkpoint {content.name} returns {out_channels} channels for images of {sizes.image_channels} ({FINAL}): it is "
            "no diffusion model, but a segmentation network perhaps. Use the diffusion model that it was made of."
        )
    backbone = as_backbone(
        network,
        schedule=schedule,
        image_size=image_size_of(content),
        sha256=content.sha256,
        step=content.step,
        training_range=(-1.0, 1.0) if content.config.get("normalize", True) else (0.0, 1.0),
        predicts=OBJECTIVES[objective],
        remarks=(remark,) if remark else (),
    )
    return trained_on(backbone, _texts(content, "channel_names"), "".join(_texts(content, "intensities")))


def trained_on(backbone: Backbone, channel_names: Sequence[str], intensities: str) -> Backbone:
    """Return a backbone that knows what its images were; a `TedmError` if these are not the names of its channels."""
    if channel_names and len(channel_names) != backbone.image_channels:
        raise TedmError(
            f"the checkpoint names {len(channel_names)} channels, {listed(channel_names)}, and its network takes "
            f"{backbone.image_channels}; use the file as its training wrote it"
        )
    return dataclasses.replace(backbone, channel_names=tuple(channel_names), intensities=intensities)


class Sizes(NamedTuple):
    """What the shapes of a network's tensors follow from."""

    width: int
    multipliers: tuple[int, ...]
    image_channels: int


def sizes_of(content: Content) -> Sizes:
    """Return the sizes that a checkpoint's settings give its network; `TedmError` if one is missing or no number."""
    return Sizes(_integer(content, "dim"), _integers(content, "dim_mults"), _integer(content, "channels"))


def image_size_of(content: Content) -> int:
    """Return the side of the images that a network has seen, in pixels; `TedmError` if it is missing or no number."""
    return _integer(content, "img_size")


def network_on_meta(content: Content, sizes: Sizes, *, out_channels: int | None = None, timed: bool = True) -> TedmUNet:
    """Return the network that settings ask for without its memory, so that absurd settings cost nothing; see `TedmUNet`."""
    try:
        with torch.device("meta"), no_larger_than(content):
            return TedmUNet(**sizes._asdict(), out_channels=out_channels, timed=timed)
    except (RuntimeError, OverflowError, TypeError) as error:  # sizes that torch cannot even write down
        raise TedmError(
            f"the settings of checkpoint {content.name} make no network: width {sizes.width}, multipliers {sizes.multipliers}, "
            f"{sizes.image_channels} channels. Use the file as its training wrote it."
        ) from error


def content(backbone: Backbone) -> Content:
    """Return the inverse of `build`: settings under the names of the published checkpoints."""
    network = backbone.network
    if not isinstance(network, TedmUNet):
        raise TypeError(f"expected the network of a {NAME} backbone, got {type(network).__name__}")
    return Content(
        name="",
        sha256=backbone.sha256,
        tensors={
            **{PREFIX + name: tensor.float() for name, tensor in network.state_dict().items()},
            "alphas_cumprod": torch.tensor(backbone.schedule.alphas_cumprod),
        },
        config={
            "family": NAME,
            "dim": network.width,
            "dim_mults": list(network.multipliers),
            "channels": network.image_channels,
            "out_channels": network.out_channels,
            "img_size": backbone.image_size,
            "timesteps": backbone.schedule.timesteps_total,
            "beta_schedule": backbone.schedule.name,
            "objective": WRITTEN[backbone.predicts],
            "normalize": backbone.training_range == (-1.0, 1.0),
            **({"channel_names": list(backbone.channel_names)} if backbone.channel_names else {}),
            **({"intensities": backbone.intensities} if backbone.intensities else {}),
        },
        step=backbone.step,
    )


def as_backbone(
    network: TedmUNet,
    *,
    schedule: Schedule,
    image_size: int,
    sha256: str,
    step: int | None,
    training_range: tuple[float, float] = (-1.0, 1.0),
    predicts: Prediction = "noise",
    remarks: tuple[str, ...] = (),
) -> Backbone:
    """Return a network of this family with its levels: level0 is the coarsest, the last has the image's own resolution."""
    stages = len(network.multipliers)
    levels = tuple(
        Level(f"level{index}", network.width * multiplier, 2 ** (stages - 1 - index))
        for index, multiplier in enumerate(reversed(network.multipliers))
    )
    return Backbone(
        family=NAME,
        network=network,
        schedule=schedule,
        levels=levels,
        taps=tuple(f"ups.{index}.2" for index in range(stages)),
        image_size=image_size,
        image_channels=network.image_channels,
        size_multiple=2 ** (stages - 1),
        sha256=sha256,
        step=step,
        training_range=training_range,
        predicts=predicts,
        remarks=remarks,
        presets={"tedm": tuple(level.name for level in levels)},
    )


def random_backbone(
    *,
    image_size: int = 16,
    width: int = 8,
    multipliers: Sequence[int] = (1, 2),
    image_channels: int = 1,
    seed: int = 0,
    timesteps_total: int = 1000,
    schedule: str = "cosine",
) -> Backbone:
    """Return an untrained backbone: for tests, benchmarks and dry runs.

    Its SHA-256 is that of the file that `save_backbone` makes of it, so it is the same when saved and loaded.

    Parameters
    ----------
    image_size : int
        Side of its images, a multiple of 2 ** (number of multipliers - 1).
    width : int
        Channels of the finest level, a multiple of 8.
    multipliers : sequence of int
        Channels of each stage in units of `width`, finest first; each stage after the first halves the image.
    image_channels : int
        1 for grey, 3 for RGB.
    seed : int
        Of its weights.
    timesteps_total : int
        T.
    schedule : {"cosine", "linear"}
        Its noise schedule.
    """
    network = random_network(width=width, multipliers=multipliers, image_channels=image_channels, seed=seed)
    backbone = as_backbone(
        network, schedule=Schedule.named(schedule, timesteps_total), image_size=image_size, sha256="", step=None
    )
    return dataclasses.replace(backbone, sha256=hashlib.sha256(content(backbone).to_bytes()).hexdigest())


def random_network(*, width: int, multipliers: Sequence[int], image_channels: int, seed: int) -> TedmUNet:
    """Return a UNet with torch's usual initial weights, a function of `seed`; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TedmUNet(width=width, multipliers=multipliers, image_channels=image_channels)


def _setting(content: Content, name: str) -> JsonValue:
    if name not in content.config:
        raise TedmError(
            f"checkpoint {content.name} has the tensors of TEDM's UNet but not the setting {name!r}; "
            "use a file that has its training's `config` in it, as the published code writes it"
        )
    return content.config[name]


def _texts(content: Content, name: str) -> tuple[str, ...]:
    """Return the texts of a setting that may be absent: one, or a list of them."""
    value = content.config.get(name, ())
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(each, str) and each.isprintable() for each in texts):
        raise TedmError(f"the setting {name!r} of checkpoint {content.name} is {value!r}; expected words")
    return tuple(texts)


def _integer(content: Content, name: str) -> int:
    value = _setting(content, name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TedmError(f"the setting {name!r} of checkpoint {content.name} is {value!r}; expected a whole number above zero")
    return value


def _integers(content: Content, name: str) -> tuple[int, ...]:
    value = _setting(content, name)
    if not isinstance(value, (list, tuple)) or not value or not all(isinstance(item, int) and item > 0 for item in value):
        raise TedmError(f"the setting {name!r} of checkpoint {content.name} is {value!r}; expected whole numbers above zero")
    return tuple(value)


def _schedule(content: Content) -> tuple[Schedule, str]:
    """Return the schedule that the file holds, and a remark; a file without one gets the schedule that its settings name.

    The published code computed its schedules in float32, which moves x_t by 1e-5 at small timesteps: the file's own numbers
    are the ones that the network was trained with. Numbers of 16 bits are not, they were rounded when the file was written.
    """
    named = Schedule.named(str(_setting(content, "beta_schedule")), _integer(content, "timesteps"))
    tensors = {**content.schedule, **content.tensors}
    if "alphas_cumprod" in tensors:
        buffers = [tensors["alphas_cumprod"]]
        alphas_cumprod, key = buffers[0].double(), "alphas_cumprod"
    elif "sqrt_alphas_cumprod" in tensors and "sqrt_one_minus_alphas_cumprod" in tensors:
        key = "sqrt_alphas_cumprod"
        buffers = [tensors[name] for name in (key, "sqrt_one_minus_alphas_cumprod")]
        image, rest = (buffer.double().square() for buffer in buffers)
        alphas_cumprod = (
            torch.where(image < 0.5, image, 1 - rest) if image.shape == rest.shape else image
        )  # the smaller is exact
    else:
        return named, ""
    found = alphas_cumprod.numpy()
    if found.shape != named.alphas_cumprod.shape or not np.allclose(
        found, named.alphas_cumprod, rtol=0, atol=precision_of(buffers)
    ):
        raise TedmError(
            f"the settings of checkpoint {content.name} contradict its tensors\n"
            f"  {key}: the settings ask for a {named.name} schedule of shape {named.alphas_cumprod.shape}, "
            f"the file has another, of shape {found.shape}\nUse the file as its training wrote it."
        )
    return Schedule.recorded(named.name, alphas_cumprod, buffers)
