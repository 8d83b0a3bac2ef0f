"""What a fit was asked for, checked before any work, and the shape of the network that follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tedm.devices import choose_precision
from tedm.errors import TedmError
from tedm.heads.base.settings import require_rate
from tedm.heads.data.sampling import Sampling
from tedm.heads.unet.losses import LossName
from tedm.heads.unet.network import (
    DYNUNET_WIDTH,
    TEDM_WIDTH,
    NetworkName,
    NetworkShape,
    default_multipliers,
)
from tedm.heads.unet.start import Start
from tedm.networks.pretrained import Pretrained
from tedm.store import FeatureSettings

# Adam's, for random weights and for weights that have learned already.
LEARNING_RATE, TUNING_RATE = 1e-3, 3e-4


# Iterations of two classes, and images of each: a fit of either takes 150 seconds of one core of an EPYC at 64 x 64 pixels, and
# an image costs TEDM's UNet (of width 32) eight times what it costs the DynUNet.
USUAL_STEPS: Mapping[NetworkName, tuple[int, int]] = {"dynunet": (600, 8), "tedm": (150, 4)}


@dataclass(frozen=True)
class Steps:
    """How long a network learns.

    Parameters
    ----------
    iterations : int
    images : int
        Of each.
    """

    iterations: int
    images: int

    @classmethod
    def asked_for(cls, network: NetworkName, classes: int, iterations: int | None, images_per_batch: int | None) -> Steps:
        """Return what was asked for, or the usual.

        Iterations are in proportion to the classes, two or more: what finds two lungs has not begun to find fifteen structures
        of the brain (docs/results/brain-mri.md).

        Examples
        --------
        >>> Steps.asked_for("tedm", 2, None, 2), Steps.asked_for("dynunet", 16, None, None)
        (Steps(iterations=150, images=2), Steps(iterations=4800, images=8))
        """
        usual, batch = USUAL_STEPS[network]
        return cls(
            usual * max(classes, 2) // 2 if iterations is None else iterations,
            batch if images_per_batch is None else images_per_batch,
        )

    def require(self, *, augment: bool, mirror: bool, sampling: Sampling) -> None:
        """Refuse numbers below 1, mirrors without augmentation, and pixels drawn by their weights."""
        for what, value in (("iterations", self.iterations), ("images_per_batch", self.images)):
            if value < 1:
                raise TedmError(f"{what} is {value}; it must be at least 1")
        if mirror and not augment:
            raise TedmError("mirror is a part of the augmentation, which is off; leave mirror out, or augment")
        if sampling != "uniform":
            raise TedmError(
                f"--sampling {sampling} is for heads that draw pixels; a unet learns from whole images: leave it out"
            )


def rate_of(learning_rate: float | None, start: Start) -> float:
    """Return the learning rate that was asked for, or the usual one; a `TedmError` if it is not above 0."""
    rate = learning_rate if learning_rate is not None else TUNING_RATE if start else LEARNING_RATE
    require_rate(rate)
    return rate


def precision_of(asked: str, device: str) -> Literal["float32", "bfloat16"]:
    """Return the precision of a network's passes while it learns; a `TedmError` if there is none of that name."""
    return choose_precision(asked, "cuda" if device.startswith("cuda") else "cpu", "training")


def require_choices(network: NetworkName, loss: LossName, start: Start) -> None:
    """Refuse names that there are not, and a network that cannot start so."""
    for what, value, known in (
        ("network", network, get_args(NetworkName)),
        ("loss", loss, get_args(LossName)),
        ("start", start, get_args(Start)),
    ):
        if value not in known:
            raise TedmError(f"there is no {what} {value!r}; choose one of {', '.join(filter(None, known))}")
    if start and network != "tedm":
        raise TedmError(f"a {network} cannot start from {start} weights; they are of the network tedm")


def told_timestep(start: Start, timestep: int | None) -> int | None:
    """Return the timestep that the network is told, None if it knows none; a ValueError if that cannot be."""
    if start != "diffusion":
        if timestep is not None:
            raise ValueError(f"timestep is {timestep}, and only a network that starts from a diffusion model is told one")
        return None
    timestep = 0 if timestep is None else timestep
    if type(timestep) is not int or not 0 <= timestep < 2**31:
        raise ValueError(f"timestep is {timestep}; it must be a whole number of at least 0")
    return timestep


def shape_asked_for(
    settings: FeatureSettings,
    classes: int,
    *,
    network: NetworkName,
    width: int | None,
    multipliers: Sequence[int] | None,
    image_channels: int | None,
    image_size: int | None,
    start: Start,
    timestep: int | None,
    weights: Pretrained | None,
) -> NetworkShape:
    """Return the shape of the network: what was asked for, else the weights', else the usual.

    Parameters
    ----------
    settings : FeatureSettings
        Of the images.
    classes : int
    network, width, multipliers, image_channels, image_size, start, timestep
        As in `UNetHead`.
    weights : Pretrained or None
        Those that the fit starts from.

    Raises
    ------
    TedmError
        If these make no network, or are for other images.
    """
    for what, ours, theirs in (
        ("image_channels", image_channels, settings.image_channels),
        ("image_size", image_size, settings.image_size),
    ):
        if ours is not None and ours != theirs:
            raise TedmError(f"{what} is {ours}, and the images here have {theirs}; leave {what} out")
    usual = weights.width if weights is not None else DYNUNET_WIDTH if network == "dynunet" else TEDM_WIDTH
    levels = weights.multipliers if weights is not None else default_multipliers(network, settings.image_size)
    try:
        return NetworkShape(
            network,
            usual if width is None else width,
            tuple(levels if multipliers is None else multipliers),
            settings.image_channels,
            settings.image_size,
            classes,
            told_timestep(start, timestep),
        )
    except ValueError as error:
        raise TedmError(f"{error}; correct the head's --params") from error
