"""What a CSV or a folder says about images, before any of them is opened.

Both say it in the same rows. A name defaults to the file's stem, a group to the patient and then to the name, a domain to the
folder's name. Without a `split` column, images with a mask are for training: that is what somebody who hands over masks without
a word wants; an empty cell in a `split` column is no split.
"""

from __future__ import annotations

import csv
import os
import re
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tedm.errors import TedmError
from tedm.extract.images.read import is_volume, kinds_read, stem_of, suffix_of
from tedm.extract.reading import broken_link
from tedm.extract.volumes import nrrd
from tedm.foreign import require_plain
from tedm.names import problem_of, quoted
from tedm.text import from_entry

COLUMNS = ("name", "image", "mask", "brainmask", "split", "group", "patient", "domain")
SPLITS = ("train", "val", "test", "")
# Pictures and volumes that somebody may hope to have read; leaving them out in silence would be a surprise.
OTHER_PICTURES = frozenset(
    [
        ".avif",
        ".bmp",
        ".gif",
        ".gz",
        ".hdr",
        ".heic",
        ".img",
        ".jp2",
        ".jxl",
        ".mgh",
        ".mgz",
        ".mha",
        ".mhd",
        ".mnc",
        ".npy",
        ".pgm",
        ".ppm",
        ".webp",
    ]
)

NOT_READ = f"files of this kind are not read; convert it to one of {', '.join(kinds_read())}"

ENDLESS = "no file, but a pipe or a device"
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")

UNSAID = frozenset({"split", "group", "domain"})
OF_IMAGES = ("masks", "brainmasks")  # folders beside images/
MARKS = ("mask", "masks", "seg", "segmentation", "label", "labels", "gt", "annotation")  # what tools add to a mask's name


@dataclass(frozen=True)
class Row:
    """What is said about one image; `where` is the place that says it. See `tedm.extract.images.manifest.ManifestEntry`.

    `unsaid` names those of "split", "group" and "domain" that are defaults, since nothing was said of them. `more` are files of
    further channels, `brain` is the file of a brain mask.
    """

    where: str
    name: str
    image: Path
    mask: Path | None
    split: str
    group: str
    patient: str
    domain: str
    unsaid: frozenset[str] = frozenset()
    more: tuple[Path, ...] = ()
    brain: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the image's channels, in their order."""
        return (self.image, *self.more)

    @cached_property
    def is_volume(self) -> bool:
        """Whether the image is a volume."""
        return is_volume(self.image)


def rows_of_csv(path: Path, channels: Sequence[str] = ()) -> tuple[list[Row], list[str]]:
    """Read a CSV; its rows in their order, and what is wrong with lines that are left out.

    Parameters
    ----------
    path : Path
    channels : sequence of str
        The columns that are channels of an image; empty takes the column `image`.
    """
    lines = _lines_of_csv(path)
    columns = [column.lower() for column in lines[0][1]]
    wanted = [channel.lower() for channel in channels] or ["image"]
    if twice := sorted({column for column in wanted if wanted.count(column) > 1}):
        raise TedmError(f"{path}: the channels name column {twice[0]} twice; large and small letters are the same")
    if reserved := [column for column in wanted if column in COLUMNS and column != "image"]:
        raise TedmError(f"{path}: column {reserved[0]} is no channel; it says what its name says of an image")
    if absent := [column for column in wanted if column not in columns]:
        hint = "; separate columns by commas" if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]) else ""
        if not channels and len(columns) > 1:
            hint = "; if images have a column for each modality, name these with --channels"
        raise TedmError(f"{path}: no column `{absent[0]}` among {', '.join(columns)}{hint}")
    known = [column for column in columns if column in (*COLUMNS, *wanted)]
    if twice := sorted({column for column in known if known.count(column) > 1}):
        raise TedmError(f"{path}: column {', '.join(twice)} is there twice")
    folder, rows, problems = path.parent, [], []
    on_disk = _Spellings()
    for number, cells in lines[1:]:
        where = f"line {number}"
        if len(cells) != len(columns):
            problems.append(f"{where}: {len(cells)} cells for {len(columns)} columns; put values with commas between quotes")
            continue
        row = dict(zip(columns, cells, strict=True))
        if empty := [column for column in wanted if not row[column]]:
            problems.append(f"{where}: no {empty[0]}")
            continue
        if any("\0" in cell for cell in cells):
            problems.append(f"{where}: a cell holds a NUL character; write it again as text")
            continue
        named = [row[column] for column in (*wanted, "mask", "brainmask") if row.get(column)]
        if odd := [problem for cell in named if (problem := _place_problem(folder, cell))]:
            problems.append(f"{where}: {odd[0]}")
            continue
        image, *more = (folder / row[column] for column in wanted)
        mask, brain = (folder / row[column] if row.get(column) else None for column in ("mask", "brainmask"))
        patient = composed(row.get("patient", ""))
        # the file of one modality is often called after the modality
        name = row.get("name") or (patient or image.parent.name if channels else stem_of(image))
        split = row.get("split", "train" if mask else "")
        domain = row.get("domain") or folder.resolve().name
        group = composed(row.get("group", "")) or patient
        said = {"split": "split" in row, "group": bool(group), "domain": bool(row.get("domain"))}
        unsaid = frozenset(column for column, is_said in said.items() if not is_said)
        image, *more = map(on_disk.of, (image, *more))
        mask, brain = (on_disk.of(file) if file else None for file in (mask, brain))
        rows.append(Row(where, name, image, mask, split, group or name, patient, domain, unsaid, tuple(more), brain))
    return rows, problems


