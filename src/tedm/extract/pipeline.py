"""Images in, activations out: every forward pass that the rest of tedm needs happens here.

An entry is one image at one timestep with one draw of noise. Entries are taken in order, filled into batches of the recorded
size (on a GPU the last one is padded with copies of its first entry; a CPU computes entry by entry and needs none) and put
together again image by image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.arithmetic import running
from tedm.extract.backbone import Backbone
from tedm.extract.geometry import to_range
from tedm.extract.noise import draw_noise
from tedm.store import Arithmetic, FeatureSettings
from tedm.store.layout import Floats


@dataclass(frozen=True)
class Computed:
    """One image and what the backbone made of it.

    Parameters
    ----------
    name : str
        The image.
    image : array of shape (size, size, channels)
        The square that the backbone saw, in [0, 1].
    cells : list of arrays of shape (timesteps, draws, side, side, channels)
        One for each level, float32.
    """

    name: str
    image: NDArray[np.float32]
    cells: list[Floats]


def compute(
    backbone: Backbone,
    settings: FeatureSettings,
    arithmetic: Arithmetic,
    images: Iterable[tuple[str, NDArray[np.float32]]],
    timesteps: Sequence[int] | None = None,
) -> Iterator[Computed]:
    """Run the backbone once for each image, timestep and draw.

    Parameters
    ----------
    backbone : Backbone
        The one that the settings name.
    settings : FeatureSettings
        Input range, noise, levels, draws.
    arithmetic : Arithmetic
        Device, precision, batch size.
    images : iterable of (name, array of shape (size, size, channels))
        Squares in [0, 1]; read one at a time, as they are needed.
    timesteps : sequence of int or None
        Some of the settings' timesteps; None takes all.

    Yields
    ------
    Computed
        In the order of `images`. An image's activations are bit-equal whatever images come before or after it.

    Raises
    ------
    TedmError
        If the device runs out of memory; the message names a batch size that would do.
    """
    timesteps = settings.timesteps if timesteps is None else tuple(timesteps)
    backbone = backbone.prepare(arithmetic.device, precision=arithmetic.precision, channels_last=arithmetic.channels_last)
    # One image's entries, in the order in which they fill its cells.
    slots = [(t, draw) for t in range(len(timesteps)) for draw in range(settings.draws)]
    open_images: dict[str, tuple[Computed, list[int]]] = {}
    batch: list[tuple[str, int, int]] = []
    inputs: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []

    def flush() -> Iterator[Computed]:
        outputs = _forward(backbone, arithmetic, inputs, [timesteps[t] for _, t, _ in batch])
        for entry, (name, t, draw) in enumerate(batch):
            computed, left = open_images[name]
            for cells, output in zip(computed.cells, outputs, strict=True):
                cells[t, draw] = output[entry]
            left[0] -= 1
            if not left[0]:
                yield open_images.pop(name)[0]
        batch.clear()
        inputs.clear()

    for name, image in images:
        cells = [_empty(len(timesteps), settings, position) for position in range(len(settings.levels))]
        open_images[name] = Computed(name, image, cells), [len(slots)]
        x_0 = np.ascontiguousarray(to_range(image, settings.input_range).transpose(2, 0, 1))
        for t, draw in slots:
            noise = draw_noise(
                x_0.shape, mode=settings.noise, seed=settings.noise_seed, name=name, timestep=timesteps[t], draw=draw
            )
            batch.append((name, t, draw))
            inputs.append((x_0, noise))
            if len(batch) == arithmetic.batch_size:
                yield from flush()
    if batch:
        yield from flush()


def _empty(timesteps: int, settings: FeatureSettings, position: int) -> Floats:
    level = settings.levels[position]
    side = settings.side(level)
    return np.empty((timesteps, settings.draws, side, side, level.channels), np.float32)


def _forward(
    backbone: Backbone,
    arithmetic: Arithmetic,
    inputs: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]],
    timesteps: Sequence[int],
) -> list[Floats]:
    """One forward pass over a batch; channels last, float32, without the padding."""
    padding = 0 if arithmetic.device == "cpu" else arithmetic.batch_size - len(inputs)
    padded = [*inputs, *[inputs[0]] * padding]
    x_0 = torch.from_numpy(np.stack([image for image, _ in padded]))
    noise = torch.from_numpy(np.stack([noise for _, noise in padded]))
    steps = torch.tensor([*timesteps, *[timesteps[0]] * padding])
    try:
        with running(arithmetic):
            # Noising happens on the CPU in float32 whatever the device, so that every device sees the same input.
            x_t = backbone.schedule.x_t(x_0, noise, steps)
            levels = backbone.activations(x_t.to(arithmetic.device), steps.to(arithmetic.device))
            return [level.permute(0, 2, 3, 1).to("cpu", torch.float32).numpy()[: len(inputs)] for level in levels]
    except torch.OutOfMemoryError as error:
        raise _out_of_memory(arithmetic) from error
    except RuntimeError as error:  # what torch raises when the CPU's memory is at its end
        if "alloc" in str(error) and "memory" in str(error):
            raise _out_of_memory(arithmetic) from error
        raise


def _out_of_memory(arithmetic: Arithmetic) -> TedmError:
    smaller = max(1, arithmetic.batch_size // 2)
    return TedmError(
        f"out of memory on {arithmetic.device} with a batch of {arithmetic.batch_size}; finished images are safe\n"
        f"Extract to a new store with --batch-size {smaller} (a store keeps the batch size that it was made with)."
    )
