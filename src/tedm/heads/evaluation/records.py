"""One evaluated image and class as one row: the tidy records of which every table and figure is made.

A record says what was scored (method, training size, seed), on what (domain, split, image, group, class), how well, and what
that cost in labels. Written as CSV with every digit, so that a table can be recomputed from the file.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from tedm.errors import TedmError, raise_listed


@dataclass(frozen=True)
class Record:
    """The scores of one image and class.

    Parameters
    ----------
    method : str
        Name of the method, such as "tedm" or "timestep:1".
    n : int
        Number of training images.
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
        Where the masks were compared, such as "feature".
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


COLUMNS = tuple(field.name for field in fields(Record))
_READERS: dict[str, Callable[[str], Any]] = {"str": str, "int": int, "float": float}  # annotations are strings in this module


def records_csv(records: Iterable[Record]) -> str:
    """Records as the text of a CSV, with every digit."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(astuple(record) for record in records)
    return out.getvalue()


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
    path = Path(path)
    try:
        aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            aside.write_text(records_csv(records), encoding="utf-8", newline="")
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise TedmError(f"cannot write the records to {path}: {error.strerror or error}") from error


def read_records(path: str | os.PathLike[str]) -> list[Record]:
    """Read what `write_records` wrote; further columns are left out.

    Raises
    ------
    TedmError
        If the file cannot be read, lacks a column, or holds something else than numbers where numbers belong; all problems at
        once, with their lines.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:  # -sig: spreadsheets add a byte order mark
            reader = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise TedmError(f"{path} is no table of records: it has no column {', '.join(missing)}")
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TedmError(f"cannot read the records of {path}: {error}") from error
    records: list[Record] = []
    problems: list[str] = []
    for line, row in rows:
        try:
            records.append(_record(row))
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    raise_listed(f"{path} holds rows that are no records", problems)
    return records


def _record(row: dict[str, str | None]) -> Record:
    values: dict[str, Any] = {}
    for field in fields(Record):
        text = row[field.name]
        if text is None:  # csv's answer to a row that is too short
            raise ValueError(f"{field.name} is missing")
        try:
            values[field.name] = _READERS[str(field.type)](text)
        except ValueError:
            raise ValueError(f"{field.name} should be {field.type}, got {text!r}") from None
    return Record(**values)
