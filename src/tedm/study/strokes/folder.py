"""Strokes kept in a folder, a picture for each image, so that none is lost: written before each fit, read at the next opening.

A picture says itself what its numbers are: 0 is what is not painted, and 1 and so on are the classes that are listed in it, by
their values in masks, names and colours. So it can be read whatever other classes came to be painted with since.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tedm.errors import TedmError
from tedm.extract.images import mask_png
from tedm.files import make_folder, place_of, require_writable, write_whole
from tedm.foreign import bytes_of, plain_json
from tedm.names import file_of
from tedm.store import IGNORE, Location
from tedm.study.strokes.painted import Classes

STROKES, ENDING, CLASSES = "strokes", ".png", "classes"
MOST_BYTES = 2**28  # of a picture of strokes
REMEDY = "choose another folder for the strokes"
AWAY = "move it elsewhere to begin anew, or choose another folder for the strokes"


def folder_beside(source: Location) -> Path:
    """Return where strokes on a store's or a file's images are kept if nobody says so: beside it.

    Examples
    --------
    >>> folder_beside(Path("lungs/features")).as_posix()
    'lungs/features-strokes'
    """
    path = Path(source)
    stem = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
    return path.with_name(f"{path.name if path.is_dir() else stem}-{STROKES}")


def folder_elsewhere(source: Location) -> Path:
    """Return where strokes are kept if nothing can be written beside what they are on: in the user's own folder."""
    where = source if isinstance(source, str) else str(place_of(source))
    return Path.home() / f"tedm-{STROKES}" / f"{folder_beside(source).name}-{hashlib.sha256(where.encode()).hexdigest()[:8]}"


def folder_for(source: Location, chosen: Path | None = None) -> tuple[Path, str]:
    """Return the folder that strokes are written to, and a sentence where it is not the one that people look for.

    Parameters
    ----------
    source : path or URL
        The store, or the image's file.
    chosen : Path or None
        What the user chose; None takes the folder beside the source, and another where nothing can be written there.

    Raises
    ------
    TedmError
        If nothing can be written to the folder that was chosen, nor to the user's own.
    """
    if chosen is not None:
        _require_writable(chosen)
        return chosen, ""
    beside, elsewhere = folder_beside(source), folder_elsewhere(source)
    if isinstance(source, str):
        return elsewhere, f"{source} is in a bucket; strokes are kept in {elsewhere}"
    try:
        _require_writable(beside)
    except TedmError:
        return elsewhere, f"nothing can be written beside {source}; strokes are kept in {elsewhere}"
    return beside, ""


def _require_writable(folder: Path) -> None:
    place = place_of(folder)
    while not place.exists() and place != place.parent:
        place = place.parent
    require_writable(place / f".{STROKES}", what="strokes to", remedy=REMEDY)


def save_strokes(folder: Path, strokes: Mapping[str, NDArray[np.uint8]], classes: Classes) -> None:
    """Write strokes to a folder, each whole or not at all; images that are not named keep theirs.

    Parameters
    ----------
    folder : Path
        It is made if it is not there.
    strokes : mapping of str to array of shape (height, width)
        By the images' names: class indices, 255 where nothing is painted. An image on which nothing is left loses its picture.
    classes : Classes
        Of the class indices.

    Raises
    ------
    TedmError
        If a picture cannot be written; what was there before is still there.
    """
    place = folder / STROKES
    about = {CLASSES: json.dumps([list(row) for row in zip(classes.values, classes.names, classes.colours, strict=True)])}
    colours = {0: "#000000", **{index + 1: colour for index, colour in enumerate(classes.colours)}}
    for name, painted in strokes.items():
        path = file_of(place, name, ENDING)
        if not (painted != IGNORE).any():
            if path.exists():
                path.unlink()
            continue
        make_folder(place, remedy=REMEDY)
        numbers = np.where(painted == IGNORE, np.uint8(0), painted + np.uint8(1)).astype(np.uint8)
        write_whole(path, mask_png(numbers, colours, about), remedy=REMEDY)


def read_strokes(folder: Path, name: str, size: tuple[int, int], classes: Classes) -> tuple[NDArray[np.uint8], Classes] | None:
    """Read the strokes on an image.

    Parameters
    ----------
    folder : Path
    name : str
        The image.
    size : (height, width)
        Of the image.
    classes : Classes
        The classes that are known; those that it lacks are added behind them.

    Returns
    -------
    strokes : array of shape (height, width)
        Class indices, 255 where nothing is painted.
    classes : Classes
        Of the class indices.

        None if there are no strokes on this image.

    Raises
    ------
    TedmError
        If there are strokes that cannot be read, or on an image of another size.
    """
    path = file_of(folder / STROKES, name, ENDING)
    if not path.exists():
        return None
    try:
        with Image.open(io.BytesIO(bytes_of(path, most=MOST_BYTES)), formats=["PNG"]) as picture:
            shape = picture.height, picture.width
            if shape != size:
                raise TedmError(
                    f"{path}: strokes on an image of {shape[0]} x {shape[1]} pixels (height x width), and {name} has "
                    f"{size[0]} x {size[1]}; {AWAY}"
                )
            picture.load()
            rows = msgspec.convert(plain_json(str(picture.text[CLASSES])), list[tuple[int, str, str]])  # type: ignore[attr-defined]
            numbers = np.asarray(picture)
        theirs = Classes(*(tuple(column) for column in zip(*rows, strict=True)))
        if numbers.dtype != np.uint8 or numbers.ndim != 2 or int(numbers.max()) > len(rows):
            raise ValueError("it has numbers of no class")
    except TedmError as error:
        raise error if str(error).startswith(str(path)) else TedmError(f"{path}: {error}; {AWAY}") from error
    except Exception as error:  # a damaged picture fails in many ways
        raise TedmError(f"{path}: no strokes can be read from it ({_first_line(error)}); {AWAY}") from error
    merged = merge(classes, theirs)
    index = np.array([IGNORE, *(merged.values.index(value) for value in theirs.values)], np.uint8)
    return index[numbers], merged


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def merge(classes: Classes, other: Classes) -> Classes:
    """Return the classes of both: the first's as they are, and behind them those of the other that it lacks, by value.

    A name that is taken gets its value behind it.
    """
    values, names, colours = list(classes.values), list(classes.names), list(classes.colours)
    for value, name, colour in zip(other.values, other.names, other.colours, strict=True):
        if value not in values:
            values.append(value)
            names.append(name if name not in names else f"{name} ({value})")
            colours.append(colour)
    return Classes(tuple(values), tuple(names), tuple(colours))
