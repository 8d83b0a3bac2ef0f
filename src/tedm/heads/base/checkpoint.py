"""A fit that can be interrupted: its state, the file that it goes on from, and when it may be interrupted."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor, nn

from tedm.errors import TedmError
from tedm.jsons import JsonObject, JsonValue

# Points of the recorded loss curve.
CURVE_POINTS = 100
# A long fit leaves a state to go on from this often.
CHECKPOINT_SECONDS = 60.0


@dataclass
class FitState:
    """Where a fit is: with the weights and Adam's state, all that the rest of it depends on.

    Parameters
    ----------
    window : int
        Images in memory that pixels are drawn from; 0 where none stay.
    """

    window: int
    iteration: int = 0
    since: int = 0
    running: float = 0.0
    best: float = np.inf
    best_iteration: int = 0
    waited: int = 0

    def __post_init__(self) -> None:
        self.loss_curve: list[float] = []
        self.validation_curve: list[float] = []
        self.best_weights: dict[str, Tensor] | None = None
        self._total: Tensor | None = None  # of the losses since the last point; it stays on the device
        self._arrays: dict[str, NDArray[Any]] = {}

    @property
    def looks(self) -> int:
        """How many validation losses there are so far."""
        return len(self.validation_curve)

    def stopped(self, patience: int | None) -> bool:
        """Tell whether as many looks in a row as `patience` brought no better validation loss."""
        return patience is not None and self.waited >= patience

    def look(self, loss: float, network: nn.Module) -> None:
        """Take note of a validation loss."""
        self.validation_curve.append(loss)
        self.waited += 1
        if loss < self.best:
            self.best, self.best_iteration, self.waited = loss, self.iteration, 0
            self.best_weights = {name: tensor.detach().clone() for name, tensor in tensors_of(network).items()}

    def count(self, loss: Tensor, iterations: int) -> bool:
        """Take note of an iteration and its loss; return whether that made a point of the curve."""
        self._total = loss.double() + (self.running if self._total is None else self._total)
        self.iteration, self.since = self.iteration + 1, self.since + 1
        if self.iteration * CURVE_POINTS // iterations == (self.iteration - 1) * CURVE_POINTS // iterations:
            return False
        self.loss_curve.append(float(self._total) / self.since)
        self.since, self.running, self._total = 0, 0.0, None
        return True

    def restore(self, network: nn.Module, optimiser: torch.optim.Adam, device: str) -> None:
        """Put weights and Adam's state where they were, if this state was read from a file."""
        if not self._arrays:
            return
        tensors = {name: torch.from_numpy(array).to(device) for name, array in self._arrays.items()}
        self._arrays = {}
        put_tensors(network, _below("weights.", tensors))
        best = _below("best.", tensors)
        self.best_weights = best or None
        known = optimiser.state_dict()
        moments = _below("adam.", tensors)
        known["state"] = {
            index: _below(f"{index}.", moments) for index in range(len(known["param_groups"][0]["params"])) if moments
        }
        optimiser.load_state_dict(known)

    def to_file(self, network: nn.Module, optimiser: torch.optim.Adam) -> tuple[dict[str, NDArray[Any]], JsonObject]:
        """Return what a file keeps of it: arrays, and plain JSON values."""
        tensors = {f"weights.{name}": tensor for name, tensor in tensors_of(network).items()}
        tensors |= {f"best.{name}": tensor for name, tensor in (self.best_weights or {}).items()}
        for index, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": tensor for name, tensor in moments.items()}
        about = {field: getattr(self, field) for field in self.__dataclass_fields__}
        about["running"] = self.running if self._total is None else float(self._total)
        about["best"] = None if np.isinf(self.best) else self.best
        curves = {"loss_curve": self.loss_curve, "validation_curve": self.validation_curve}
        return {name: np.ascontiguousarray(tensor.detach().cpu().numpy()) for name, tensor in tensors.items()}, {
            "state": about,
            **curves,
        }

    @classmethod
    def from_file(cls, arrays: dict[str, NDArray[Any]], about: Mapping[str, Any]) -> Self:
        """Make the state that `to_file` was called on."""
        fields = about["state"]
        state = cls(**{**fields, "best": np.inf if fields["best"] is None else fields["best"]})
        state.loss_curve, state.validation_curve = list(about["loss_curve"]), list(about["validation_curve"])
        state._arrays = arrays
        return state


class Checkpoint:
    """The file that a fit goes on from.

    Parameters
    ----------
    path : Path
        Written aside and renamed when whole.
    identity : mapping
        Plain JSON values by name: those of the fit that made the file must be the same.
    """

    def __init__(self, path: Path, identity: Mapping[str, JsonValue]) -> None:
        self._path = path
        self._identity = json.loads(json.dumps(identity, default=str))  # as it comes back
        self._last = time.monotonic()
        if not path.parent.is_dir():
            raise TedmError(f"cannot write the checkpoint {path}: there is no folder {path.parent}")

    def due(self) -> bool:
        """Tell whether the last file was written a while ago."""
        return time.monotonic() - self._last >= CHECKPOINT_SECONDS

    def write(self, state: FitState, network: nn.Module, optimiser: torch.optim.Adam) -> None:
        """Replace the file."""
        arrays, about = state.to_file(network, optimiser)
        aside = self._path.with_name(f".{self._path.name}.partial")
        try:
            with aside.open("wb") as file:
                file.write(save(arrays, {"fit": json.dumps({"identity": self._identity, **about})}))
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._path)
        except OSError as error:
            raise TedmError(f"cannot write the checkpoint {self._path}: {error.strerror or error}") from error
        self._last = time.monotonic()

    def read(self) -> FitState | None:
        """Return the state in the file, or None if there is no file."""
        if not self._path.exists():
            return None
        try:
            with safe_open(self._path, "numpy") as file:
                about = json.loads(file.metadata()["fit"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            theirs, state = about["identity"], FitState.from_file(arrays, about)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            cause = (str(error) or repr(error)).splitlines()[0]
            raise TedmError(f"the checkpoint {self._path} is damaged ({cause}); delete it to start again") from error
        for name in sorted({*theirs, *self._identity}):
            if theirs.get(name) != self._identity.get(name):
                raise TedmError(f"the checkpoint {self._path} is of another fit ({name} differs); delete it to start again")
        return state


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers by their names, each once, in the network's own memory.

    (A state of torch's holds a layer that a network knows by two names twice, as MONAI's DynUNet does.)
    """
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def put_tensors(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors to where `tensors_of` found them; a ValueError if they are of another network."""
    own = tensors_of(network)
    if {name: tensor.shape for name, tensor in own.items()} != {name: tensor.shape for name, tensor in tensors.items()}:
        raise ValueError("the tensors are of another network")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, by the rest of their names."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
