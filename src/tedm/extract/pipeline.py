"""Images in, activations out: every forward pass that the rest of tedm needs happens here.

An entry is one image at one timestep with one draw of noise. Entries are taken in order and put together again image by image.
A CPU computes entry by entry, one in each thread. For a GPU they are filled into batches of the recorded size (the last one is
padded with copies of its first entry), and the activations of one batch travel into the cells of their images, on a stream of
their own, while the next one is computed. Images are read and noised ahead in a thread, beside a GPU in several.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tedm.allocator import freed_memory_kept
from tedm.extract.arriving import Computed, Opened
from tedm.extract.backbones import Backbone, Schedule
from tedm.extract.images.geometry import to_range
from tedm.extract.noise import draw_each
from tedm.extract.passes import ON_THE_WAY, Batches, Entry, OneByOne, Work
from tedm.extract.stages import Waited, ahead
from tedm.store import Arithmetic, Features, FeatureSettings
from tedm.store.layout import require_fitting
from tedm.store.settings import StorageType
from tedm.threads import in_order

READ_AHEAD = 2  # images that wait for the backbone
# Images that are read, and as many that are noised, at once: a CPU has other work, and one of its cores cannot feed a GPU.
MADE_AT_ONCE = {"cpu": 1, "cuda": 4}


def compute(
    backbone: Backbone,
    settings: FeatureSettings,
    arithmetic: Arithmetic,
    images: Iterable[tuple[str, NDArray[np.float32]]],
    timesteps: Sequence[int] | None = None,
    waited: Waited | None = None,
    dtype: StorageType = "float32",
    alone: bool = False,
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
    alone : bool
        Whether the caller leaves torch alone meanwhile. A CPU's threads then go on with the next entries while it has an image;
        else they, and torch with its number of threads, rest.

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

    def finished(entries: Iterable[Entry]) -> Iterator[Computed]:
        for done in entries:
            opened = open_images[done.number]
            for level, numbers in done.misfits:
                of_level = settings.levels[level].name
                require_fitting(opened.computed.name, of_level, slots[done.entry][0], numbers, dtype)
            opened.left -= 1
            if not opened.left:
                yield open_images.pop(done.number).computed

    work = Work(backbone, arithmetic, [timestep for timestep, _ in slots], open_images, dtype)
    passes = Batches(work) if ON_THE_WAY[arithmetic.device] else OneByOne(work, alone=alone)
    noised = _noised(backbone, settings, images, slots, at_once=MADE_AT_ONCE[arithmetic.device])
    with (
        # a pass takes and frees the same memory each time; on a CPU that the system handed out anew it cost a sixth of the time
        freed_memory_kept() if arithmetic.device == "cpu" else contextlib.nullcontext(),
        contextlib.closing(passes),
        contextlib.closing(ahead(noised, waiting=READ_AHEAD, waited=waited or Waited())) as ready,  # type: ignore[type-var]
    ):
        for number, (name, image, x_t) in enumerate(ready):
            open_images[number] = Opened.of(name, image, settings, len(timesteps), dtype, arithmetic.device)
            for entry, its_input in enumerate(x_t):
                yield from finished(passes.put(number, entry, its_input))
        yield from finished(passes.rest())


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
