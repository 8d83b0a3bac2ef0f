"""Images in, activations out: every forward pass that the rest of tedm needs happens here.

An entry is one image at one timestep with one draw of noise. Entries are taken in order, filled into batches of the recorded
size (on a GPU the last one is padded with copies of its first entry; a CPU computes entry by entry and needs none) and put
together again image by image. Images are read and noised ahead in a thread, beside a GPU in several; on a GPU the activations
of one batch travel into the cells of their images, on a stream of their own, while the next batch is computed.
"""

from __future__ import annotations

import contextlib
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tedm.errors import TedmError
from tedm.extract.arithmetic import running
from tedm.extract.arriving import Arriving, Computed, Opened, places_of
from tedm.extract.backbones import Backbone, Schedule
from tedm.extract.images.geometry import to_range
from tedm.extract.noise import draw_each
from tedm.extract.stages import Waited, ahead
from tedm.store import Arithmetic, Features, FeatureSettings
from tedm.store.layout import require_fitting
from tedm.store.settings import StorageType
from tedm.threads import in_order

READ_AHEAD = 2  # images that wait for the backbone
# Images that are read, and as many that are noised, at once: a CPU has other work, and one of its cores cannot feed a GPU.
MADE_AT_ONCE = {"cpu": 1, "cuda": 4}
# Batches whose activations may be on their way to the host while the next one is computed. A CPU has them where they are.
ON_THE_WAY = {"cpu": 0, "cuda": 1}


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
        If a timestep is not among the settings', or none is asked for. If the device runs out of memory; the message names a
        batch size (on a CPU a number of threads) that would do. If an activation that is asked for in float16 is not finite, or
        too large for it.
    """
    timesteps = settings.timesteps_asked_for(timesteps)
    backbone = prepared(backbone, arithmetic)
    # One image's entries, in the order in which they fill its cells.
    slots = [(timestep, draw) for timestep in timesteps for draw in range(settings.draws)]
    open_images: dict[int, Opened] = {}  # by their places among all: a name may come twice
    batch: list[tuple[int, int]] = []  # images, and which of their entries
    inputs: list[Tensor] = []
    on_the_way: deque[tuple[list[tuple[int, int]], Arriving]] = deque()

    def start() -> None:
        levels = _forward(backbone, arithmetic, inputs, [slots[entry][0] for _, entry in batch], dtype)
        on_the_way.append((batch.copy(), Arriving(levels, places_of(batch, open_images))))
        batch.clear()
        inputs.clear()

    def finish(most: int) -> Iterator[Computed]:
        while len(on_the_way) > most:
            entries, arriving = on_the_way.popleft()
            for level, at, numbers in arriving.misfits():
                number, entry = entries[at]
                name, of_level = open_images[number].computed.name, settings.levels[level].name
                require_fitting(name, of_level, slots[entry][0], numbers, dtype)
            for number, _ in entries:
                opened = open_images[number]
                opened.left -= 1
                if not opened.left:
                    yield open_images.pop(number).computed

    noised = _noised(backbone, settings, images, slots, at_once=MADE_AT_ONCE[arithmetic.device])
    try:
        with contextlib.closing(ahead(noised, waiting=READ_AHEAD, waited=waited or Waited())) as ready:  # type: ignore[type-var]
            for number, (name, image, x_t) in enumerate(ready):
                open_images[number] = Opened.of(name, image, settings, len(timesteps), dtype, arithmetic.device)
                for entry, its_input in enumerate(x_t):
                    batch.append((number, entry))
                    inputs.append(its_input)
                    if len(batch) == arithmetic.batch_size:
                        start()
                        yield from finish(most=ON_THE_WAY[arithmetic.device])
            if batch:
                start()
            yield from finish(most=0)
    finally:
        for _, arriving in on_the_way:  # of a caller that stopped early, or after an error
            arriving.wait()


def prepared(backbone: Backbone, arithmetic: Arithmetic) -> Backbone:
    """Return the backbone where and how it is to compute; `compute` asks for it, and asks for nothing where it was done before.

    Raises
    ------
    TedmError
        See `Backbone.prepare`.
    """
    return backbone.prepare(arithmetic.device, precision=arithmetic.precision, channels_last=arithmetic.channels_last)


def images_at_once(entries: int, arithmetic: Arithmetic) -> int:
    """Return how many images `compute` has in memory at most: those read ahead, and those with an entry in an open batch.

    Parameters
    ----------
    entries : int
        Timesteps times draws of an image.

    Returns
    -------
    int
        ceil(batch size x (1 + batches on their way) / entries) + 1 with activations; without, READ_AHEAD + 1 and, where
        several are made at once, these twice: while they are read and while they are noised.
    """
    several = MADE_AT_ONCE[arithmetic.device]
    return images_with_activations(entries, arithmetic) + READ_AHEAD + 1 + (2 * several if several > 1 else 0)


def images_with_activations(entries: int, arithmetic: Arithmetic) -> int:
    """See `images_at_once`."""
    return -(-arithmetic.batch_size * (1 + ON_THE_WAY[arithmetic.device]) // entries) + 1


def _noised(
    backbone: Backbone,
    settings: FeatureSettings,
    images: Iterable[tuple[str, NDArray[np.float32]]],
    slots: Sequence[tuple[int, int]],
    *,
    at_once: int,
) -> Iterator[tuple[str, NDArray[np.float32], list[Tensor]]]:
    """Each image with its x_t for every (timestep, draw), shape (channels, size, size); so many images at once.

    Noising happens on the CPU in float32 whatever the device, so that every device sees the same input.
    """

    def noised(item: tuple[str, NDArray[np.float32]]) -> tuple[str, NDArray[np.float32], list[Tensor]]:
        name, image = item
        return name, image, list(_x_t(backbone.schedule, settings, name, image, slots))

    return in_order(noised, images, threads=at_once)


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
    x_t = _x_t(backbone.schedule, features.settings, name, features.image(name), [(timestep, draw)])[0].numpy()
    return (x_t.transpose(1, 2, 0) - np.float32(black)) / np.float32(white - black)


def _x_t(
    schedule: Schedule,
    settings: FeatureSettings,
    name: str,
    image: NDArray[np.float32],
    slots: Sequence[tuple[int, int]],
) -> Tensor:
    """Shape (entries, channels, size, size), in the backbone's range, for every (timestep, draw)."""
    x_0 = np.ascontiguousarray(to_range(image, settings.input_range).transpose(2, 0, 1))
    noise = draw_each(x_0.shape, slots, mode=settings.noise, seed=settings.noise_seed, name=name)
    each = torch.from_numpy(x_0).expand(len(slots), *x_0.shape)
    return schedule.x_t(each, torch.from_numpy(noise), torch.tensor([timestep for timestep, _ in slots]))