def columns_of_csv(path: Path) -> list[str]:
    """Return the columns of a CSV, in lower case."""
    return [column.lower() for column in _lines_of_csv(path)[0][1]]


def _lines_of_csv(path: Path) -> list[tuple[int, list[str]]]:
    try:
        require_plain(path)
        with path.open(newline="", encoding="utf-8-sig") as file:  # -sig: spreadsheets begin their UTF-8 with a byte order mark
            reader = csv.reader(file)
            read = ((reader.line_num, [from_entry(cell.strip()) for cell in cells]) for cells in reader)
            lines = [(number, cells) for number, cells in read if any(cells)]
    except (ValueError, csv.Error) as error:
        raise TedmError(f"{path}: no CSV in UTF-8 ({error}); save it as CSV in UTF-8, with commas") from None
    except OSError as error:
        raise TedmError(f"{path}: cannot be read ({error.strerror})") from None
    if lines and "".join(lines[0][1]).startswith("sep="):  # spreadsheets write it, and show it to nobody
        if lines[0][1] != ["sep=", ""]:
            raise TedmError(f"{path}: begins with `{lines[0][1][0]}`; separate columns by commas, and delete that line")
        del lines[0]
    if not lines:
        raise TedmError(f"{path}: an empty file; expected a CSV with a column `image`")
    return lines


class _Spellings:
    """Files that are there under another spelling: macOS writes an umlaut as two characters, a spreadsheet as one."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, Path]] = {}

    def of(self, path: Path) -> Path:
        """Return the file that is meant, if it is there."""
        if path.name.isascii() or os.path.lexists(path):
            return path
        folder = path.parent
        if folder not in self._folders:
            there = sorted(folder.iterdir()) if folder.is_dir() else []
            self._folders[folder] = {composed(each.name): each for each in there}
        return self._folders[folder].get(composed(path.name), path)


def composed(name: str) -> str:
    """Return the one spelling in which two spellings of a name are equal: letters with their accents."""
    return unicodedata.normalize("NFC", name)


def _place_problem(folder: Path, cell: str) -> str | None:
    """Return why what a cell names can be no file, with what to do; None if it may be one."""
    path = folder / cell
    if not ends(path):
        return f"{path} is {ENDLESS}; name a file"
    if URL.match(cell):
        return f"{cell} is an address, and files are read from disks; fetch it, and name the file"
    if "\\" in cell and not os.path.lexists(path):
        return f"{cell}: no such file; write / between folders, not \\"
    return None


def ends(path: Path) -> bool:
    """Tell whether a path is none of a pipe, a device or a socket, which may never end; one that is not there is none."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except OSError:
        return True
    return kind in (stat.S_IFREG, stat.S_IFDIR)


def rows_of_file(path: Path) -> tuple[list[Row], list[str]]:
    """Return the one row of an image that is named by itself: a file, or the folder of a DICOM series."""
    name = stem_of(path)
    return [Row(str(path), name, path, None, "", name, "", path.resolve().parent.name, UNSAID)], []


