"""What was asked of a fit: whether it can be done, and whether a checkpoint is of the same."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tedm.devices import choose_precision
from tedm.errors import TedmError
from tedm.heads.base.settings import require_rate
from tedm.heads.data.dataset import TrainingData
from tedm.jsons import JsonValue

# Of the arithmetic of steps on random pixels: it rises when the same fit comes to end in other bits. What is without it is of
# the time before there was one, 0, as steps on whole images still are.
REVISION = 1
# Likewise where products are in bfloat16.
ROUNDED_REVISION = 2


def revision(batch: str, precision: str) -> int:
    """Return the revision of the arithmetic of steps on batches of "pixels" or "images", with products in this precision."""
    if batch != "pixels":
        return 0
    return REVISION if precision == "float32" else ROUNDED_REVISION


def precision_of(asked: Mapping[str, Any], *, arrays: bool = False) -> Literal["float32", "bfloat16"]:
    """Return the precision of the products of all layers but the last in a fit.

    Parameters
    ----------
    asked : mapping of str to values
        All arguments of the `MLPHead`.
    arrays : bool
        Whether rows are arrays of whoever calls, not activations: "auto" is float32 then, for of numbers whose differences are
        small beside them rounding would leave nothing.

    Raises
    ------
    TedmError
        If there is no such precision.
    """
    if asked["precision"] == "auto" and (arrays or asked["batch"] == "images"):
        return "float32"
    return choose_precision(asked["precision"], "cuda" if str(asked["device"]).startswith("cuda") else "cpu", "products")


def require_settings(asked: Mapping[str, Any]) -> None:
    """Refuse arguments of an `MLPHead` that make no fit.

    Parameters
    ----------
    asked : mapping of str to values
        All of them, by their names.

    Raises
    ------
    TedmError
        If a number is out of its range, or batches are of something else.
    """
    for what in ("members", "pixels_per_batch", "images_per_batch", "iterations"):
        if asked[what] < 1:
            raise TedmError(f"{what} is {asked[what]}; it must be at least 1")
    if asked["batch"] not in ("pixels", "images"):
        raise TedmError(f"there are no batches of {asked['batch']!r}; choose pixels or images")
    require_rate(asked["learning_rate"])
    if asked["patience"] is not None and asked["patience"] < 1:
        raise TedmError(f"patience is {asked['patience']}; it must be at least 1")
    if asked["hidden"] is not None and not all(isinstance(width, int) and width >= 1 for width in asked["hidden"]):
        raise TedmError(f"hidden is {list(asked['hidden'])}; a layer has at least 1 unit")
    if not asked["weight_decay"] >= 0:
        raise TedmError(f"weight_decay is {asked['weight_decay']}; it must be at least 0")
    for what in ("label_smoothing", "dropout"):
        if not 0 <= asked[what] < 1:
            raise TedmError(f"{what} is {asked[what]}; it must be from 0 to below 1")
    if asked["dropout"] and asked["batch"] == "images":
        raise TedmError("dropout is for batches of pixels; leave it out, or batch of images")
    if asked["precision"] == "bfloat16" and asked["batch"] == "images":
        raise TedmError("bfloat16 is for batches of pixels; leave it out, or batch of images")
    precision_of(asked)


def identity(
    asked: Mapping[str, Any], data: TrainingData, names: Sequence[str], validation: TrainingData | None
) -> dict[str, JsonValue]:
    """Return what a checkpoint must share with a fit that goes on from it, by the names that a message gives.

    Parameters
    ----------
    asked : mapping of str to values
        All arguments of the `MLPHead`.
    data : TrainingData
    names : sequence of str
        Its images that are learned from.
    validation : TrainingData or None
        What decides when to stop, with `patience`; of no matter without.
    """
    decides = None if asked["patience"] is None else validation
    used = precision_of(asked)
    parameters = {name: value for name, value in asked.items() if name not in ("device", "vote", "precision")}
    return {
        **{name.replace("_", " "): value for name, value in parameters.items()},
        "features": [data.features.settings.to_json(), data.features.storage.to_json()],
        "timesteps": list(data.timesteps),
        "rows": data.rows,
        "sampling": data.sampling,
        "classes": list(data.classes),
        "images": list(names),
        "masks": _crc(data, names),
        "validation images": list(decides.names) if decides is not None else [],
        "validation masks": _crc(decides, decides.names) if decides is not None else 0,
        # A fit goes on with the arithmetic that it began with, or not at all.
        **({"revision of the arithmetic": now} if (now := revision(asked["batch"], used)) else {}),
        **({"precision": used} if used != "float32" else {}),  # the others are as before
    }


def _crc(data: TrainingData, names: Sequence[str]) -> int:
    """Return a checksum of the masks."""
    crc = 0
    for name in names:
        crc = zlib.crc32(data.masks[name].tobytes(), crc)
    return crc