def _forward(
    backbone: Backbone, arithmetic: Arithmetic, inputs: Sequence[Tensor], timesteps: Sequence[int], dtype: StorageType
) -> list[Tensor]:
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
            failure = _out_of_memory(backbone, arithmetic, x_t, steps, dtype)
            raise failure from error


def _is_out_of_memory(error: RuntimeError) -> bool:
    # a CPU's allocator raises a plain RuntimeError
    return isinstance(error, torch.OutOfMemoryError) or ("alloc" in str(error) and "memory" in str(error))


def _out_of_memory(backbone: Backbone, arithmetic: Arithmetic, x_t: Tensor, steps: Tensor, dtype: StorageType) -> TedmError:
    """Return what to do about it; on a GPU the batch size that is named has been tried, with one on its way beside it."""
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
            _two_batches(backbone, x_t[:size].to(arithmetic.device), steps[:size].to(arithmetic.device), dtype)
            break
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
    return TedmError(
        f"out of memory on {arithmetic.device} with a batch of {arithmetic.batch_size}; finished images are safe\n"
        f"Extract to a new store with --batch-size {size} (a store keeps the batch size that it was made with)."
    )


def _two_batches(backbone: Backbone, x_t: Tensor, timesteps: Tensor, dtype: StorageType) -> None:
    """Take what a GPU holds at most: a batch on its way, once as computed and once in the cells' type, and the next pass."""
    on_its_way = backbone.activations(x_t, timesteps)
    pixels = [level.permute(0, 2, 3, 1).to(getattr(torch, dtype)).contiguous() for level in on_its_way]
    backbone.activations(x_t, timesteps)
    del on_its_way, pixels
