"""Training TEDM's UNet by contrast, to start a network that segments from: the paper's Global CL and Global & Local CL.

What differs from the code that was published with TEDM, and why, is said in `contraster`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from tedm.devices import require_device
from tedm.errors import TedmError
from tedm.extract.backbones.backbone import require_size
from tedm.networks.pretrained import Pretrained
from tedm.store.settings import Precision
from tedm.text import counted, listed

from .contraster import REGION, REGIONS, Contraster, ContrastSettings, map_side, regions_of
from .loop import digest_of, require_images, require_numbers, train
from .pretrained import DECODED, read_pretrained
from .progress import TrainingReport

Contrast = Literal["global-cl", "global-local-cl"]
WIDTH, MULTIPLIERS = 64, (1, 2, 4, 8)
BATCH_SIZE = 32


def pretrain_contrast(
    images: NDArray[np.float32],
    checkpoint: Path,
    *,
    objective: Contrast,
    start: Path | None = None,
    as_published: bool = False,
    width: int | None = None,
    multipliers: Sequence[int] | None = None,
    iterations: int = 100_000,
    batch_size: int = BATCH_SIZE,
    accumulate: int = 1,
    learning_rate: float = 1e-4,
    clip_gradient: float | None = None,
    ema_decay: float = 0.0,
    precision: Precision = "float32",
    flip: bool = False,
    seed: int = 0,
    device: str = "cpu",
    held_out: NDArray[np.float32] | None = None,
    resume: bool = False,
    keep_state: bool = False,
    state_every: int = 1000,
    checkpoint_every: int = 0,
    report_every: int = 1000,
    report: Callable[[TrainingReport], None] | None = None,
    progress: Callable[[int, int, float], None] | None = None,
    log: Callable[[str], None] | None = None,
) -> Pretrained:
    """Train the encoder of TEDM's UNet on two views of each image, or two stages of its decoder on regions of them.

    On a CPU the same arguments give the same weights, bit for bit, interrupted or not (one machine, one number of threads).
    Arguments that are not explained here are those of `pretrain_diffusion`.

    Parameters
    ----------
    images : array of shape (images, channels, side, side), float32
        From 0, black, to 1, white.
    checkpoint : Path
        The file to write.
    objective : {"global-cl", "global-local-cl"}
        "global-cl" is SimCLR (Chen et al. 2020, arXiv:2002.05709): crops, brightness and contrast make the views. Of
        "global-local-cl" (Chaitanya et al. 2020, arXiv:2006.10511) this is the second stage: 20 regions of 3 x 3 of the map
        after two decoder stages are compared between views that differ in intensity alone; the encoder stays as it is.
    start : Path or None
        Checkpoint of "global-cl" that "global-local-cl" takes its encoder from.
    as_published : bool
        Of "global-cl": the projection sees the map of the middle as it is, not its mean over the pixels, and is not normalised.
    width, multipliers
        Of the network; by default the paper's, 64 and 1, 2, 4, 8, or those of `start`.
    batch_size : int
        Images in each iteration, all different. Of "global-cl" an image is to be told from the others of its batch.
    accumulate : int
        Of "global-local-cl": as there. Of "global-cl" a batch is one.
    ema_decay : float
        0, no moving average, by default: neither paper has one.

    Returns
    -------
    Pretrained
        As `read_pretrained` reads it from the file.

    Raises
    ------
    TedmError
        As `pretrain_diffusion`; also if an argument is of the other objective, or `start` is no checkpoint of "global-cl" or of
        another network than the arguments ask for.
    """
    require_numbers(
        iterations=iterations,
        batch_size=batch_size,
        accumulate=accumulate,
        state_every=state_every,
        report_every=report_every,
        samples=0,
        checkpoint_every=checkpoint_every,
        learning_rate=learning_rate,
        clip_gradient=clip_gradient,
        ema_decay=ema_decay,
    )
    begun = require_contrast(objective, start=start, as_published=as_published, batch_size=batch_size, accumulate=accumulate)
    require_images(images, held_out, batch_size=batch_size)
    _, image_channels, image_size, _ = images.shape
    if begun is not None:
        require_same(begun, start, width=width, multipliers=multipliers, image_size=image_size, image_channels=image_channels)
        width, multipliers = begun.width, begun.multipliers
    multipliers = tuple(MULTIPLIERS if multipliers is None else multipliers)
    require_size(image_size, 2 ** max(len(multipliers) - 1, 0))
    say = log or (lambda line: None)
    if objective == "global-local-cl":
        _say_regions(image_size, multipliers, say)
    elif held_out is not None and len(held_out) == 1:
        say("note: one image held out has no other to be told from, so there is no loss on images held out")
        held_out = None
    settings = ContrastSettings(
        image_size=image_size,
        image_channels=image_channels,
        width=WIDTH if width is None else width,
        multipliers=multipliers,
        batch_size=batch_size,
        accumulate=accumulate,
        learning_rate=learning_rate,
        clip_gradient=clip_gradient,
        ema_decay=ema_decay,
        precision=precision,
        flip=flip,
        seed=seed,
        images=digest_of(images),
        objective=objective,
        as_published=as_published,
        start="" if begun is None else begun.sha256,
    )
    train(
        Contraster(settings, begun, require_device(device)),
        images,
        checkpoint,
        iterations=iterations,
        held_out=held_out,
        resume=resume,
        keep_state=keep_state,
        state_every=state_every,
        checkpoint_every=checkpoint_every,
        report_every=report_every,
        report=report,
        progress=progress,
        log=log,
    )
    return read_pretrained(checkpoint)


def require_contrast(
    objective: str, *, start: Path | None, as_published: bool, batch_size: int, accumulate: int
) -> Pretrained | None:
    """Refuse what an objective cannot have, and return the weights that it starts from; asked before images are read.

    Raises
    ------
    TedmError
        If an argument is of the other objective, or `start` will not do.
    """
    if objective not in ("global-cl", "global-local-cl"):
        raise TedmError(f"{objective!r} is no contrastive objective; use global-cl or global-local-cl")
    if objective == "global-cl":
        if start is not None:
            raise TedmError(f"global-cl starts from random weights, not from {start}; leave out --start")
        if batch_size < 2:
            raise TedmError("global-cl tells an image from the others of its batch; use a batch size of at least 2, 32 say")
        if accumulate > 1:
            raise TedmError(
                f"a batch of global-cl cannot be computed in {accumulate} parts: each image is compared with all others; leave "
                "out --accumulate, or use a smaller batch size"
            )
        return None
    if as_published:
        raise TedmError(
            "global-local-cl has no --as-published: the published code leaves the projection at random weights and compares "
            "wrong regions (47 % of its positive pairs), so that there is nothing to learn; leave it out"
        )
    if start is None:
        raise TedmError(
            "global-local-cl starts from an encoder that has learned globally; name it with --start, a checkpoint of "
            "tedm-pretrain --objective global-cl"
        )
    begun = read_pretrained(start)
    if begun.objective != "global-cl":
        raise TedmError(
            f"{start} is a checkpoint of the objective {begun.objective}; global-local-cl starts from one of "
            "tedm-pretrain --objective global-cl"
        )
    side = map_side(begun.image_size, begun.multipliers) if len(begun.multipliers) >= DECODED else 0
    if regions_of(side) < 2:
        raise TedmError(
            f"{start} has {counted(len(begun.multipliers), 'level')} for images of {begun.image_size} x {begun.image_size}: "
            f"after two decoder stages there are no two regions of {REGION} x {REGION}; start from a network of at least two "
            "levels on larger images"
        )
    return begun


def require_same(
    begun: Pretrained,
    start: Path | None,
    *,
    width: int | None,
    multipliers: Sequence[int] | None,
    image_size: int | None,
    image_channels: int | None,
) -> None:
    """Refuse another network or other images than those of the checkpoint that a training starts from; None asks for nothing.

    Raises
    ------
    TedmError
        In one line with all differences.
    """
    asked = {
        "width": (width, begun.width),
        "multipliers": (None if multipliers is None else tuple(multipliers), begun.multipliers),
        "image size": (image_size, begun.image_size),
        "channels": (image_channels, begun.image_channels),
    }
    other = [
        f"{name} {_short(theirs)} and not {_short(ours)}"
        for name, (ours, theirs) in asked.items()
        if ours is not None and ours != theirs
    ]
    if other:
        raise TedmError(f"{start} has {listed(other)}; leave these options out, or start from another checkpoint")


def _say_regions(image_size: int, multipliers: tuple[int, ...], say: Callable[[str], None]) -> None:
    side = map_side(image_size, multipliers)
    if regions_of(side) < REGIONS:
        say(
            f"note: {regions_of(side)} regions of {REGION} x {REGION} fit into the map of {side} x {side} side by side; "
            f"{REGIONS} are compared where images are larger"
        )


def _short(value: object) -> str:
    return ",".join(map(str, cast("tuple[int, ...]", value))) if isinstance(value, tuple) else str(value)
