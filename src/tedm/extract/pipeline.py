"""Images in, activations out: every forward pass that the rest of tedm needs happens here.

An entry is one image at one timestep with one draw of noise. Entries are taken in order, filled into batches of the recorded
size (on a GPU the last one is padded with copies of its first entry; a CPU computes entry by entry and needs none) and put
together again image by image. Images are read and noised ahead in a thread; on a GPU the activations of one batch travel to
the host, on a stream of their own, while the next batch is computed.
"""

from __future__ import annotations

import contextlib
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tedm.errors import TedmError
from tedm.extract.arithmetic import running
from tedm.extract.backbones import Backbone, Schedule
from tedm.extract.images.geometry import to_range
from tedm.extract.noise import draw_noise
from tedm.extract.stages import Waited, ahead
from tedm.store import Arithmetic, Features, FeatureSettings
from tedm.store.layout import Floats, finite, require_fitting
from tedm.store.settings import StorageType

READ_AHEAD = 2  # images that wait for the backbone
# Batches whose activations may be on their way to the host while the next one is computed. A CPU has them where they are.
ON_THE_WAY = {"cpu": 0, "cuda": 1}


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
        One for each level, in the type that was asked for.
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
    waited: Waited | None = None,
    dtype: StorageType = "float32",
) -> Iterator[Computed]:
    """Run the backbone once for each image, timestep and draw.

    At most `images_at_once` images are in memory, whatever their number.

    Parameters
    ----------
    backbone : Backbone
        The one that the settings name.
    settings : FeatureSettings
        Input range, noise, levels, draws.
    arithmetic : Arithmetic
        Device, precision, batch size.
    images : iterable of (name, array of shape (size, size, channels))
        Squares in [0, 1]; taken in a thread, a few ahead of the backbone.
    timesteps : sequence of int or None
        Some of the settings' timesteps; None takes all.
    waited : Waited or None
        Counts the seconds in which the device waited for images.
    dtype : {"float32", "float16"}
        Type of the cells. float16 takes half of the memory, and is for those who would round them anyway.

    Yields
    ------
    Computed
        In the order of `images`. An image's activations are bit-equal whatever images come before or after it.

    Raises
    ------
    TedmError
        If the device runs out of memory; the message names a batch size (on a CPU a number of threads) that would do. If an
        activation that is asked for in float16 is not finite, or too large for it.
    """
    timesteps = settings.timesteps if timesteps is None else tuple(timesteps)
    backbone = backbone.prepare(arithmetic.device, precision=arithmetic.precision, channels_last=arithmetic.channels_last)
    # One image's entries, in the order in which they fill its cells.
    slots = [(t, draw) for t in range(len(timesteps)) for draw in range(settings.draws)]
    open_images: dict[str, tuple[Computed, list[int]]] = {}
    batch: list[tuple[str, int, int]] = []
    inputs: list[Tensor] = []
    on_the_way: deque[tuple[list[tuple[str, int, int]], Arriving]] = deque()

    def start() -> None:
        levels = _forward(backbone, arithmetic, inputs, [timesteps[t] for _, t, _ in batch])
        on_the_way.append((batch.copy(), Arriving(levels)))
        batch.clear()
        inputs.clear()

    def finish(most: int) -> Iterator[Computed]:
        while len(on_the_way) > most:
            entries, arriving = on_the_way.popleft()
            for level, output in enumerate(arriving.arrived()):
                for entry, (name, t, draw) in enumerate(entries):  # to their type on the way: one pass over the numbers
                    kept = open_images[name][0].cells[level][t, draw]
                    torch.from_numpy(kept).copy_(output[entry])
                    if dtype == "float16" and not finite(kept):
                        of_level = settings.levels[level].name
                        require_fitting(name, of_level, timesteps[t], output[entry].float().numpy(), dtype)
            for name, _, _ in entries:
                left = open_images[name][1]
                left[0] -= 1
                if not left[0]:
                    yield open_images.pop(name)[0]

    noised = _noised(backbone, settings, images, [(timesteps[t], draw) for t, draw in slots])
    with contextlib.closing(ahead(noised, waiting=READ_AHEAD, waited=waited or Waited())) as ready:  # type: ignore[type-var]
        for name, image, x_t in ready:
            cells = [_empty(len(timesteps), settings, position, dtype) for position in range(len(settings.levels))]
            open_images[name] = Computed(name, image, cells), [len(slots)]
            for (t, draw), entry in zip(slots, x_t, strict=True):
                batch.append((name, t, draw))
                inputs.append(entry)
                if len(batch) == arithmetic.batch_size:
                    start()
                    yield from finish(most=ON_THE_WAY[arithmetic.device])
        if batch:
            start()
        yield from finish(most=0)


def images_at_once(entries: int, arithmetic: Arithmetic) -> int:
    """Return how many images `compute` has in memory at most: those read ahead, and those with an entry in an open batch.

    Parameters
    ----------
    entries : int
        Timesteps times draws of an image.

    Returns
    -------
    int
        ceil(batch size x (1 + batches on their way) / entries) + 1 with activations, READ_AHEAD + 1 without.
    """
    return images_with_activations(entries, arithmetic) + READ_AHEAD + 1


