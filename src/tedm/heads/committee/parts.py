"""What a committee is made of, as it is written down: a head each, what it reads, and how it votes by itself.

A part is what a method is to a fit, without a name in tables: timesteps, row layout, head, members and vote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import msgspec

from tedm.errors import TedmError
from tedm.heads.base.head import HeadOptions
from tedm.heads.base.registry import head_class, make_head, require_types
from tedm.heads.data.rows import RowLayout
from tedm.heads.voting.vote import PlainRule
from tedm.jsons import JsonValue
from tedm.text import listed

FEWEST, MOST = 2, 16
LONGEST_NAME = 100
# More than any ensemble, batch or schedule has.
MOST_MEMBERS, LARGEST = 2**16, 2**31
NO_OPTIONS = HeadOptions()
# What stands in a part beside its settings, or is the whole fit's.
NO_SETTINGS = ("members", "vote", "seed", "device")
EXAMPLE = '{"parts": [{"name": "...", "head": "mlp", "timesteps": [50], "rows": "share"}, ...]}'


@dataclass(frozen=True)
class Part:
    """One head of a committee.

    Parameters
    ----------
    name : str
        What messages call it; no other part of its committee has it.
    head : str
        See `tedm.heads.base.registry.head_class`.
    timesteps : tuple of int
        What it reads; none for a head that looks at images.
    rows : {"share", "concatenate"}
        How these become rows.
    members : int
        Size of its ensemble.
    vote : {"soft", "hard", "geometric", "entropy"}
        How its members, timesteps and draws become the part's one opinion.
    pixels_per_batch : int
        Random pixels in a batch, for heads that take so.
    settings : mapping
        Further arguments of the head, as JSON values.
    pixels_per_image : int or None
        Labelled pixels of each image that it learns from, drawn uniformly; None takes all that the committee learns from.

    Raises
    ------
    TedmError
        If a value is out of range.
    """

    name: str
    head: str
    timesteps: tuple[int, ...]
    rows: RowLayout
    members: int = 1
    vote: PlainRule = "soft"
    pixels_per_batch: int = 512
    settings: Mapping[str, Any] = field(default_factory=dict)  # msgspec reads it, and knows no recursive types
    pixels_per_image: int | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not self.name.isprintable() or self.name != self.name.strip() or not 0 < len(self.name) <= LONGEST_NAME:
            raise TedmError(
                f"the name is {self.name[:LONGEST_NAME]!r}; it should be 1 to {LONGEST_NAME} characters on one line"
            )
        if len(set(self.timesteps)) < len(self.timesteps) or not all(0 <= timestep < LARGEST for timestep in self.timesteps):
            raise TedmError("timesteps should be whole numbers of at least 0, each once")
        for what, value, most in (
            ("members", self.members, MOST_MEMBERS),
            ("pixels_per_batch", self.pixels_per_batch, LARGEST),
            ("pixels_per_image", 1 if self.pixels_per_image is None else self.pixels_per_image, LARGEST),
        ):
            if not 1 <= value <= most:
                raise TedmError(f"{what} is {value}; it should be 1 to {most}")

    @property
    def looks_at_images(self) -> bool:
        """Whether its head looks at images: it reads no timestep then."""
        return not self.timesteps

    def to_json(self) -> dict[str, JsonValue]:
        """Return its fields as JSON values."""
        values = asdict(self) | {"timesteps": list(self.timesteps)}
        if self.pixels_per_image is None:  # a part that takes all is written as it always was
            del values["pixels_per_image"]
        return values

    def voters(self, draws: int) -> int:
        """Return how many opinions it merges, of features with so many draws of noise."""
        own = self.members * head_class(self.head).capabilities.voting_draws(draws)
        return own * len(self.timesteps) if self.rows == "share" and self.timesteps else own

    def features(self, channels: int, image_channels: int) -> int:
        """Return the length of its rows; of images that are looked at, that of a pixel."""
        if self.looks_at_images:
            return image_channels
        return channels * (1 if self.rows == "share" else len(self.timesteps))


def parts_from_json(values: Sequence[Mapping[str, Any]]) -> tuple[Part, ...]:
    """Read the parts of a committee.

    Parameters
    ----------
    values : sequence of mappings
        The fields of each `Part`.

    Returns
    -------
    tuple of Part
        Two to sixteen.

    Raises
    ------
    TedmError
        Of one line, if there are none or too many, one is no part, names repeat, a head is not there or is a committee itself,
        or does not go with its timesteps or members.
    """
    if isinstance(values, (str, Mapping)) or not isinstance(values, Sequence):
        raise TedmError(f"the parts of a committee should be a list, as in {EXAMPLE}")
    if not FEWEST <= len(values) <= MOST:
        raise TedmError(
            f"a committee has {FEWEST} to {MOST} parts, and {len(values) or 'none'} {'is' if len(values) < 2 else 'are'} "
            f"named: name each with its head, timesteps and rows, --params '{EXAMPLE}'"
        )
    parts = tuple(_part(number, value) for number, value in enumerate(values, 1))
    names = [part.name for part in parts]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise TedmError(f"two parts of the committee are called {repeated!r}; give each a name of its own")
    if all(part.looks_at_images for part in parts):
        raise TedmError("all parts of the committee look at images; add one that reads timesteps")
    return parts


def timesteps_of(parts: Iterable[Part]) -> tuple[int, ...]:
    """Return all timesteps that some part reads, ascending.

    Examples
    --------
    >>> timesteps_of([Part("a", "mlp", (50, 1), "share"), Part("b", "mlp", (1, 25), "share")])
    (1, 25, 50)
    """
    return tuple(sorted({timestep for part in parts for timestep in part.timesteps}))


def _part(number: int, value: object) -> Part:
    where = f"part {number} of the committee"
    if not isinstance(value, Mapping):
        raise TedmError(f"{where} is {value!r:.50}; it should be an object with {listed(_names())}")
    strange = sorted(str(name) for name in value if name not in _names())
    if strange:
        raise TedmError(f"{where} has a field {strange[0]!r:.50} that no part has; its fields are {listed(_names())}")
    try:
        part = msgspec.convert(dict(value), Part)
    except msgspec.ValidationError as error:
        raise TedmError(f"{where}: {error}") from error
    try:
        require_head(part)
    except ValueError as error:
        raise TedmError(f"the part {part.name!r} of the committee: {error}") from error
    return part


def require_head(part: Part) -> None:
    """Refuse a part whose head is not there, does not go with its other fields, or does not take its settings.

    Raises
    ------
    TedmError
        If the head is not there, or does not go with the fields.
    ValueError
        If a setting is of another type than the head's argument.
    """
    able = head_class(part.head).capabilities
    if able.parts:
        raise TedmError("it is a committee itself; name the parts of that one among these")
    if able.looks_at_images and part.timesteps:
        raise TedmError(f"{part.head} looks at images and reads no timesteps; give it an empty list of them")
    if part.looks_at_images and not able.looks_at_images:
        raise TedmError(f"{part.head} reads timesteps; name one or more")
    if part.members > 1 and not able.members:
        raise TedmError(f"{part.members} members of {part.head} would be equal; give it one")
    if able.parameters is None:
        own = [name for name in part.settings if name in NO_SETTINGS]
        if own:
            raise TedmError(
                f"{own[0]} is no setting of a part's head; members and vote stand beside the settings, seed is the fit's"
            )
        require_types(part.head, part.settings)
    make_head(part.head, NO_OPTIONS, part.settings)


def _names() -> list[str]:
    return [each.name for each in fields(Part)]
