"""The Zarr arrays of a store, one file an image: writing, reading and removing files, and what is said of damaged ones."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.jsons import JsonObject
from tedm.store.checks import require_arrays
from tedm.store.features import Storage
from tedm.store.place import Location, Place, cause, is_remote, write_again
from tedm.store.settings import FeatureSettings
from tedm.store.skeleton import LABELS_PER_CHUNK, ROOT, shard_key
from tedm.text import gigabytes, shown

if TYPE_CHECKING:
    import zarr

    from tedm.chunks.encoding import Parts, Shard

# Zstandard makes at most 128 kB of 4 bytes.
MOST_RATIO, SMALL = 2**15, 2**26


class DamagedError(TedmError):
    """A file of one image that cannot be read as what it should be.

    Parameters
    ----------
    text : str
        The whole message.
    image, array, cause : str
        Whose file it is, and what is wrong with it.
    """

    def __init__(self, text: str, image: str, array: str, cause: str) -> None:
        super().__init__(text)
        self.image, self.array, self.cause = image, array, cause

    def __reduce__(self) -> tuple[type[DamagedError], tuple[str, str, str, str]]:
        """Tell pickle all four arguments, so that the error reaches those who asked a worker."""
        return type(self), (str(self), self.image, self.array, self.cause)


class Arrays:
    """The arrays of an open store.

    Parameters
    ----------
    where : Place
        Where the store lies.
    group : zarr.Group
        The same, opened.
    names : sequence of str
        Names of the arrays.
    optional : sequence of str
        Arrays that stores of before do not have.

    Raises
    ------
    TedmError
        If the metadata of an array are gone or unreadable.
    """

    def __init__(self, where: Place, group: zarr.Group, names: Sequence[str], optional: Sequence[str] = ()) -> None:
        self._place = where
        there = [*names, *(name for name in optional if where.read(f"{name}/{ROOT}") is not None)]
        self._arrays = {name: _writable(group, name, where.address) for name in there}
        self._shards: dict[str, Shard | None] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(self._arrays)

    @property
    def address(self) -> Location:
        """Where the store lies, for messages."""
        return self._place.address

    def documents(self) -> dict[str, JsonObject]:
        """Return the metadata of each array as JSON values."""
        return {name: json.loads(_document(array)) for name, array in self._arrays.items()}

    def rooms(self) -> dict[str, int]:
        """Return for how many images each array has room."""
        return {name: int(array.shape[0]) for name, array in self._arrays.items()}

    def key(self, array: str, index: int) -> str:
        """Return the file in which an array keeps an image, or a column a chunk of labels."""
        return shard_key(array, index, self._arrays[array].ndim)

    def files_of_columns(self, columns: Sequence[str], count: int) -> set[str]:
        """Return the files in which columns that are there keep the labels of so many images."""
        chunks = range(-(-count // LABELS_PER_CHUNK))
        return {self.key(column, chunk) for column in columns if column in self._arrays for chunk in chunks}

    def has(self, array: str, indices: Sequence[int]) -> bool:
        """Whether an array has a file that is not empty for any of these images."""
        sizes = self._place.sizes(array)
        return any(sizes.get(self.key(array, index)) for index in indices)

    def length(self, array: str) -> int:
        """Return for how many images an array has room."""
        return int(self._arrays[array].shape[0])

    def has_from(self, array: str, first: int) -> bool:
        """Whether an array has a file that is not empty for an image from this position on."""
        places = ((key.removeprefix(f"{array}/c.").partition(".")[0], size) for key, size in self._place.sizes(array).items())
        return any(size and place.isdecimal() and int(place) >= first for place, size in places)

    def enlarge(self, array: str, images: int) -> None:
        """Make room for so many images in all."""
        self._require_own(array)
        self._arrays[array].resize((images, *self._arrays[array].shape[1:]))

    def put(self, array: str, index: int | slice, values: NDArray[Any]) -> None:
        """Write one image's file, or those of several; begin anew where another process has removed a partial file."""
        self._require_own(array)

        def put() -> None:
            self._arrays[array][index] = values

        write_again(put)

    def put_whole(self, array: str, index: int, values: Parts) -> None:
        """Write one image's file, whose chunks are asked for one after the other; else as `put`."""
        from tedm.chunks.encoding import Shard  # with Zarr, which heads alone do not need

        stored = self._arrays[array]
        if array not in self._shards:
            self._shards[array] = Shard.of(stored)
        shard = self._shards[array]
        if shard is None:
            return self.put(array, index, values[(slice(None),) * len(values.shape)])
        self._require_own(array)
        pieces = shard.packed(values)
        write_again(lambda: self._place.put(self.key(array, index), pieces))

    def put_column(self, column: str, start: int, values: Sequence[object]) -> None:
        """Write labels of images that lie next to each other, from `start` on."""
        self._require_own(column)
        array = self._arrays[column]
        array[start : start + len(values)] = np.array(values, dtype=array.dtype)

    def delete(self, array: str, index: int) -> None:
        """Remove one image's file; nothing happens if there is none."""
        self._require_own(array)
        self._place.delete(self.key(array, index))

    def read(self, array: str, index: int, timesteps: Sequence[int] | None = None, *, image: str) -> NDArray[Any] | None:
        """Read what an array holds of an image.

        Parameters
        ----------
        array : str
        index : int
            Position of the image.
        timesteps : sequence of int or None
            Positions on the array's second axis; None reads all.
        image : str
            The image's name, for messages.

        Returns
        -------
        array or None
            None if there is no file.

        Raises
        ------
        DamagedError
            If the file cannot be decoded.
        TedmError
            If an object store refuses to answer.
        """
        stored = self._arrays[array]
        try:
            key = self.key(array, index)
            if not _awaited(stored.store.exists(key)):
                return None
            self._require_bytes(array, key)
            if timesteps is None or list(timesteps) == list(range(stored.shape[1])):
                return np.asarray(stored[index])
            return np.stack([np.asarray(stored[index, timestep]) for timestep in timesteps])
        except MemoryError:
            raise
        except Exception as error:  # codecs raise this and that on bytes that are not theirs
            if is_remote(error):
                raise TedmError(f"image {image}: array {array} of {self.address} cannot be read: {cause(error)}") from error
            raise self.damaged(array, image, cause(error)) from error

    def read_column(self, column: str, count: int | None = None) -> NDArray[Any]:
        """Read labels of the first images; Zarr alone would read a file that is gone as empty labels.

        Parameters
        ----------
        column : str
        count : int or None
            None reads all up to the first file that is not there.

        Raises
        ------
        TedmError
            If a file of the column is gone or unreadable.
        """
        array = self._arrays[column]
        room = int(array.shape[0])
        if room < (count or 0):
            raise self.lost(column)
        chunks = range(-(-(room if count is None else count) // LABELS_PER_CHUNK))
        parts: list[NDArray[Any]] = []
        for chunk in chunks:
            if not _awaited(array.store.exists(self.key(column, chunk))):
                if count is None:
                    break  # an array may have more room than there are entries, by a lot if it is not to be believed
                raise self.lost(column)
            start = chunk * LABELS_PER_CHUNK
            try:
                parts.append(np.asarray(array[start : min(start + LABELS_PER_CHUNK, room if count is None else count)]))
            except Exception as error:  # codecs raise this and that on bytes that are not theirs
                if isinstance(error, OSError) or is_remote(error):
                    raise
                raise self.lost(column) from error
        return np.concatenate(parts) if parts else np.asarray(array[:0])

    def _require_own(self, array: str) -> None:
        """Refuse to write into a folder that is elsewhere: a store that somebody made could lead anywhere."""
        address = self._place.address
        if isinstance(address, Path) and (address / array).is_symlink():
            raise TedmError(f"{address / array} is a link, and nothing is written through it; put the folder itself there")

    def _require_bytes(self, array: str, key: str) -> None:
        """Refuse a file that is too small for what its array would make of it: nothing compresses that well."""
        stored = self._arrays[array]
        room = math.prod(stored.shape[1:]) * stored.dtype.itemsize
        if room > SMALL and room > MOST_RATIO * (size := _awaited(stored.store.getsize(key))):
            raise ValueError(f"its file has {size} bytes, too few for the {gigabytes(room)} of an entry")

    def damaged(self, array: str, image: str, what: str) -> DamagedError:
        """Return the refusal of an image's file, with the way to mend it."""
        mend = (
            f"Run tedm-label {self.address} MANIFEST with a mask for this image: it is written anew."
            if array == "mask"
            else f"Run tedm-verify {self.address} --repair and then the same tedm-extract again: it recomputes that image."
        )
        text = f"image {image}: array {array} of the store {self.address} is damaged ({what})\n{mend}"
        return DamagedError(text, image, array, what)

    def lost(self, column: str) -> TedmError:
        """Return the refusal of a store whose labels are gone."""
        return TedmError(
            f"the store {self.address} is damaged: the labels {column} of its images are gone or unreadable\n"
            f"Bring the folder {column} back from a copy, or extract to a new path."
        )


def coordinates(where: Place, group: zarr.Group, settings: FeatureSettings, storage: Storage) -> tuple[int, ...] | None:
    """Return the timesteps as other readers of Zarr see them; None if their array is damaged."""
    try:
        array = Arrays(where, group, ["timestep"])
        require_arrays(array.documents(), settings, storage, where.address)
        return tuple(int(value) for value in array.read_column("timestep"))
    except TedmError:
        return None


def _awaited(coroutine: Any) -> Any:
    """Wait for what Zarr's stores answer."""
    from zarr.core.sync import sync  # the whole of Zarr, which those who only import a head do not need

    return sync(coroutine)


def _writable(group: zarr.Group, name: str, address: Location) -> zarr.Array[Any]:
    """Return an array that writes chunks of nothing but the fill value too: an absent one would read as missing."""
    import zarr

    from tedm.chunks.decoding import bounded

    try:
        array: Any = group[name]
        if not isinstance(array, zarr.Array):
            raise TypeError("it is a group")
    except Exception as error:  # Zarr raises this and that on documents that are not its own
        if isinstance(error, OSError) or is_remote(error):
            raise
        raise TedmError(
            f"the store {address} is damaged: the metadata of its array {name} are gone or unreadable "
            f"({shown(cause(error))})\nBring {name}/{ROOT} back from a copy, or extract to a new path."
        ) from error
    return bounded(array.with_config({"write_empty_chunks": True}))


def _document(array: zarr.Array[Any]) -> bytes:
    """Return an array's metadata as they are written."""
    from zarr.core.buffer import default_buffer_prototype

    return array.metadata.to_buffer_dict(default_buffer_prototype())[ROOT].to_bytes()


def index_of_image(key: str, arrays: Sequence[str]) -> int | None:
    """Return which image a file of one of these arrays belongs to, a partial one too; None for another file."""
    found = _OF_IMAGE.match(key)
    return int(found["index"]) if found and found["array"] in arrays else None


# zarr puts a unique word in place of a key's last number: `level0/c.7.0.0.0.0.5f0c....partial`.
_OF_IMAGE = re.compile(r"(?P<array>[^/]+)/c\.(?P<index>\d+)\.")
