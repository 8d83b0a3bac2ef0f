"""Views of training images: the same image seen again, with other noise, other intensities, in another place.

A store keeps the activations of views in a store of their own inside it, `STORE/views`, which has one image for each view.
No masks lie there: a view's mask is made from its image's when it is read, so that masks can be replaced. Views are for fits
alone: no split, subset, score or count of labels knows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from tedm.errors import TedmError
from tedm.jsons import JsonValue

ViewChanges = Literal["none", "intensity", "full"]
VIEWS = "views"  # the folder in a store's, and what is said of them in the provenance of the views' own store
SAME = 1e-3  # two computations of one view's intensities may differ by so much of the range from black to white


@dataclass(frozen=True)
class ViewKind:
    """How views are made of images.

    Parameters
    ----------
    changes : {"none", "intensity", "full"}
        What is done to an image besides the noise: see `tedm.augmentation.Changes.of_view`.
    seed : int
        Of the changes.
    """

    changes: ViewChanges
    seed: int

    def record(self) -> dict[str, JsonValue]:
        """Return what goes into the provenance of the views' own store."""
        return {VIEWS: {"changes": self.changes, "seed": self.seed}}

    @classmethod
    def recorded(cls, provenance: Mapping[str, JsonValue], where: object) -> ViewKind:
        """Read what `record` gave; a `TedmError` if that is not there, or not known here."""
        try:
            return msgspec.convert(provenance.get(VIEWS), cls)
        except msgspec.ValidationError as error:
            raise TedmError(
                f"the views in {where} do not say how they were made ({error}); delete that folder and run tedm-extract "
                "--views again, or install a newer tedm"
            ) from error


def view_name(name: str, number: int) -> str:
    """Return the name of an image's view, the first being number 1.

    Examples
    --------
    >>> view_name("scan 1", 2)
    'scan 1@2'
    """
    return f"{name}@{number}"


def image_of_view(view: str) -> str:
    """Return the name of the image that a view shows.

    Examples
    --------
    >>> image_of_view("a@b@2")
    'a@b'
    """
    return view.rpartition("@")[0]
