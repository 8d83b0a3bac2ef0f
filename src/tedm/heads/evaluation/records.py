"""One evaluated image and class as one row: the tidy records of which every table and figure is made.

A record says what was scored (method, training size, seed), on what (domain, split, image, group, class), how well, and what
that cost in labels. Written as CSV with every digit, so that a table can be recomputed from the file.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, astuple, dataclass, fields
from math import inf, isnan, nan
from pathlib import Path

from tedm.errors import TedmError, raise_listed
from tedm.files import table_text, write_table
from tedm.foreign import require_plain
from tedm.heads.data.subsets import N_COUNTS, NCounts
from tedm.text import from_entry, listed


@dataclass(frozen=True)
class Record:
    """The scores of one image and class.

    Parameters
    ----------
    method : str
        Name of the method, such as "tedm" or "timestep:1".
    n : int
        Number of training images, or of their groups; see `n_counts`.
    seed : int
        Seed of the training subset and of the head.
    domain, split, image, group : str
        Where the image is from; `image` is its name.
    class_value : int
        Value of the class in the user's masks.
    dice, precision, recall, iou : float
        In [0, 1]; NaN for 0/0.
    labels_used : int
        Every labelled image that was looked at to make the head, those of the val split included.
    resolution : str
        Where the masks were compared: "feature", or "volume" for a whole volume at its own resolution.
    hd95 : float
        In mm; NaN where neither mask shows the class, or nothing says how far pixels are apart.
    nsd : float
        In [0, 1], NaN as `hd95`.
    tolerance : float
        That of `nsd`, in mm; NaN where it was not measured.
    class_name : str
        What people call the class; empty where nothing is said of it.
    n_counts : {"images", "groups"}
        What `n` is a number of: images, or groups (patients).
    """

    method: str
    n: int
    seed: int
    domain: str
    split: str
    image: str
    group: str
    class_value: int
    dice: float
    precision: float
    recall: float
    iou: float
    labels_used: int
    resolution: str
    hd95: float = nan
    nsd: float = nan
    tolerance: float = nan
    class_name: str = ""
    n_counts: NCounts = "images"

    def __post_init__(self) -> None:
        """Take one NaN for all, so that records that lack the same scores are equal."""
        for name in (*PARTS, *MILLIMETRES):
            value = getattr(self, name)
            if value != value:
                object.__setattr__(self, name, nan)


COLUMNS = tuple(field.name for field in fields(Record))
# A table of an earlier version lacks the measures that came after it: these have a default.
REQUIRED = tuple(field.name for field in fields(Record) if field.default is MISSING)
# What is scored once: a head on a class of an image.
SCORED = ("method", "n", "n_counts", "seed", "domain", "split", "image", "class_value", "resolution")
COUNTS, PARTS, MILLIMETRES = ("n", "labels_used"), ("dice", "precision", "recall", "iou", "nsd"), ("hd95", "tolerance")
# Annotations are strings here.
_READERS: dict[str, type[str | int | float]] = {"str": str, "int": int, "float": float, "NCounts": str}


def records_csv(records: Iterable[Record]) -> str:
    """Return records as the text of a CSV, with every digit."""
    return table_text([COLUMNS, *map(astuple, records)])


def write_records(records: Iterable[Record], path: str | os.PathLike[str]) -> None:
    """Write records as CSV, whole or not at all.

    Raises
    ------
    TedmError
        If the file cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_records([], f"{folder}/scores.csv")
    ...     read_records(f"{folder}/scores.csv")
    []
    """
    remedy = "name another file, or make room"
    write_table(Path(path), [COLUMNS, *map(astuple, records)], what="the records to", remedy=remedy)


def read_records(path: str | os.PathLike[str]) -> list[Record]:
    """Read what `write_records` wrote; further columns are left out.

    Raises
    ------
    TedmError
        If the file cannot be read, lacks a column, holds something else than numbers of their range where numbers belong, or
        an image's class twice; all problems at once, with their lines.
    """
    try:
        require_plain(Path(path))
        # -sig: spreadsheets add a byte order mark; surrogateescape: the names of files need not be UTF-8
        with Path(path).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.DictReader(file)
            titles = list(reader.fieldnames or ())
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise TedmError(f"cannot read the records of {path}: {error}") from error
    missing = [column for column in REQUIRED if column not in titles]
    if missing:
        raise TedmError(f"{path} is no table of records: it has no column {listed(missing)}")
    records: list[Record] = []
    problems: list[str] = []
    lines: dict[tuple[object, ...], int] = {}
    for line, row in rows:
        try:
            record = _record(row)
        except ValueError as error:
            problems.append(f"line {line}: {error}")
            continue
        scored = tuple(getattr(record, column) for column in SCORED)
        if (first := lines.setdefault(scored, line)) != line:
            problems.append(f"line {line}: the same image, class and head as line {first}")
        records.append(record)
    raise_listed(f"{path} holds rows that are no records", problems)
    return records


def _record(row: Mapping[str, str | None]) -> Record:
    """Return a row of a table as a record; a `ValueError` says which value is missing or of another type."""
    values: dict[str, str | int | float] = {}
    for field in fields(Record):
        if field.name not in row:
            continue
        text = row[field.name]
        if text is None:  # csv's answer to a row that is too short
            raise ValueError(f"{field.name} is missing")
        try:
            values[field.name] = _READERS[str(field.type)](from_entry(text))
        except ValueError:
            raise ValueError(f"{field.name} should be {field.type}, got {text[:40]!r}") from None
    for name in PARTS:
        part = values.get(name)
        if isinstance(part, float) and not isnan(part) and not 0 <= part <= 1:
            raise ValueError(f"{name} should be from 0 to 1, or nan, got {part}")
    for name in MILLIMETRES:
        distance = values.get(name)
        if isinstance(distance, float) and not isnan(distance) and not 0 <= distance < inf:
            raise ValueError(f"{name} should be a number of mm of at least 0, or nan, got {distance}")
    if values.get("n_counts", "images") not in N_COUNTS:
        raise ValueError(f"n_counts should be {' or '.join(N_COUNTS)}, got {values['n_counts']!r:.40}")
    if any(isinstance(count := values[name], int) and count < 0 for name in COUNTS):
        raise ValueError(f"{listed(COUNTS)} should not be below 0")
    return Record(**values)  # type: ignore[arg-type]  # each was read as the type of its field
