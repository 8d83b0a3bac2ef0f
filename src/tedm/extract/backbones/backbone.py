"""A pre-trained network as a source of activations.

The forward pass of a UNet is run with hooks on the modules whose outputs are wanted (the taps), and ends at the last of them:
what comes after would be computed for nothing. Which modules these are is the family's business; all here is common to all.
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self, TypeVar

import torch
from torch import Tensor, nn

from tedm.devices import repeatable_convolutions, require_device
from tedm.errors import TedmError
from tedm.store.settings import Level, Precision
from tedm.threads import one_thread_each

from .schedule import Schedule

T = TypeVar("T")
Prediction = Literal["noise", "image", "velocity"]
LARGEST_IMAGE = 4096  # pixels a side
DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pre-trained network, its schedule, and where to tap it.

    Parameters
    ----------
    family : str
        Name of the family that built it; see `tedm.extract.backbones.families`.
    network : Module
        Called with (x_t, timesteps); in evaluation mode, without gradients. If it has an attribute `kept_in_float32`, the
        parameters whose names start with one of these are never cast.
    schedule : Schedule
        The noise that it was trained with.
    levels : tuple of Level
        What comes out of the taps, in the order in which they are computed.
    taps : tuple of str
        Names of the tapped modules within `network`, one a level.
    image_size : int
        Side of the images that it was trained on, in pixels.
    image_channels : int
        1 for grey, 3 for RGB, the number of modalities for volumes.
    size_multiple : int
        Sides of images must be multiples of this, for the network to halve them.
    sha256 : str
        SHA-256 of the checkpoint file, hexadecimal.
    step : int, or None
        Training iterations that it has seen.
    training_range : tuple of two floats
        What black and white were in training.
    predicts : {"noise", "image", "velocity"}
        What the network was trained to return; the velocity is sqrt(abar_t) noise - sqrt(1 - abar_t) x_0.
    precision : {"float32", "bfloat16"}
        Type of its arithmetic; see `prepare`.
    channels_last : bool
        Memory format of its tensors; see `prepare`.
    presets : mapping of str to tuple of str
        Names of levels that belong together, the default first; see `choose`.
    channel_names : tuple of str
        What the channels of its images were called, in their order; empty where nobody said so.
    intensities : str
        What the numbers of volumes became intensities by ("quantile", "zscore"); empty where nothing is said of it.
    remarks : tuple of str
        What was chosen or computed anew where the checkpoint left a choice, in words.
    """

    family: str
    network: nn.Module
    schedule: Schedule
    levels: tuple[Level, ...]
    taps: tuple[str, ...]
    image_size: int
    image_channels: int
    size_multiple: int
    sha256: str
    step: int | None
    training_range: tuple[float, float] = (-1.0, 1.0)
    predicts: Prediction = "noise"
    precision: Precision = "float32"
    channels_last: bool = False
    presets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    channel_names: tuple[str, ...] = ()
    intensities: str = ""
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.image_size > LARGEST_IMAGE:
            raise TedmError(
                f"the checkpoint is said to be for images of {self.image_size} pixels a side, which no diffusion model sees; "
                f"correct its image size ({LARGEST_IMAGE} is the most)"
            )
        require_size(self.image_size, self.size_multiple)
        self.network.eval().requires_grad_(False)

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def activations(self, x_t: Tensor, timesteps: Tensor) -> list[Tensor]:
        """Return the outputs of the taps.

        With precision, memory format and machine the same (on a GPU the batch size, too), an entry's numbers are equal bit for
        bit whatever its neighbours, its place in the batch and the number of threads; ending the pass early changes none.
        On a CPU several threads may ask at once.

        Parameters
        ----------
        x_t : Tensor of shape (B, image_channels, H, W)
            Noised images (`Schedule.x_t`); moved and cast as the network needs.
        timesteps : Tensor of shape (B,), int64
            The timestep of each entry.

        Returns
        -------
        list of Tensor of shape (B, level.channels, H / level.stride, W / level.stride)
            One for each of `levels`, in the type of the network and on its device.

        Raises
        ------
        TedmError
            If the network cannot halve images of this size, or they have another number of channels.
        """
        seen = _Seen()

        def tapped(part: Tensor, times: Tensor) -> list[Tensor]:
            outputs: dict[str, Tensor] = {}
            seen.outputs = outputs
            try:
                with contextlib.suppress(_Enough):
                    self._forward(part, times)
            finally:
                seen.outputs = None
            return [outputs[tap] for tap in self.taps]

        with _hooked(self.network, self.taps, seen):
            passes = self._each_part(tapped, x_t, timesteps)
        return [torch.cat(level) for level in zip(*passes, strict=True)]

    def predict_noise(self, x_t: Tensor, timesteps: Tensor) -> Tensor:
        """Return the noise that the network sees in noised images, by a full pass.

        Parameters
        ----------
        x_t : Tensor of shape (B, image_channels, H, W)
            Noised images.
        timesteps : Tensor of shape (B,), int64
            The timestep of each entry.

        Returns
        -------
        Tensor of shape (B, image_channels, H, W)
            float32, on the network's device.
        """
        # a network that also learns variances returns them as further channels
        output = torch.cat(self._each_part(self._forward, x_t, timesteps))[:, : self.image_channels].float()
        if self.predicts == "noise":
            return output
        x_t = x_t.to(self.device, torch.float32)
        zeros, ones = torch.zeros_like(output), torch.ones_like(output)
        if self.predicts == "velocity":
            return self.schedule.x_t(zeros, x_t, timesteps) + self.schedule.x_t(output, zeros, timesteps)
        return (x_t - self.schedule.x_t(output, zeros, timesteps)) / self.schedule.x_t(zeros, ones, timesteps)

    def prepare(self, device: str = "cpu", *, precision: Precision = "float32", channels_last: bool = False) -> Self:
        """Return the backbone where and how it is to compute.

        To round weights to bfloat16 the network is copied, since what was rounded cannot be had back: the backbone itself stays
        as it was. In float32 the network itself is moved.

        bfloat16 means that weights and activations are cast. (Autocast would choose the type operation by operation, from
        lists that differ between devices and versions of torch, and would cast all weights anew at every pass.) The time
        embedding stays in float32: eight bits cannot tell timestep 800 from 801.

        Parameters
        ----------
        device : str
            "cpu", "cuda" or "cuda:N".
        precision : {"float32", "bfloat16"}
            Type of weights and activations.
        channels_last : bool
            Memory format; with bfloat16 the faster one on most machines.

        Raises
        ------
        TedmError
            If there is no such device, float32 is asked for after bfloat16 has rounded the weights, or the network cannot be
            copied.
        """
        target = require_device(device)
        if self.precision == "bfloat16" and precision == "float32":
            raise TedmError("the weights were rounded to bfloat16; load the checkpoint again to compute in float32")
        memory_format = torch.channels_last if channels_last else torch.contiguous_format
        if self._is_there(target, memory_format) and (self.precision, self.channels_last) == (precision, channels_last):
            return self
        network = self.network if self.precision == precision else _rounded(self.network, DTYPES[precision])
        network.to(target)
        network.to(memory_format=memory_format)  # type: ignore[call-overload]  # its stubs know none without a type
        return replace(self, network=network, precision=precision, channels_last=channels_last)

    def _is_there(self, target: torch.device, memory_format: torch.memory_format) -> bool:
        """Whether the weights are on that device and lie so in memory: another backbone may have moved the network."""
        here = self.device
        return (here.type, here.index or 0) == (target.type, target.index or 0) and all(
            weight.is_contiguous(memory_format=memory_format) for weight in self.network.parameters() if weight.ndim == 4
        )

    def with_levels(self, names: Sequence[str]) -> Self:
        """Return the same backbone, tapped at some levels only, in the order of computation whatever the order of `names`.

        Raises
        ------
        TedmError
            If no level is named, or one that does not exist.
        """
        known = [level.name for level in self.levels]
        absent = [name for name in names if name not in known]
        if absent or not names:
            what = f"there is no level {', '.join(absent)} in this backbone" if absent else "no levels"
            raise TedmError(f"{what}; name one or more of {', '.join(known)}")
        chosen = [index for index, name in enumerate(known) if name in names]
        return replace(
            self, levels=tuple(self.levels[index] for index in chosen), taps=tuple(self.taps[index] for index in chosen)
        )

    def choose(self, levels: str | Sequence[str | int] | None = None) -> Self:
        """Return the same backbone, tapped at a preset's levels or at those named; see `with_levels`.

        Parameters
        ----------
        levels : str, sequence of str or int, or None
            A preset; or indices into `levels`, names of levels or names of modules, with commas between if in one string.
            None is the first preset, or all levels where there is none.

        Raises
        ------
        TedmError
            If there is no such preset or level.
        """
        if levels is None:
            return self.with_levels(next(iter(self.presets.values()), [level.name for level in self.levels]))
        if isinstance(levels, str) and levels in self.presets:
            return self.with_levels(self.presets[levels])
        names = [level.name for level in self.levels]
        called = {**{str(at): name for at, name in enumerate(names)}, **dict(zip(self.taps, names, strict=True))}
        wanted = [str(each).strip() for each in (levels.split(",") if isinstance(levels, str) else levels)]
        absent = [each for each in wanted if each not in called and each not in names]
        if absent or not wanted:
            what = f"there is no level {', '.join(absent)} in this backbone" if absent else "no levels"
            raise TedmError(
                f"{what}; name indices from 0 to {len(names) - 1}, names ({', '.join(names)}) or a preset "
                f"({', '.join(self.presets) or 'it has none'})"
            )
        return self.with_levels([each if each in names else called[each] for each in wanted])

    def _each_part(self, function: Callable[[Tensor, Tensor], T], x_t: Tensor, timesteps: Tensor) -> list[T]:
        """Check a batch, and pass it part by part: on a GPU there is one part, on a CPU every entry is one.

        On a CPU an entry belongs to one thread, and as many entries are computed at once as torch has threads. Within an
        operation torch would give each thread an equal share of the numbers, and those at a share's border go another way (a
        sum in another order, a scalar exponential in place of a vector's): the last bits would depend on the number of threads
        and the place in the batch. And the threads of an operation wait for each other at its end, thousands of times a pass:
        on cores that also compress and write that was measured to cost up to nine tenths of the time.
        """
        if x_t.ndim != 4 or x_t.shape[1] != self.image_channels:
            raise TedmError(
                f"the backbone takes images of shape (batch, {self.image_channels}, height, width), got {tuple(x_t.shape)}; "
                "convert them to the backbone's number of channels"
            )
        for side in x_t.shape[2:]:
            require_size(side, self.size_multiple)
        if len(timesteps) != len(x_t):
            raise ValueError(f"expected one timestep for each of {len(x_t)} entries, got {len(timesteps)}")
        if self.device.type == "cpu":
            return one_thread_each(function, torch.split(x_t, 1), torch.split(timesteps, 1))
        with repeatable_convolutions():
            return [function(x_t, timesteps)]

    def _forward(self, x_t: Tensor, timesteps: Tensor) -> Tensor:
        x_t = x_t.to(
            device=self.device,
            dtype=DTYPES[self.precision],
            memory_format=torch.channels_last if self.channels_last else torch.contiguous_format,
            copy=True,  # memory of its own, aligned whatever the entry's place in the batch
        )
        with torch.inference_mode():
            output: Tensor = self.network(x_t, timesteps.to(self.device))
        return output