def rows_of_folder(folder: Path) -> tuple[list[Row], list[str]]:
    """List a folder with `images/` and perhaps `masks/`, or of images; sorted, and what is wrong with files left out.

    A folder in it that holds a DICOM series is an image.
    """
    images = folder / "images" if (folder / "images").is_dir() else folder
    links = ("images", *OF_IMAGES, "manifest.csv")
    problems = [f"{name}: {problem}" for name in links if (problem := broken_link(folder / name))]
    masks, brains = (_by_stem(folder, name, problems) if images != folder else {} for name in OF_IMAGES)
    rows = []
    for path, name in files_of(images, problems):
        where, stem = str(path.relative_to(folder)), composed(name)
        mask, brain = masks.get(stem), brains.get(stem)
        split = "train" if mask else ""
        rows.append(Row(where, name, path, mask, split, name, "", folder.resolve().name, UNSAID, brain=brain))
    stems = {composed(row.name) for row in rows}
    problems += [
        f"{path.relative_to(folder)}: no image of this stem in images/; a mask is paired by its stem"
        + _rename(stem, path, stems)
        for stem, path in (*masks.items(), *brains.items())
        if stem not in stems
    ]
    return rows, problems


def _by_stem(folder: Path, name: str, problems: list[str]) -> dict[str, Path]:
    """Return the masks in a folder of a folder by their stems, each composed; none if it is not there."""
    found: dict[str, Path] = {}
    for path, stem in files_of(folder / name, problems) if (folder / name).is_dir() else ():
        if (other := found.setdefault(composed(stem), path)) != path:
            problems.append(f"{path.relative_to(folder)}: the same stem as {other.name}; a mask is paired by its stem")
    return found


def files_of(folder: Path, problems: list[str]) -> list[tuple[Path, str]]:
    """Return the images of a folder, sorted, with their stems; what is not read is a problem."""
    return [(path, stem_of(path)) for path in _pictures(folder, problems)]


def _rename(stem: str, mask: Path, stems: set[str]) -> str:
    """Say which image a mask may be meant for that is called otherwise."""
    for mark in MARKS:
        plain = stem
        for joint in "_-. ":
            plain = plain.removesuffix(joint + mark).removeprefix(mark + joint)
        if plain != stem and plain in stems:
            return f": rename it to {plain}{suffix_of(mask)} if it is the mask of {plain}"
    alike = next((other for other in sorted(stems) if other.casefold() == stem.casefold()), None)
    return f": rename it to {alike}{suffix_of(mask)} if it is the mask of {alike}, letters large and small" if alike else ""


def _pictures(folder: Path, problems: list[str]) -> Iterator[Path]:
    """Yield files that we read, sorted, links to nothing too; pictures that we do not read are problems.

    Of other files `tedm.extract.images.leftovers` speaks.
    """
    paths = sorted(folder.iterdir())
    data = data_of_headers(paths)
    for path in paths:
        if path.name.startswith(".") or path in data:
            continue
        if not ends(path):
            if suffix_of(path):
                problems.append(f"{path.name}: {ENDLESS}; take it out")
            continue
        if (suffix_of(path) and not path.is_dir()) or is_volume(path):
            yield path
        elif path.is_dir():
            continue
        elif path.suffix.lower() in OTHER_PICTURES:
            problems.append(f"{path.name}: {NOT_READ}")


def data_of_headers(paths: Iterable[Path]) -> set[Path]:
    """Return the files in which headers among some files (.nhdr) keep their voxels; they are no images of their own."""
    headers = [path for path in paths if path.name.lower().endswith(".nhdr")]
    return {data for path in headers if (data := nrrd.data_of(path)) is not None}


def problems_between(rows: Sequence[Row]) -> list[str]:
    """Return what is wrong with names and splits, one line each."""
    problems = []
    by_name: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_name[composed(row.name)].append(row)
        if row.split not in SPLITS:
            problems.append(f"{row.where}: split {row.split!r}; expected train, val, test or nothing")
        if problem := problem_of(row.name):
            problems.append(f"{row.where}: name {quoted(row.name)} {problem}; write another")
    for name, same in by_name.items():
        if len(same) > 1:
            where = ", ".join(row.where for row in same)
            problems.append(f"{where}: {len(same)} images of the name {name}; give each its own in a column `name`")
    keys: dict[str, Callable[[Row], Sequence[str]]] = {
        "group": lambda row: (row.group,),
        "patient": lambda row: (row.patient,),
        "image": lambda row: tuple(map(str, row.files)),
    }
    told: set[tuple[str, ...]] = set()
    for kind, key in keys.items():
        splits: dict[str, dict[str, str]] = defaultdict(dict)
        for row in rows:
            for value in filter(None, key(row)) if row.split in SPLITS and row.split else ():
                splits[value].setdefault(row.split, row.where)
        for value, places in splits.items():
            if len(places) > 1 and tuple(places.values()) not in told:
                told.add(tuple(places.values()))
                text = " and ".join(f"{split} ({where})" for split, where in places.items())
                problems.append(f"{kind} {value} is in {text}; keep it in one split")
    return problems
