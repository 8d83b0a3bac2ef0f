"""The formats of a store: what its arrays are called, and what is there for other readers.

A format is a number in the store's own metadata. A store keeps the one that it was made with; new stores have the newest.
"""

from __future__ import annotations

from dataclasses import dataclass

from tedm.jsons import JsonValue

ROOT = "zarr.json"


@dataclass(frozen=True)
class StoreFormat:
    """A format of a store.

    Parameters
    ----------
    number : int
        As it stands in the metadata.
    names : str
        The array of the images' names.
    pictures : str
        The array of the images themselves, as the backbone's squares.
    labelled : bool
        Whether every dimension has its labels in an array, and the root document the metadata of all arrays: then xarray opens
        the store without options and selects by names.
    """

    number: int
    names: str
    pictures: str
    labelled: bool

    def called(self, column: str) -> str:
        """Return the array of a column of `tedm.store.skeleton.LABEL_ARRAYS`."""
        return self.names if column == "name" else column


FIRST = StoreFormat(1, names="name", pictures="image", labelled=False)
# xarray takes the array that has the name of a dimension for the labels along it.
NEWEST = StoreFormat(2, names="image", pictures="picture", labelled=True)
FORMATS = (FIRST, NEWEST)


def format_of(number: JsonValue) -> StoreFormat | None:
    """Return the format of a number; None if this version does not know it."""
    return next((each for each in FORMATS if each.number == number), None)
