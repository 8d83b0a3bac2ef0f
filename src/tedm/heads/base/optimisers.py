"""Adam and AdamW of torch, without its compiler.

Torch keeps its compiler away from an optimiser's methods by decorators, which import the compiler when they are first called:
700 modules, SymPy among them, three seconds of a fit that compiles nothing. These call what was decorated, and give the same
bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import unwrap
from typing import Any

import torch


class _WithoutCompiler(torch.optim.Optimizer):
    """The methods that torch decorates, as they were."""

    def add_param_group(self, param_group: Mapping[str, object]) -> None:
        """Take parameters in."""
        _undecorated(super().add_param_group, param_group)

    def state_dict(self) -> Any:
        """Return the moments and settings."""
        return _undecorated(super().state_dict)

    def load_state_dict(self, state_dict: Any) -> None:
        """Take over moments and settings."""
        _undecorated(super().load_state_dict, state_dict)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        _undecorated(super().zero_grad, set_to_none)

    def step(self, closure: Any = None) -> Any:
        """Change the parameters by their gradients."""
        with torch.no_grad():
            return _undecorated(super().step, closure)


class Adam(_WithoutCompiler, torch.optim.Adam):
    """`torch.optim.Adam`."""


class AdamW(_WithoutCompiler, torch.optim.AdamW):
    """`torch.optim.AdamW`."""


def _undecorated(method: Callable[..., Any], *arguments: Any) -> Any:
    """Call a bound method as it was before decorators that say what they wrap."""
    inner = unwrap(method)
    return method(*arguments) if inner is method else inner(method.__self__, *arguments)  # type: ignore[attr-defined]
