"""Training a backbone of one's own on unlabelled images.

The network learns to predict the noise in x_t, at timesteps drawn at random (Ho et al. 2020), with Adam and the mean absolute
error (Rosnati et al. 2023); what is used in the end is the moving average of its weights. A run can be interrupted at any
moment and goes on to the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.devices import require_device
from tedm.extract.backbones import Backbone, load_backbone
from tedm.extract.backbones.backbone import require_size
from tedm.store.settings import Precision

from .denoiser import Denoiser, DiffusionSettings
from .loop import EMA_DECAY, digest_of, require_images, require_numbers, train
from .progress import TrainingReport
from .state import Format


def pretrain_diffusion(
    images: NDArray[np.float32],
    checkpoint: Path,
    *,
    width: int = 64,
    multipliers: Sequence[int] = (1, 2, 4, 8),
    schedule: str = "cosine",
    timesteps_total: int = 1000,
    iterations: int = 100_000,
    batch_size: int = 4,
    accumulate: int = 1,
    learning_rate: float = 1e-4,
    clip_gradient: float | None = None,
    ema_decay: float = EMA_DECAY,
    precision: Precision = "float32",
    flip: bool = False,
    seed: int = 0,
    device: str = "cpu",
    channel_names: Sequence[str] = (),
    intensities: str = "",
    held_out: NDArray[np.float32] | None = None,
    resume: bool = False,
    keep_state: bool = False,
    state_every: int = 1000,
    checkpoint_every: int = 0,
    report_every: int = 1000,
    samples: int = 0,
    format: Format = "safetensors",
    report: Callable[[TrainingReport], None] | None = None,
    progress: Callable[[int, int, float], None] | None = None,
    log: Callable[[str], None] | None = None,
) -> Backbone:
    """Train TEDM's UNet from random weights.

    On a CPU the same arguments give the same weights, bit for bit, interrupted or not (one machine, one number of threads).

    Parameters
    ----------
    images : array of shape (images, channels, side, side), float32
        From 0, black, to 1, white. The side is the backbone's `image_size`.
    checkpoint : Path
        The file to write. The state for `resume` is written beside it, at `state_path(checkpoint)`; it can be used as a
        checkpoint, too.
    width, multipliers, schedule, timesteps_total
        As `tedm.extract.backbones.tedm.random_backbone` has them; the defaults are the paper's.
    iterations : int
        Steps of the optimiser. A run can be resumed with more.
    batch_size : int
        Images in each iteration, drawn with replacement.
    accumulate : int
        Parts that a batch is computed in, one after the other: less memory, the same gradient up to rounding.
    learning_rate : float
        Adam's.
    clip_gradient : float or None
        Longest gradient; a longer one is shortened to it. None never shortens.
    ema_decay : float
        Of the moving average of the weights, at each iteration; 0 is no average. A short run's is less at first.
    precision : {"float32", "bfloat16"}
        Of the passes through the network; weights, average and Adam are in float32 always.
    flip : bool
        Turn every other image, by chance, left to right. Anatomy is not symmetric.
    seed : int
        Of the initial weights and of everything that is drawn.
    device : str
        "cpu", "cuda" or "cuda:N".
    channel_names : sequence of str
        What the channels are called, in their order; extraction refuses others then.
    intensities : str
        What numbers of volumes became intensities by, "quantile" or "zscore"; extraction says where that is another.
    held_out : array like `images`, optional
        Images for the validation loss.
    resume : bool
        Go on from the state beside the checkpoint.
    keep_state : bool
        Keep that state when finished, to go on with more iterations later.
    state_every : int
        Iterations between writes of the state. It is also written at Ctrl-C and SIGTERM.
    checkpoint_every : int
        Iterations between checkpoints on the way, which stay (`ddpm-500.safetensors` beside `ddpm.safetensors`); 0 is none.
    report_every : int
        Iterations between points of the loss curve, and reports; there is one before the first iteration.
    samples : int
        Images in a report, each of 20 passes.
    format : {"safetensors", "published"}
        Of the checkpoints (`tedm.extract.pretrain.state.write_checkpoint`).
    report : callable, optional
        Called with each `TrainingReport`.
    progress : callable, optional
        Called after each iteration with (iterations done, iterations, loss).
    log : callable, optional
        Called with lines that a person wants to see: among the first, how long the run will take.

    Returns
    -------
    Backbone
        As `load_backbone` reads it from the file.

    Raises
    ------
    TedmError
        If the images, a number or the device will not do; if a finished or an unfinished run is there and `resume` is not asked
        for, or there is nothing to resume or it had other settings; if the training diverges.
    """
    require_numbers(
        iterations=iterations,
        batch_size=batch_size,
        accumulate=accumulate,
        state_every=state_every,
        report_every=report_every,
        samples=samples,
        checkpoint_every=checkpoint_every,
        learning_rate=learning_rate,
        clip_gradient=clip_gradient,
        ema_decay=ema_decay,
    )
    require_images(images, held_out, batch_size=batch_size)
    require_size(images.shape[2], 2 ** max(len(multipliers) - 1, 0))
    _, image_channels, image_size, _ = images.shape
    settings = DiffusionSettings(
        image_size=image_size,
        image_channels=image_channels,
        width=width,
        multipliers=tuple(multipliers),
        schedule=schedule,
        timesteps_total=timesteps_total,
        batch_size=batch_size,
        accumulate=accumulate,
        learning_rate=learning_rate,
        clip_gradient=clip_gradient,
        ema_decay=ema_decay,
        precision=precision,
        flip=flip,
        seed=seed,
        images=digest_of(images),
        channel_names=tuple(channel_names),
        intensities=intensities,
    )
    train(
        Denoiser(settings, require_device(device)),
        images,
        checkpoint,
        iterations=iterations,
        held_out=held_out,
        resume=resume,
        keep_state=keep_state,
        state_every=state_every,
        checkpoint_every=checkpoint_every,
        report_every=report_every,
        samples=samples,
        format=format,
        report=report,
        progress=progress,
        log=log,
    )
    return load_backbone(checkpoint)
