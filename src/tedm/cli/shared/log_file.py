"""A log of what a command said, a JSON object a line: for whoever looks at many runs, or at one that is over.

Lines are appended whole, each by one call, so that several processes can write to one file.
"""

from __future__ import annotations

import datetime
import json
import os
import stat
from pathlib import Path

from tedm.errors import TedmError
from tedm.files import place_of

KEYS = {"time", "command", "level", "message"}
LINE = 1 << 20  # bytes of a first line that are looked at


class LogFile:
    """A file that is open for lines.

    Parameters
    ----------
    path : Path
        New, or a log of before, which is continued.
    command : str
        What the lines are of, "extract" say.

    Raises
    ------
    TedmError
        If it cannot be written, or something else than a log lies there.
    """

    def __init__(self, path: Path, command: str) -> None:
        self._command = command
        place = place_of(path)
        try:
            if place.is_file() and place.stat().st_size:
                _require_log(place, path)
            self._file: int | None = os.open(place, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise TedmError(f"cannot write the log {path}: {error.strerror or error}; name another file with --log") from error
        if not _ends_whole(self._file):  # whoever wrote before was killed, or had no room
            os.write(self._file, b"\n")

    def write(self, level: str, message: str, **more: int | float) -> str | None:
        """Append a line.

        Returns
        -------
        str or None
            Why it cannot be written; nothing is written from then on.
        """
        if self._file is None:
            return None
        now = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
        line = {"time": now, "command": self._command, "level": level, "message": message, **more}
        content = (json.dumps(line) + "\n").encode()
        try:
            if os.write(self._file, content) == len(content):
                return None
            why = "no room"
        except OSError as error:
            why = str(error.strerror or error)
        self.close()
        return why

    def close(self) -> None:
        """Write no more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _require_log(place: Path, path: Path) -> None:
    with place.open("rb") as file:
        first = file.readline(LINE)
    try:
        line = json.loads(first)
    except ValueError:
        line = None
    if not (isinstance(line, dict) and line.keys() >= KEYS):
        raise TedmError(f"{path} is there and is no log of tedm; name another file with --log")


def _ends_whole(file: int) -> bool:
    """Whether a file is empty, or ends at the end of a line; so does what is no file."""
    if not stat.S_ISREG(os.fstat(file).st_mode):
        return True
    size = os.fstat(file).st_size
    return not size or os.pread(file, 1, size - 1) == b"\n"