def require_size(side: int, multiple: int) -> None:
    """Refuse a side that a network cannot halve as often as it wants.

    Raises
    ------
    TedmError
        If `side` is no positive multiple of `multiple`; the text has the nearest sizes that are.
    """
    if side > 0 and side % multiple == 0:
        return
    below = side // multiple * multiple
    sizes = f"{below} or {below + multiple}" if below > 0 else f"{multiple}"
    raise TedmError(
        f"the network cannot halve images of {side} pixels as often as it has to: sides must be multiples of {multiple}. "
        f"The nearest size is {sizes}."
    )


def _rounded(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return a copy with weights of this type; the others' weights are never there twice in their own type."""
    kept = tuple(getattr(network, "kept_in_float32", ()))
    for name, module in network.named_modules():
        # torch normalises batches of bfloat16 with statistics in float32, which are no parameters and stay as they are
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            kept += (f"{name}.",)
    weights = {
        id(parameter): nn.Parameter(parameter.detach().to(dtype), requires_grad=False)
        for name, parameter in network.named_parameters()
        if not name.startswith(kept)
    }
    try:
        return copy.deepcopy(network, weights)
    except (RuntimeError, TypeError) as error:  # tensors with a history, such as weight norm's of old; locks and handles
        raise TedmError(
            f"the network cannot be copied to round its weights to bfloat16 ({str(error).splitlines()[0]}); "
            "use --precision float32"
        ) from error


class _Enough(Exception):
    """The last tap has its output: not an error, the way out of a forward pass."""


class _Seen(threading.local):
    """What the taps gave in the pass that this thread is running for somebody; None in passes of others."""

    outputs: dict[str, Tensor] | None = None


@contextlib.contextmanager
def _hooked(network: nn.Module, taps: Sequence[str], seen: _Seen) -> Iterator[None]:
    """Keep the outputs of the taps, and raise `_Enough` when the last has come; no hook stays behind, whatever happens."""
    with contextlib.ExitStack() as hooks:
        for tap in taps:

            def keep(module: nn.Module, inputs: object, output: Tensor, *, tap: str = tap) -> None:
                if seen.outputs is None:
                    return
                if tap == taps[-1]:
                    seen.outputs[tap] = output
                    raise _Enough
                # a copy: what comes next may compute in place, as activation functions often do
                seen.outputs[tap] = output.clone()

            hooks.callback(network.get_submodule(tap).register_forward_hook(keep).remove)
        yield
