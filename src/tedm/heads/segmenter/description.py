"""What `head.json` says, checked before anything is made of it.

Every value has its type, its range and its partner: timesteps are among those of the features, the length of a row is that of
the levels, a weight belongs to a member and a timestep. A setting that is not known here could change what a head predicts, so
that the head is a newer tedm's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from math import isfinite
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from tedm.errors import TedmError
from tedm.foreign import json_of
from tedm.heads.segmenter.methods import MOST_SMOOTHING, Method, require_name
from tedm.heads.voting.temperature import Calibration
from tedm.heads.voting.weights import VoterWeights
from tedm.store import IGNORE, Arithmetic, FeatureSettings, Storage
from tedm.store.checks import checked_legend, problems_of_settings
from tedm.store.settings import OF_VOLUMES

FORMAT = 1
DESCRIPTION = "head.json"
# More than any image, batch or machine has; what is larger was not meant.
LARGEST = 2**16
LONGEST_TEXT = 300


@dataclass(frozen=True)
class Description:
    """What `head.json` says, checked when it is read.

    Parameters
    ----------
    format : int
        1; what is added later has a default, so that older heads are read.
    method, classes, settings, arithmetic, storage, weights, calibration, name, class_names, class_colours
    smallest_parts
        As in `Segmenter`.
    estimator : str
        Name of the head's class.
    parameters : mapping
        Arguments that make an unfitted head like this one.
    features : int
        Length of its rows.
    provenance : mapping
        What `Provenance.from_json` reads.
    """

    format: int
    method: Method
    classes: tuple[int, ...]
    estimator: str
    parameters: Mapping[str, Any]
    features: int
    settings: FeatureSettings
    arithmetic: Arithmetic
    storage: Storage
    provenance: Mapping[str, Any]
    weights: VoterWeights | None = None
    calibration: Calibration | None = None
    name: str = field(default="")
    class_names: tuple[str, ...] = ()
    class_colours: tuple[str, ...] = ()
    smallest_parts: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse values out of range, or that do not belong together."""
        _require_method(self)
        _require_settings(self.settings)
        _require_range("batch size", self.arithmetic.batch_size, 1)
        _require_range("threads", self.arithmetic.threads, 1)
        _require_texts("arithmetic", (self.arithmetic.torch, self.arithmetic.processor))
        if not 1 <= len(self.classes) <= IGNORE or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"{len(self.classes)} classes; it should be 1 to {IGNORE}, each once")
        if any(abs(value) >= 2**31 for value in self.classes):
            raise ValueError("a class is no value of a mask")
        length = self.settings.channels * (len(self.method.timesteps) if self.method.rows == "concatenate" else 1)
        if self.method.looks_at_images:
            length = self.settings.image_channels
        if self.features != length:
            raise ValueError(f"features is {self.features}; rows of these levels and timesteps have {length}")
        if self.weights is not None:
            _require_weights(self.weights, self.method)
        if self.method.specks or self.smallest_parts:
            _require_parts(self)
        if self.name:
            _require_head_name(self.name)
        checked_legend(list(self.class_names), self.classes, "class_names")
        checked_legend(list(self.class_colours), self.classes, "class_colours")


def read_description(folder: Path) -> Description:
    """Read a head's description.

    Raises
    ------
    TedmError
        If a newer tedm wrote it.
    OSError, ValueError
        If it is damaged; the message says what is wrong, in one line, but not where.
    """
    try:
        written: Any = json_of(folder / DESCRIPTION)
    except ValueError as error:
        raise ValueError(f"{DESCRIPTION}: {error}") from error
    if not isinstance(written, dict) or type(written.get("format")) is not int:
        raise ValueError(f"{DESCRIPTION} states no format")
    newer = f"the head {folder} %s that this version of tedm does not know; install a newer tedm"
    if written["format"] != FORMAT:
        raise TedmError(newer % "has a format")
    for unknown in _unknown(written, Description, ""):
        raise TedmError(newer % f"has a setting {unknown!r}"[:LONGEST_TEXT])
    try:
        return msgspec.convert(written, Description)
    except (TedmError, RecursionError):
        raise
    except (msgspec.ValidationError, ValueError, ArithmeticError) as error:
        raise ValueError(f"{DESCRIPTION}: {error}") from error


