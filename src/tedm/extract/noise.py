"""Noise that is a function of its name.

Features can only be had again if their noise can. A draw is therefore computed from (seed, image name, timestep, draw) alone:
these are hashed to the key of a counter-based generator (Philox), whose bits become normal numbers through the inverse normal
distribution function. NumPy promises Philox's bits for ever, but not what `standard_normal` makes of them.
"""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from tedm.store.settings import NoiseMode


def draw_noise(
    shape: tuple[int, ...], *, mode: NoiseMode, seed: int, name: str, timestep: int, draw: int
) -> NDArray[np.float32]:
    """Standard normal numbers for one image at one timestep.

    Parameters
    ----------
    shape : tuple of int
        Shape of the image, (channels, side, side).
    mode : {"per-image", "shared", "none"}
        "per-image": noise of its own for every image and timestep. "shared": one draw for all images and timesteps, as LEDM
        has it; it depends on `seed` and `draw` only. "none": zeros.
    seed, timestep, draw : int
        With `name`, all that a draw depends on: not the batch, order, worker, device or operating system.
    name : str
        The image's name. Letters with accents are the same letter however the file system composes them.

    Returns
    -------
    array of `shape`, float32
        Between -8.3 and 8.3: each number is made from 53 bits.

    Examples
    --------
    >>> a = draw_noise((1, 2, 2), mode="per-image", seed=0, name="a", timestep=1, draw=0)
    >>> bool((a == draw_noise((1, 2, 2), mode="per-image", seed=0, name="a", timestep=1, draw=0)).all())
    True
    """
    drawn: NDArray[np.float32] = draw_each(shape, [(timestep, draw)], mode=mode, seed=seed, name=name)[0]
    return drawn


def draw_each(
    shape: tuple[int, ...], slots: Sequence[tuple[int, int]], *, mode: NoiseMode, seed: int, name: str
) -> NDArray[np.float32]:
    """Draw for one image at every (timestep, draw) together: the same numbers as `draw_noise`, in less time.

    Returns
    -------
    array of shape (slots, *shape), float32
    """
    count = math.prod(shape)
    if mode == "none":
        return np.zeros((len(slots), *shape), np.float32)
    bits = np.empty((len(slots), count), np.uint64)
    for of_slot, (timestep, draw) in zip(bits, slots, strict=True):
        key = f"shared\0{seed}\0{draw}"
        if mode == "per-image":
            # the name comes last: it alone can hold any character, so no two sets of values make the same text
            key = f"per-image\0{seed}\0{timestep}\0{draw}\0{unicodedata.normalize('NFC', name)}"
        # file names that are no text arrive with lone surrogates; they are to be hashed, not refused
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        of_slot[:] = np.random.Philox(key=int.from_bytes(digest, "little")).random_raw(count)
    # the middle of each of 2**53 intervals: never 0 or 1, whose quantiles are infinite
    uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return ndtri(uniform).astype(np.float32).reshape(len(slots), *shape)
