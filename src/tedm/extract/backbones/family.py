"""What a family of backbones is: a kind of network, and how its checkpoints are told from others.

A family never touches a file. It gets a `Content`, tensors and settings that `checkpoint` has read safely, says whether they
are its own, and builds a `Backbone` from them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook, register_module_parameter_registration_hook

from tedm.errors import TedmError
from tedm.jsons import JsonObject
from tedm.store.settings import Level
from tedm.text import listed

from .backbone import Backbone

METADATA_KEY = "tedm"  # one key only: safetensors does not promise an order of several, and equal content is to be equal bytes


@dataclass(frozen=True)
class Content:
    """What a checkpoint holds.

    Parameters
    ----------
    name : str
        The file's name, for messages.
    sha256 : str
        SHA-256 of the file, hexadecimal.
    tensors : mapping of str to Tensor
        The state dictionary, names as in the file.
    config : mapping of str to plain values
        The settings that came with it; empty where the format has none.
    step : int, or None
        Training iterations that the network has seen.
    schedule : mapping of str to Tensor
        Buffers of the noise schedule that the file has, wherever they are in it, by their own names.
    remarks : tuple of str
        What was chosen where the file left a choice.
    """

    name: str
    sha256: str
    tensors: Mapping[str, Tensor]
    config: JsonObject
    step: int | None
    schedule: Mapping[str, Tensor] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """Return the content as a safetensors file: contiguous tensors, and `config` and `step` as JSON in the metadata.

        Equal contents give equal bytes; `name` and `sha256` are not in them.
        """
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        text = json.dumps({"config": dict(self.config), "step": self.step}, sort_keys=True)
        return safetensors.torch.save(tensors, metadata={METADATA_KEY: text})


class Family(Protocol):
    """A module of this package that knows one kind of network."""

    NAME: str
    """Name of the family, also `Backbone.family`."""

    LOOKED_FOR: str
    """What a checkpoint of this family has, for the message that refuses one of no family."""

    def recognises(self, content: Content) -> bool:
        """Whether the checkpoint is of this family, judged by the names of its tensors alone."""

    def build(self, content: Content) -> Backbone:
        """Return the backbone; `TedmError` if settings and tensors contradict each other."""


LEDM_BLOCKS = (5, 6, 7, 8, 12)


def presets_of(levels: Sequence[Level]) -> dict[str, tuple[str, ...]]:
    """Return the published choices among all blocks of a decoder, which are numbered from the coarsest.

    `ledm` is blocks 5, 6, 7, 8 and 12 as far as they exist (Baranchuk et al. 2021), `tedm` the last block at each stride (as
    Rosnati et al. 2023). The first is the default: `ledm`, or `tedm` where the decoder is so short that the other has
    fewer than two levels.
    """
    ledm = tuple(levels[index].name for index in LEDM_BLOCKS if index < len(levels))
    tedm = tuple({level.stride: level.name for level in levels}.values())
    if not ledm:
        return {"tedm": tedm}
    both = {"ledm": ledm, "tedm": tedm}
    return both if len(ledm) > 1 else dict(reversed(both.items()))


def channel_remarks(channels: int, names: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what is to be said of a network for images that are neither grey nor RGB, or whose channels have names.

    Four channels may be four modalities, and may be a latent image's: nothing in the weights tells which.
    """
    if names:
        return (f"its images have the channels {listed(names)}, in this order",)
    if channels in (1, 3):
        return ()
    latent = "; of a latent-space UNet, whose inputs are codes of a VAE, features of images mean nothing"
    latent *= channels in (4, 8, 16)
    return (f"it takes images of {channels} channels, one modality each, in the order in which it was trained{latent}",)


@contextlib.contextmanager
def no_larger_than(content: Content) -> Iterator[None]:
    """Stop the making of a network that asks for more parts than a file with so few tensors can fill.

    On the meta device weights cost nothing, but settings can ask for a million blocks, and each is an object.

    Raises
    ------
    TedmError
        As soon as the network has grown beyond the file.
    """
    most, grown = 20 * len(content.tensors) + 1000, 0

    def count(*_: object) -> None:
        nonlocal grown
        grown += 1
        if grown > most:
            raise TedmError(
                f"the settings of checkpoint {content.name} ask for a network of more parts than its {len(content.tensors)} "
                "tensors can fill. Use the file as its training wrote it."
            )

    with contextlib.ExitStack() as hooks:
        for register in (register_module_module_registration_hook, register_module_parameter_registration_hook):
            hooks.callback(register(count).remove)
        yield


def fit_tensors(network: nn.Module, tensors: Mapping[str, Tensor], *, prefix: str, checkpoint: str) -> None:
    """Put a checkpoint's tensors into a network made on the meta device, as float32.

    Parameters
    ----------
    network : Module
        Has the shapes that the settings ask for, and no memory yet: absurd settings cost nothing.
    tensors : mapping of str to Tensor
        The checkpoint's; those without `prefix` are not looked at.
    prefix : str
        What comes before the network's own names, for example "model.".
    checkpoint : str
        Name of the checkpoint, for messages.

    Raises
    ------
    TedmError
        For the first tensor that is missing, too many, of another shape, of no floating-point type, or not finite.
    """
    network.load_state_dict(fitting_tensors(network.state_dict(), tensors, prefix=prefix, checkpoint=checkpoint), assign=True)


def fitting_tensors(
    expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor], *, prefix: str, checkpoint: str
) -> dict[str, Tensor]:
    """Return a checkpoint's tensors by the names that are expected, as float32 in memory of their own.

    Parameters
    ----------
    expected : mapping of str to Tensor
        With the shapes; on the meta device, say.
    tensors, prefix, checkpoint
        See `fit_tensors`.

    Raises
    ------
    TedmError
        As `fit_tensors`.
    """
    given = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

    def refuse(name: str, problem: str) -> TedmError:
        return TedmError(
            f"the settings of checkpoint {checkpoint} contradict its tensors\n  {prefix}{name}: {problem}\n"
            "Use the file as its training wrote it."
        )

    for name, ours in expected.items():
        if name not in given:
            raise refuse(name, f"the settings ask for shape {tuple(ours.shape)}, the file does not have this tensor")
        if given[name].shape != ours.shape:
            raise refuse(name, f"the settings ask for shape {tuple(ours.shape)}, the file has shape {tuple(given[name].shape)}")
    copies: dict[str, Tensor] = {}
    for name, theirs in given.items():
        if name not in expected:
            raise refuse(name, f"the file has shape {tuple(theirs.shape)}, the settings ask for no such tensor")
        if not theirs.is_floating_point():
            raise refuse(name, f"expected floating-point numbers, the file has {theirs.dtype}")
        # a copy: a file has its tensors at any address, and the last bits of a matrix product depend on it modulo 64 bytes
        values = theirs.to(torch.float32, copy=True)
        bad = int((~torch.isfinite(values)).sum())
        if bad:
            raise TedmError(
                f"checkpoint {checkpoint} has weights that are not finite: {bad} of {theirs.numel()} in {prefix}{name}; "
                "its training diverged or the file is damaged. Use another checkpoint."
            )
        copies[name] = values
    return copies