def _unknown(values: object, cls: Any, where: str) -> Iterable[str]:
    """Yield the names of settings that a dataclass, or one inside it, does not have."""
    if not isinstance(values, Mapping):
        return
    known = {each.name for each in fields(cls)}
    hints = get_type_hints(cls)
    for name, value in values.items():
        if name not in known:
            yield f"{where}{name}"
            continue
        inside = [hints[name], *get_args(hints[name])]
        for part in (each for each in inside if is_dataclass(each)):
            for one in value if isinstance(value, list) else [value]:
                yield from _unknown(one, part, f"{where}{name}.")


def _require_method(about: Description) -> None:
    method, members = about.method, about.parameters.get("members", about.method.members)
    _require_texts("method", (method.name, method.head))
    if method.timesteps:  # whether its head can do without is asked when that is made
        _require_timesteps("the method's timesteps", method.timesteps)
    _require_range("members", method.members, 1)
    _require_range("views", method.views, 0)
    if not 0 <= method.smoothing <= MOST_SMOOTHING or not 0 <= method.specks <= 1:
        raise ValueError(
            f"smoothing is {method.smoothing} and specks {method.specks}; they are 0 to {MOST_SMOOTHING} and 0 to 1"
        )
    _require_range("pixels per batch", method.pixels_per_batch, 1, most=2**31)
    if members != method.members:
        raise ValueError(f"the method has {method.members} members, its classifier {members!r}")
    absent = [timestep for timestep in method.timesteps if timestep not in about.settings.timesteps]
    if absent:
        raise ValueError(f"the timestep {absent[0]} is none of its features'")


def _require_settings(settings: FeatureSettings) -> None:
    """Refuse settings of features that no features can have."""
    _require_texts("settings", (settings.checkpoint_sha256, *(level.name for level in settings.levels)))
    _require_timesteps("the features' timesteps", settings.timesteps)
    _require_range("image size", settings.image_size, 1)
    _require_range("image channels", settings.image_channels, 1)
    _require_range("draws", settings.draws, 1)
    if not settings.levels or len({level.name for level in settings.levels}) < len(settings.levels):
        raise ValueError("its levels are none, or two of one name")
    for level in settings.levels:
        _require_range("channels of a level", level.channels, 1, most=2**24)
        _require_range("stride of a level", level.stride, 1, most=settings.image_size)
    if not all(map(isfinite, (*settings.input_range, *(settings.intensity_range or ())))):
        raise ValueError("a range of its intensities is not finite")
    for key, problem in problems_of_settings(settings):
        if key in OF_VOLUMES:
            raise ValueError(f"{key} {problem}")


def _require_weights(weights: VoterWeights, method: Method) -> None:
    """Refuse learned weights of other members or timesteps than the method's."""
    voting = method.timesteps if method.rows == "share" else ()
    if weights.timesteps != voting or len(weights.values) != method.members:
        raise ValueError(f"its weights are of other voters than {method.members} members at its timesteps")


def _require_parts(about: Description) -> None:
    """Refuse sizes of parts that no training labels have."""
    pixels = about.settings.image_size**2
    if len(about.smallest_parts) != len(about.classes) or not all(0 <= each <= pixels for each in about.smallest_parts):
        raise ValueError(f"its smallest parts should be a number of pixels for each class, 0 to {pixels}")


def _require_timesteps(what: str, timesteps: Sequence[int]) -> None:
    if not timesteps or len(set(timesteps)) < len(timesteps) or not all(0 <= timestep < 2**31 for timestep in timesteps):
        raise ValueError(f"{what} should be one or more, each once and none below 0")


def _require_range(what: str, value: int, least: int, *, most: int = LARGEST) -> None:
    if not least <= value <= most:
        raise ValueError(f"{what} is {value}; it should be {least} to {most}")


def _require_texts(what: str, texts: Iterable[str]) -> None:
    for text in texts:
        if not text.isprintable() or len(text) > LONGEST_TEXT:
            raise ValueError(f"a text of its {what} cannot be printed in a line")


def _require_head_name(name: str) -> None:
    """Refuse a name that no user could have given; heads without one, and all older heads, have none."""
    try:
        require_name(name)
    except TedmError as error:
        raise ValueError(f"its name is {name[:LONGEST_TEXT]!r}") from error
