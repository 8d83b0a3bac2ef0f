"""The noise schedule: how much of an image is left at a timestep.

A diffusion model sees x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise. The abar_t, `alphas_cumprod`, fall from almost one at
t = 0 to almost zero at t = T - 1; they are all that extraction needs to know of the diffusion. (Ho et al. 2020,
arXiv:2006.11239.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tedm.errors import TedmError
from tedm.text import listed

NAMES = ("cosine", "linear")
RISE = 1e-6
MOST_TIMESTEPS = 1_000_000  # a thousand times as many as is usual


@dataclass(frozen=True, eq=False)
class Schedule:
    """How much of an image is left at each timestep.

    Parameters
    ----------
    name : str
        "cosine", "linear", or what a checkpoint calls it.
    alphas_cumprod : array of shape (T,), float64
        abar_t, the share of the image's variance at timestep t.
    """

    name: str
    alphas_cumprod: NDArray[np.float64]

    def __post_init__(self) -> None:
        left = self.alphas_cumprod
        whole = left.ndim == 1 and (len(left) > 1 or bool((left == 1).all())) and left.size and bool(np.isfinite(left).all())
        # never rising, but for what float32 rounds
        if not whole or left.min() < 0 or left.max() > 1 or left[0] <= 0 or (np.diff(left) > RISE).any():
            raise TedmError(
                f"the noise schedule {self.name[:40]!r} is none: shape {left.shape}, and what is left of an image has to fall, "
                "from at most one to at least zero (betas lie between 0 and 1). Correct the settings, or use another file."
            )

    @property
    def timesteps_total(self) -> int:
        """T: timesteps run from 0 to T - 1."""
        return len(self.alphas_cumprod)

    @classmethod
    def linear(cls, timesteps_total: int) -> Self:
        """Return the schedule of Ho et al. (2020): betas from 1e-4 to 0.02 at T = 1000, scaled to end alike at any T.

        Raises
        ------
        TedmError
            If there are so few timesteps that a beta would reach one.
        """
        scale = 1000 / _at_least_two(timesteps_total)
        if 0.02 * scale >= 1:
            raise TedmError(
                f"a linear schedule of {timesteps_total} timesteps would have betas of one or more; "
                "ask for at least 21 timesteps, or for cosine"
            )
        return cls._of_betas("linear", np.linspace(1e-4 * scale, 0.02 * scale, timesteps_total, dtype=np.float64))

    @classmethod
    def cosine(cls, timesteps_total: int) -> Self:
        """Return the schedule of Nichol and Dhariwal (2021, arXiv:2102.09672): s = 0.008, betas at most 0.999."""
        s = 0.008
        times = np.linspace(0, 1, _at_least_two(timesteps_total) + 1, dtype=np.float64)
        left = np.cos((times + s) / (1 + s) * np.pi / 2) ** 2
        return cls._of_betas("cosine", np.clip(1 - left[1:] / left[:-1], 0, 0.999))

    @classmethod
    def named(cls, name: str, timesteps_total: int) -> Self:
        """Return the schedule called `name`, of T timesteps.

        Raises
        ------
        TedmError
            If there is no such schedule.
        """
        if name == "cosine":
            return cls.cosine(timesteps_total)
        if name == "linear":
            return cls.linear(timesteps_total)
        raise TedmError(f"there is no noise schedule {name!r}; the schedules are {', '.join(NAMES)}")

    @classmethod
    def recorded(cls, name: str, alphas_cumprod: Tensor, buffers: Sequence[Tensor]) -> tuple[Self, str]:
        """Return the schedule that a checkpoint's buffers record.

        Parameters
        ----------
        name : str
            What the checkpoint calls it.
        alphas_cumprod : Tensor of shape (T,)
            What its buffers come to.
        buffers : sequence of Tensor
            As they are in the file. Those of 16 bits tell which schedule it is, and are too coarse to compute with: at the
            first timesteps all of an image would be left. The schedule of that name, or of a name that fits, is computed anew.

        Returns
        -------
        Schedule
        str
            What was done, in words; empty where the buffers are taken as they are.

        Raises
        ------
        TedmError
            If the buffers are of 16 bits and no schedule that is known fits them.
        """
        found = alphas_cumprod.double().numpy()
        if not coarse(buffers):
            return cls(name, found), ""
        kind = str(buffers[0].dtype).removeprefix("torch.")
        for known in (name,) if name in NAMES else NAMES:
            if found.ndim == 1 and 21 <= len(found) <= MOST_TIMESTEPS:
                exact = cls.named(known, len(found))
                if np.allclose(found, exact.alphas_cumprod, rtol=0, atol=precision_of(buffers)):
                    return (
                        exact,
                        f"the noise schedule was saved in {kind}; it is the {known} one, computed anew in full precision",
                    )
        raise TedmError(
            f"the noise schedule was saved in {kind}, which is too coarse to compute with, and is none of {listed(NAMES)}; "
            "save the checkpoint's buffers in float32"
        )

    @classmethod
    def without_noise(cls) -> Self:
        """Return a schedule of one timestep, at which all of the image is left: for networks that are no diffusion models."""
        return cls("without noise", np.ones(1))

    @classmethod
    def _of_betas(cls, name: str, betas: NDArray[np.floating]) -> Self:
        alphas_cumprod = np.cumprod(1 - betas, dtype=np.float64)
        alphas_cumprod.flags.writeable = False
        return cls(name, alphas_cumprod)

    def x_t(self, x_0: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Return the noised images.

        Parameters
        ----------
        x_0 : Tensor of shape (B, C, H, W)
            Images in the backbone's input range.
        noise : Tensor of shape (B, C, H, W)
            Standard normal numbers (`tedm.extract.noise.draw_noise`).
        timesteps : Tensor of shape (B,), int64
            The timestep of each entry, 0 <= t < T.

        Returns
        -------
        Tensor of shape (B, C, H, W)
            sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise, in the type of `x_0`.

        Raises
        ------
        TedmError
            If a timestep is outside the schedule (a negative one would silently count from the end).

        Examples
        --------
        >>> white = torch.ones(2, 1, 1, 1)
        >>> Schedule.linear(1000).x_t(white, 0 * white, torch.tensor([0, 500])).flatten()
        tensor([0.9999, 0.2789])
        """
        self._require_inside([int(timestep) for timestep in timesteps.tolist()])
        image, rest = (
            # the root in float64, the product in the images' own type: as the published code does it
            torch.from_numpy(np.sqrt(share)).to(x_0.dtype).to(x_0.device)[timesteps.to(x_0.device)].view(-1, 1, 1, 1)
            for share in (self.alphas_cumprod, 1 - self.alphas_cumprod)
        )
        return image * x_0 + rest * noise

    def require(self, timesteps: Sequence[int]) -> None:
        """Refuse timesteps that cannot be extracted.

        Raises
        ------
        TedmError
            If there is none, one is not 0 <= t < T, or one is there twice.
        """
        if not timesteps:
            raise TedmError("no timesteps; name at least one, for example --timesteps 1,10,25")
        self._require_inside(timesteps)
        repeated = sorted({timestep for timestep in timesteps if list(timesteps).count(timestep) > 1})
        if repeated:
            raise TedmError(f"timesteps {listed(repeated)} repeated; name each timestep once")

    def _require_inside(self, timesteps: Sequence[int]) -> None:
        outside = [timestep for timestep in timesteps if not 0 <= timestep < self.timesteps_total]
        if outside:
            if self.timesteps_total == 1:
                raise TedmError("a network that is no diffusion model has the one timestep 0; ask for --timesteps 0")
            raise TedmError(
                f"timesteps {listed(outside)} are outside the schedule of the checkpoint ({self.name}); "
                f"name timesteps from 0 to {self.timesteps_total - 1}"
            )


def coarse(buffers: Sequence[Tensor]) -> bool:
    """Whether buffers were saved with fewer bits than float32 has."""
    return any(buffer.is_floating_point() and torch.finfo(buffer.dtype).eps > 1e-6 for buffer in buffers)


def precision_of(buffers: Sequence[Tensor]) -> float:
    """Return by how much an abar_t may differ that was computed of buffers: the type's rounding, and float32's sums."""
    return max([1e-5, *(2 * torch.finfo(buffer.dtype).eps for buffer in buffers if buffer.is_floating_point())])


def _at_least_two(timesteps_total: int) -> int:
    if timesteps_total > MOST_TIMESTEPS:
        raise TedmError(
            f"a noise schedule of {timesteps_total} timesteps is none that a network was trained with; 1000 is usual, and "
            f"{MOST_TIMESTEPS} the most"
        )
    if timesteps_total < 2:
        raise TedmError(f"a noise schedule of {timesteps_total} timesteps cannot be made; ask for at least 2 (1000 is usual)")
    return timesteps_total
