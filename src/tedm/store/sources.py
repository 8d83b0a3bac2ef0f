"""The files that a store has read, as they were then: sizes and times of modification.

They tell without opening a file that it is the one that was read. They never tell that it is another one: what an image is, is
its content, and the store has that itself, in its arrays `image` and `mask`. A record that is absent or out of date therefore
costs a comparison and nothing else, so that several processes may write records of the same store at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self
from zlib import crc32

from tedm.store.arrays import Arrays

COLUMN = "source"
# Of an image's name, its files, its mask and how that is read: whether they are as a store has read them.
AsRead = Callable[[str, Sequence[Path], Path | None, int], bool]


class Stamp(NamedTuple):
    """A file as a directory shows it.

    Parameters
    ----------
    nbytes : int
        Its size; 0 where nothing is known, or there is no file.
    modified : int
        Its time of modification, in nanoseconds.
    """

    nbytes: int = 0
    modified: int = 0

    @classmethod
    def of(cls, *paths: Path) -> Self:
        """Return the stamp of some files together, and of all files in a folder; one of 0 bytes if one of them is not there."""
        nbytes = modified = 0
        try:
            for path in paths:
                for file in files_in(path):
                    found = file.stat()
                    nbytes, modified = nbytes + found.st_size, max(modified, found.st_mtime_ns)
        except OSError:
            return cls()
        return cls(nbytes, modified)


def files_in(path: Path) -> list[Path]:
    """Return what a path of an image stands for: itself, or all that is in a folder, by name."""
    return sorted(path.iterdir()) if path.is_dir() else [path]


UNKNOWN = Stamp()
# Stands for the image's file while an image is taken anew: until its labels and mask are, they are those of another image.
ANEW = Stamp(-1, 0)


@dataclass(frozen=True)
class Source:
    """The files of an image as they were when they were read.

    Parameters
    ----------
    image, mask : Stamp
    """

    image: Stamp = UNKNOWN
    mask: Stamp = UNKNOWN

    @classmethod
    def of(cls, images: Sequence[Path], mask: Path | None, reading: int = 0) -> Self:
        """Return what the files of an image, one or several that are its channels, and of its mask are like now.

        Parameters
        ----------
        images : sequence of Path
        mask : Path or None
        reading : int
            How the mask's values are read (`reading_of`): the same file read in another way is another mask.
        """
        of_mask = UNKNOWN if mask is None else Stamp.of(mask)
        return cls(Stamp.of(*images), of_mask if of_mask == UNKNOWN else Stamp(of_mask.nbytes, of_mask.modified ^ reading))


def reading_of(classes: Sequence[int] | None, ignore: int | None, threshold: int | None) -> int:
    """Return a number for how masks are read: 0 where nothing is asked, so that stamps are those of the files alone.

    Examples
    --------
    >>> reading_of(None, None, None), reading_of(None, None, 100) == reading_of(None, None, 101)
    (0, False)
    """
    asked = (None if classes is None else tuple(classes), ignore, threshold)
    return 0 if asked == (None, None, None) else crc32(repr(asked).encode())


UNREAD = Source()


def read_sources(arrays: Arrays, count: int) -> list[Source]:
    """Return the record of each of the first images; one in which nothing is known where the store has none."""
    known = min(count, arrays.length(COLUMN)) if COLUMN in arrays.names else 0
    rows = arrays.read_column(COLUMN, known).tolist() if known else []
    found = [Source(Stamp(*row[:2]), Stamp(*row[2:])) for row in rows]
    return found + [UNREAD] * (count - len(found))


def write_sources(arrays: Arrays, count: int, sources: Mapping[int, Source]) -> None:
    """Write records of images by their positions; those of others, of `count` in all, stay."""
    there = read_sources(arrays, count)
    if arrays.length(COLUMN) < count:
        arrays.enlarge(COLUMN, count)
    arrays.put_column(COLUMN, 0, [as_row(sources.get(position, record)) for position, record in enumerate(there)])


def as_row(source: Source) -> list[int]:
    """Return a record as it stands in the column."""
    return [*source.image, *source.mask]
