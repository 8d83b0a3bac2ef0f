"""A fitted part as a folder inside its committee's: `part.json` says what the head is, and its own file lies beside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tedm.foreign import json_of
from tedm.heads.base.head import Head
from tedm.heads.base.registry import remake_head
from tedm.heads.committee.parts import Part

DESCRIPTION = "part.json"


@dataclass(frozen=True)
class Described:
    """What `part.json` says.

    Parameters
    ----------
    estimator : str
        Name of the head's class.
    parameters : mapping
        Arguments that make an unfitted head like this one.
    features : int
        Length of its rows; of images that are looked at, that of a pixel.
    """

    estimator: str
    parameters: Mapping[str, Any]
    features: int


def save_part(head: Head, folder: Path) -> None:
    """Write a fitted part to a folder that is not there yet."""
    folder.mkdir()
    head.save(folder)
    about = {"estimator": type(head).__name__, "parameters": head.constructor(), "features": head.n_features_in_}
    (folder / DESCRIPTION).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def read_part(part: Part, folder: Path, *, channels: int, classes: int, device: str) -> Head:
    """Read what `save_part` wrote.

    Parameters
    ----------
    part : Part
        What its committee says of it.
    folder : Path
    channels : int
        Of the activations at one timestep.
    classes : int
    device : str

    Raises
    ------
    TedmError
        If a package that it needs is not there.
    OSError, ValueError, ...
        If it is damaged, or of another part than that: whatever the head's own `restore` raises.
    """
    about = _described(folder)
    head = remake_head(part.head, about.estimator, about.parameters, device=device)
    able = head.capabilities
    if able.parts or able.looks_at_images != part.looks_at_images:
        raise ValueError(f"the head in {folder.name} is a {about.estimator}, which the part {part.name!r} is not")
    for what, own in (("members", part.members), ("vote", part.vote)):
        if about.parameters.get(what, own) != own:
            raise ValueError(f"the part {part.name!r} has {what} {own}, its head {about.parameters[what]!r:.50}")
    if about.features != part.features(channels, about.features) or about.features < 1:
        raise ValueError(f"the rows of the part {part.name!r} have {about.features} features, not those of its timesteps")
    head.restore(folder, features=about.features, classes=classes)
    head.constructor()  # arguments that cannot be told again are of no use to whoever saves it
    return head


def _described(folder: Path) -> Described:
    written = json_of(folder / DESCRIPTION)
    if not isinstance(written, dict) or sorted(written) != sorted(Described.__dataclass_fields__):
        raise ValueError(f"{folder.name}/{DESCRIPTION} should have {', '.join(Described.__dataclass_fields__)}")
    try:
        return msgspec.convert(written, Described)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ValueError(f"{folder.name}/{DESCRIPTION}: {error}") from error