def images_with_activations(entries: int, arithmetic: Arithmetic) -> int:
    """See `images_at_once`."""
    return -(-arithmetic.batch_size * (1 + ON_THE_WAY[arithmetic.device]) // entries) + 1


def _noised(
    backbone: Backbone,
    settings: FeatureSettings,
    images: Iterable[tuple[str, NDArray[np.float32]]],
    slots: Sequence[tuple[int, int]],
) -> Iterator[tuple[str, NDArray[np.float32], list[Tensor]]]:
    """Each image with its x_t for every (timestep, draw), shape (channels, size, size).

    Noising happens on the CPU in float32 whatever the device, so that every device sees the same input.
    """
    for name, image in images:
        yield name, image, [_x_t(backbone.schedule, settings, name, image, timestep, draw) for timestep, draw in slots]


def noisy_image(backbone: Backbone, features: Features, name: str, timestep: int, *, draw: int = 0) -> NDArray[np.float32]:
    """Return what the backbone saw of an image: x_t.

    Parameters
    ----------
    backbone : Backbone
        The one that the features were computed with, for its schedule.
    features : Features
        A store, say.
    name : str
        One of its images.
    timestep, draw : int
        At which timestep and with which draw of noise; any, not only those of the features.

    Returns
    -------
    array of shape (size, size, channels)
        In the image's units: 0 is black and 1 white, and noise goes beyond both.
    """
    backbone.schedule.require([timestep])
    black, white = features.settings.input_range
    x_t = _x_t(backbone.schedule, features.settings, name, features.image(name), timestep, draw)
    return (x_t.numpy().transpose(1, 2, 0) - np.float32(black)) / np.float32(white - black)


def _x_t(
    schedule: Schedule, settings: FeatureSettings, name: str, image: NDArray[np.float32], timestep: int, draw: int
) -> Tensor:
    """Shape (channels, size, size), in the backbone's range."""
    x_0 = np.ascontiguousarray(to_range(image, settings.input_range).transpose(2, 0, 1))
    noise = draw_noise(x_0.shape, mode=settings.noise, seed=settings.noise_seed, name=name, timestep=timestep, draw=draw)
    both = torch.from_numpy(x_0)[None], torch.from_numpy(noise)[None]
    return schedule.x_t(*both, torch.tensor([timestep]))[0]


def _empty(timesteps: int, settings: FeatureSettings, position: int, dtype: StorageType) -> Floats:
    level = settings.levels[position]
    side = settings.side(level)
    return np.empty((timesteps, settings.draws, side, side, level.channels), dtype)


def _forward(backbone: Backbone, arithmetic: Arithmetic, inputs: Sequence[Tensor], timesteps: Sequence[int]) -> list[Tensor]:
    """Run one forward pass over a batch; return the levels where they were computed, without the padding."""
    padding = 0 if arithmetic.device == "cpu" else arithmetic.batch_size - len(inputs)
    x_t = torch.stack([*inputs, *[inputs[0]] * padding])
    steps = torch.tensor([*timesteps, *[timesteps[0]] * padding])
    if arithmetic.device == "cuda":
        x_t = x_t.pin_memory()
    with running(arithmetic):
        try:
            levels = backbone.activations(x_t.to(arithmetic.device, non_blocking=True), steps.to(arithmetic.device))
            return [level[: len(inputs)] for level in levels]
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)  # they hold what the failed pass had computed
            failure = _out_of_memory(backbone, arithmetic, x_t, steps)
            raise failure from error


class Arriving:
    """A batch's levels on their way to the host, channels last.

    On a GPU they are copied into pinned memory by a stream of their own, which waits for those that compute and makes nobody
    wait; on a CPU they are where they are wanted.
    """

    def __init__(self, levels: Sequence[Tensor]) -> None:
        device = levels[0].device
        self._host = [level.permute(0, 2, 3, 1) for level in levels]
        self._event = None
        if device.type != "cuda":
            return
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for at, level in enumerate(levels):
                pixels = self._host[at].contiguous()
                host = torch.empty(pixels.shape, dtype=pixels.dtype, pin_memory=True)
                self._host[at] = host.copy_(pixels, non_blocking=True)
                level.record_stream(stream)  # its memory is not for others until the copy is done
        self._event = stream.record_event()

    def arrived(self) -> list[Tensor]:
        """Wait, and hand over the levels in the backbone's type: shape (entries, side, side, channels), on the host."""
        if self._event is not None:
            self._event.synchronize()
        return self._host


def _is_out_of_memory(error: RuntimeError) -> bool:
    # a CPU's allocator raises a plain RuntimeError
    return isinstance(error, torch.OutOfMemoryError) or ("alloc" in str(error) and "memory" in str(error))


def _out_of_memory(backbone: Backbone, arithmetic: Arithmetic, x_t: Tensor, steps: Tensor) -> TedmError:
    """Return what to do about it; on a GPU the batch size that is named has been tried."""
    if arithmetic.device == "cpu":
        fewer = max(1, arithmetic.threads // 2)
        return TedmError(
            f"out of memory on the CPU with {arithmetic.threads} threads, each with an entry of its own; finished images are "
            f"safe\nRun the same command again with --threads {fewer}: the numbers do not depend on it."
        )
    size = arithmetic.batch_size
    while size > 1:
        size //= 2
        torch.cuda.empty_cache()
        try:
            backbone.activations(x_t[:size].to(arithmetic.device), steps[:size].to(arithmetic.device))
            break
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
    return TedmError(
        f"out of memory on {arithmetic.device} with a batch of {arithmetic.batch_size}; finished images are safe\n"
        f"Extract to a new store with --batch-size {size} (a store keeps the batch size that it was made with)."
    )
