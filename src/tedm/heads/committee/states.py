"""Where a fit of a committee goes on from: a folder with the checkpoint of each part that keeps one.

Every part looks at its own checkpoint as it does alone. What the folder adds is which parts these are, so that the files of one
committee are never another's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tedm.errors import TedmError
from tedm.files import write_whole
from tedm.foreign import json_of
from tedm.heads.committee.parts import Part

PARTS = "parts.json"


class States:
    """The checkpoints of a committee's parts.

    Parameters
    ----------
    folder : Path
        Made if it is not there; the folder above it must be.
    parts : sequence of Part

    Raises
    ------
    TedmError
        If it cannot be made, or is of another fit or damaged.
    """

    def __init__(self, folder: Path, parts: Sequence[Part]) -> None:
        self._folder = folder
        if not folder.parent.is_dir():
            raise TedmError(f"cannot write the checkpoint {folder}: there is no folder {folder.parent}")
        if folder.exists() and not folder.is_dir():
            raise TedmError(
                f"the checkpoint {folder} is of another fit (a committee's is a folder, not a file); delete it to start again"
            )
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise TedmError(f"cannot write the checkpoint {folder}: {error.strerror or error}") from error
        own = json.dumps([part.to_json() for part in parts], indent=1, default=str)
        if (folder / PARTS).exists():
            self._require(json.loads(own))
        else:
            write_whole(folder / PARTS, own.encode(), what="the checkpoint", remedy="make room, and start again")

    def of(self, index: int) -> Path:
        """Return the file of a part, by its place in the committee."""
        return self._folder / f"part-{index}.fit"

    def _require(self, own: object) -> None:
        try:
            theirs = json_of(self._folder / PARTS)
        except (OSError, ValueError) as error:
            raise TedmError(f"the checkpoint {self._folder} is damaged ({error}); delete it to start again") from error
        if theirs != own:
            raise TedmError(f"the checkpoint {self._folder} is of another fit (parts differ); delete it to start again")
