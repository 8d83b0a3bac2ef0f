"""What a study found, as far as the paper's tables and figures need it: records, examples and costs.

Nothing here is computed: methods go by the names that records have, and four of them have a part of their own to play, such as
LEDM, whose line figures 2 and 3 draw.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError, raise_listed
from tedm.heads import Record
from tedm.text import listed, natural, shown

Role = Literal["unet", "ledm", "ledme", "tedm"]
ROLES: tuple[Role, ...] = get_args(Role)
# The order of rows in the paper's tables; what it has not comes behind.
ORDER = ("unet", "global-cl", "global-local-cl", "ddpm-finetune", "ledm", "ledme", "tedm", "jury", "jury-fast")


@dataclass(frozen=True)
class Picture:
    """An example for figure 4.

    Parameters
    ----------
    image : array of shape (y, x) or (y, x, 3)
        In [0, 1].
    truth : array of shape (y, x), uint8
        Class indices, the first the background; 255 where there is no label.
    masks : mapping of (str, int) to array of shape (y, x), uint8
        Class indices that a method predicted from n training images, by (method, n).
    name, domain : str
        Of the image.
    note : str
        A sentence for the caption: which heads these are, say.
    """

    image: NDArray[Any]
    truth: NDArray[np.uint8]
    masks: Mapping[tuple[str, int], NDArray[np.uint8]]
    name: str = ""
    domain: str = ""
    note: str = ""


@dataclass(frozen=True)
class Cost:
    """What the fits of a method at one training size cost together.

    `labels_used` is that of one fit: every labelled image that it looked at.
    """

    method: str
    n: int
    fits: int
    seconds: float
    labels_used: int


@dataclass(frozen=True)
class PaperResults:
    """What the paper's tables and figures are made of.

    Parameters
    ----------
    records : tuple of Record
        Of every method, n, seed, domain, test image and class; at feature resolution.
    voting : tuple of Record
        Of TEDM's heads with one timestep voting alone, each timestep a method: "t = 50" say. `records` has TEDM itself.
    volumes : tuple of Record
        Scores of whole volumes.
    pictures : tuple of Picture
        Examples for figure 4.
    probes : mapping of str to int
        By the name of a per-timestep probe among the methods of `records`, its timestep.
    costs : tuple of Cost
    home : str or None
        The domain that was learned from; None takes the first that `records` name.
    names : mapping of {"unet", "ledm", "ledme", "tedm"} to str
        What `records` call these methods, where it is something else than this.
    beside : {"holm", "bonferroni"}
        The correction that stands beside the paper's tests, which have none.
    """

    records: tuple[Record, ...]
    voting: tuple[Record, ...] = ()
    volumes: tuple[Record, ...] = ()
    pictures: tuple[Picture, ...] = ()
    probes: Mapping[str, int] = field(default_factory=dict)
    costs: tuple[Cost, ...] = ()
    home: str | None = None
    names: Mapping[Role, str] = field(default_factory=dict)
    beside: Literal["holm", "bonferroni"] = "holm"

    def name_of(self, role: Role) -> str:
        """Return what records call a method of the paper."""
        return self.names.get(role, role)

    @property
    def domains(self) -> list[str]:
        """Every domain of the records, the one that was learned from first, the others in natural order."""
        there = list(dict.fromkeys(record.domain for record in self.records))
        home = there[0] if self.home is None else self.home
        return [home, *sorted((domain for domain in there if domain != home), key=natural)]

    @property
    def methods(self) -> list[str]:
        """Every method of the records that is no probe, in the paper's order."""
        return in_order({record.method for record in self.records} - set(self.probes), self.names)

    @property
    def timesteps(self) -> dict[int, str]:
        """The probe of each timestep that has records, the smallest timestep first."""
        there = {record.method for record in self.records}
        return {timestep: name for name, timestep in sorted(self.probes.items(), key=lambda each: each[1]) if name in there}


def in_order(methods: Iterable[str], names: Mapping[Role, str]) -> list[str]:
    """Return methods in the order of the paper's rows, those that it has not behind them in natural order."""
    roles: dict[str, str] = {name: role for role, name in names.items()}

    def rank(method: str) -> tuple[int, list[tuple[int, int, str]]]:
        role = roles.get(method, method)
        return (ORDER.index(role) if role in ORDER else len(ORDER), natural(method))

    return sorted(methods, key=rank)


def require_sound(results: PaperResults) -> None:
    """Refuse what no table or figure could be made of, before any is.

    Raises
    ------
    TedmError
        If there is no record, a domain or a part is named that is not there, two probes look at one timestep, or a picture's
        arrays do not fit each other.
    """
    if not results.records:
        raise TedmError("there are no records to make the paper's tables of; evaluate the heads of the study first")
    problems = []
    domains = {record.domain for record in results.records}
    if results.home is not None and results.home not in domains:
        problems.append(f"home is {shown(results.home)!r}, and the domains of the records are {listed(sorted(domains))}")
    strange = [role for role in results.names if role not in ROLES]
    if strange:
        problems.append(f"names has {listed(strange)}; the methods that can be named are {listed(ROLES)}")
    sizeless = sorted({record.method for record in results.records if record.n < 1})
    if sizeless:
        problems.append(f"n is below 1 in records of {listed(sizeless)}; every method has learned from an image")
    first: dict[int, str] = {}
    for name, timestep in results.probes.items():
        if first.setdefault(timestep, name) != name:
            problems.append(f"the probes {shown(first[timestep])} and {shown(name)} both look at timestep {timestep}; keep one")
    for number, picture in enumerate(results.pictures, 1):
        which = f"picture {shown(picture.name) or number}"
        wrong = [("the truth", picture.truth), *((f"the mask of {m}, n = {n}", mask) for (m, n), mask in picture.masks.items())]
        for what, mask in wrong:
            if mask.shape != picture.image.shape[:2]:
                problems.append(f"{which}: {what} is of shape {mask.shape}, the image of {picture.image.shape[:2]}")
        if not picture.masks:
            problems.append(f"{which} has no mask of any method; leave it out")
    raise_listed("the paper's tables and figures cannot be made of these results", problems)
