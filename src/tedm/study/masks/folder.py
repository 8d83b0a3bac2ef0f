"""A folder of predicted masks that goes on where an earlier run was stopped.

`prediction.json` in it says what the masks are of: the head, the images and every option that changes a file. Files of images
that a directory shows as they were are those; others, copied or touched since, are compared by their content. A run that asks
for the same computes what is not there and leaves the rest alone; a run that asks for anything else is refused. Files are whole
or absent, so that what is there is what an uninterrupted run had written. Only the means of uncertainty have no file of their
own: they are noted line by line in a hidden file until `uncertainty.csv` is written.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tedm.errors import TedmError
from tedm.files import make_folder, place_of, require_new, what_helps, write_table, write_whole
from tedm.foreign import MOST_JSON, bytes_of, json_of
from tedm.heads import Segmenter
from tedm.jsons import JsonObject, JsonValue
from tedm.names import require_files
from tedm.study.masks.inputs import Inputs
from tedm.text import from_entry, listed, shown

ABOUT, CLASSES, TABLE = "prediction.json", "classes.csv", "uncertainty.csv"
IMAGES, CONTENT = "images", "content of images"
NOTED = ".uncertainty"
REMEDY = "make room; what was written before is whole"
AGAIN = "repeat the command that made it, or name another folder"
LONGEST = 40  # characters of a setting in a message
MOST_SAID = 3


class MaskFolder:
    """What is asked of a folder, compared with what is in it.

    Parameters
    ----------
    folder : Path
        As the user calls it.
    made_of : mapping of str to JSON
        What decides the content of its files besides the images, by the names that people have for it.
    inputs : Inputs
        The images. What is in them, which takes reading them, is asked where masks are begun and where directories show others.
    """

    def __init__(self, folder: Path, made_of: JsonObject, inputs: Inputs) -> None:
        self._folder, self._inputs = folder, inputs
        self._made_of: dict[str, JsonValue] = json.loads(json.dumps({**made_of, IMAGES: inputs.listed()}))
        self._content: str | None = None
        self._place = place_of(folder)
        self._begun = False

    def require(self, folder: Path) -> None:
        """Refuse a folder with anything in it but masks of the same, before any work.

        Raises
        ------
        TedmError
            Which says what differs.
        """
        about = self._place / ABOUT
        if not about.is_file():
            require_new(folder)
            return
        there = _read(about)
        content = there.pop(CONTENT, None)
        differing = [key for key in dict.fromkeys((*self._made_of, *there)) if there.get(key) != self._made_of.get(key)]
        if not differing and isinstance(content, str):
            self._content = content
        if not any(_whole_files(self._place)):
            return
        if IMAGES in differing and content is not None:
            self._content = self._inputs.content()
            if self._content == content:
                differing.remove(IMAGES)
        if differing:
            # Folders of before do not say what was in the images.
            what = "the sizes or times of their files" if content is None else "what is in them"
            parts = [
                f"images: their names, or {what}, are others"
                if key == IMAGES
                else f"{key}: {_brief(there.get(key))} there, {_brief(self._made_of.get(key))} here"
                for key in differing
            ]
            raise TedmError(f"{folder} holds masks that were made otherwise ({listed(parts, most=MOST_SAID)}); {AGAIN}")

    def begin(self, classes: Iterable[Sequence[object]], folders: Iterable[str]) -> None:
        """Say in the folder what it is of, before its first mask; later calls do nothing.

        Parameters
        ----------
        classes : iterable of (value, name, colour)
        folders : iterable of str
            Folders in it that are to be there.
        """
        if self._begun:
            return
        self._begun = True
        about = {**self._made_of, CONTENT: self._content or self._inputs.content()}
        write_whole(self._place / ABOUT, (json.dumps(about, indent=1) + "\n").encode(), remedy=REMEDY)
        write_table(self._place / CLASSES, [["value", "name", "colour"], *classes], remedy=REMEDY)
        for name in folders:
            make_folder(self._place / name, remedy=REMEDY)

    def has(self, files: Iterable[str]) -> bool:
        """Whether all of some files are there; one without a byte is no file of ours."""
        places = [self._place / file for file in files]
        return all(place.is_file() and place.stat().st_size for place in places)


def require_outputs(
    files: Mapping[str, list[str]], pictures: Sequence[str], head: Segmenter, probabilities: bool, source: str
) -> None:
    """Refuse, before the work, masks that no PNG can hold, and names that cannot be files or of which two would be one file."""
    odd = [value for value in head.classes if pictures and not 0 <= value < 2**16]
    if odd:
        raise TedmError(f"a PNG cannot hold the mask value {odd[0]}, a class of this head; fit one on values from 0 to 65535")
    together = ", or leave out --probabilities" if probabilities else ""
    require_files(
        files,
        what=f"cannot write the masks of {source} under its images' names",
        remedy=f"extract one of them under another name (a column `name`){together}",
    )


class Means:
    """Means of the maps of each image, kept through an interruption.

    Parameters
    ----------
    place : Path
        The folder.
    kinds : sequence of str
        What is averaged: "entropy", "disagreement".
    """

    def __init__(self, place: Path, kinds: Sequence[str]) -> None:
        self._place, self._kinds = place, tuple(kinds)
        self._means = self._in_table() | self._in_notes()
        self._appending = False

    def __contains__(self, name: str) -> bool:
        return name in self._means

    def note(self, name: str, means: Mapping[str, float]) -> None:
        """Keep the means of an image, once its other files are whole.

        Raises
        ------
        TedmError
            If they cannot be written.
        """
        path = self._place / NOTED
        if not self._appending:  # a line that was torn when a process was killed is gone then
            write_whole(path, b"".join(_line(known, its) for known, its in self._means.items()), remedy=REMEDY)
            self._appending = True
        self._means[name] = [f"{means[kind]:.6f}" for kind in self._kinds]
        try:
            with path.open("ab", buffering=0) as file:  # one call: a line is whole, or has no end
                line = _line(name, self._means[name])
                if file.write(line) != len(line):
                    raise OSError("No space left on device")
        except OSError as error:
            raise TedmError(f"cannot write {path}: {error.strerror or error}; {what_helps(error, REMEDY)}") from error

    def finish(self, names: Sequence[str]) -> None:
        """Write the table of some images, in their order."""
        write_table(
            self._place / TABLE, [["image", *self._kinds], *([name, *self._means[name]] for name in names)], remedy=REMEDY
        )
        (self._place / NOTED).unlink(missing_ok=True)

    def _in_notes(self) -> dict[str, list[str]]:
        try:
            text = bytes_of(self._place / NOTED, most=MOST_JSON).decode("utf-8", "replace")
        except (OSError, ValueError):
            return {}
        found = {}
        for line in text.split("\n")[:-1]:  # what follows the last end of a line was torn
            try:
                name, *means = json.loads(line)
            except (ValueError, TypeError):
                continue
            if self._are_means(means):
                found[str(name)] = list(means)
        return found

    def _in_table(self) -> dict[str, list[str]]:
        try:
            text = bytes_of(self._place / TABLE, most=MOST_JSON).decode("utf-8", "surrogateescape")
            rows = [[from_entry(cell) for cell in row] for row in csv.reader(text.splitlines())]
        except (OSError, ValueError, csv.Error):
            return {}
        if not rows or rows[0] != ["image", *self._kinds]:
            return {}
        return {row[0]: row[1:] for row in rows[1:] if self._are_means(row[1:])}

    def _are_means(self, means: Sequence[object]) -> bool:
        return len(means) == len(self._kinds) and all(isinstance(each, str) and _is_number(each) for each in means)


def _line(name: str, means: Sequence[str]) -> bytes:
    return f"{json.dumps([name, *means])}\n".encode()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read(about: Path) -> dict[str, JsonValue]:
    try:
        there = json_of(about)
    except (OSError, ValueError) as error:
        raise TedmError(f"{about} cannot be read ({error}); name another folder, or delete this one") from error
    if not isinstance(there, dict):
        raise TedmError(f"{about} is none of tedm-predict's; name another folder, or delete this one")
    return there


def _whole_files(place: Path) -> Iterable[Path]:
    """Yield the files of a folder beside those that say what it is of."""
    for folder, _, files in os.walk(place):
        yield from (Path(folder, file) for file in files if not file.startswith(".") and file not in (ABOUT, CLASSES))


def _brief(value: JsonValue) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else json.dumps(value)
    text = shown(text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
