"""Levels by measuring: what comes out of a network's taps, of which shape and in which order, when it is run once.

On the meta device that costs nothing: tensors there have shapes and no numbers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tedm.errors import TedmError
from tedm.store.settings import Level


def measure_levels(
    network: nn.Module, taps: Sequence[str], *, side: int, channels: int, name: str = "level"
) -> tuple[tuple[Level, ...], tuple[str, ...]]:
    """Run a network on one image, and see what its taps give.

    Parameters
    ----------
    network : Module
        Called with an image (1, channels, side, side) and timesteps (1,), where it is.
    taps : sequence of str
        Names of modules in it, in any order.
    side, channels : int
        The image's.
    name : str
        What levels are called, before their index.

    Returns
    -------
    levels : tuple of Level
        In the order of computation.
    taps : tuple of str
        In the same order.

    Raises
    ------
    TedmError
        If there is no such module, one does not run exactly once, or its output is no square of cells that divides the image.
    """
    modules = dict(network.named_modules())
    absent = [tap for tap in taps if tap not in modules]
    if absent or not taps or len(set(taps)) < len(taps):
        what = f"no module {', '.join(map(repr, absent))}" if absent else "no taps" if not taps else "a tap named twice"
        raise TedmError(f"the network has {what}; name modules as in its named_modules(): {', '.join(list(modules)[1:9])}, ...")
    seen: list[tuple[str, object]] = []
    with contextlib.ExitStack() as hooks, torch.inference_mode():
        for tap in taps:

            def keep(module: nn.Module, inputs: object, output: object, *, tap: str = tap) -> None:
                seen.append((tap, output))

            hooks.callback(modules[tap].register_forward_hook(keep).remove)
        device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
        try:
            network(torch.zeros(1, channels, side, side, device=device), torch.zeros(1, dtype=torch.int64, device=device))
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            raise TedmError(
                f"the network does not run on an image of {side} x {side} pixels and {channels} channels: "
                f"{str(error).splitlines()[0] if str(error) else type(error).__name__}"
            ) from error
    order = tuple(tap for tap, _ in seen)
    if sorted(order) != sorted(taps):
        odd = next(tap for tap in taps if order.count(tap) != 1)
        raise TedmError(f"the module {odd!r} runs {order.count(odd)} times in a pass; tap modules that run once")
    return tuple(_level(f"{name}{index}", tap, output, side) for index, (tap, output) in enumerate(seen)), order


def _level(name: str, tap: str, output: object, side: int) -> Level:
    if not isinstance(output, Tensor):
        raise TedmError(f"the module {tap!r} returns {type(output).__name__}, not one tensor; tap a module that does")
    if output.ndim != 4 or output.shape[2] != output.shape[3] or not output.shape[2] or side % output.shape[2]:
        raise TedmError(
            f"the module {tap!r} returns shape {tuple(output.shape)} for an image of {side} x {side} pixels; expected "
            f"(1, channels, {side} / stride, {side} / stride) with a whole stride"
        )
    return Level(name, output.shape[1], side // output.shape[2])
