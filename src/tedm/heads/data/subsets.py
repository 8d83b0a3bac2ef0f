"""The training images of a study: nested subsets, group by group.

"Trained on n images" is the first n images of one permutation, so that more labels always means the same labels and some more.
Groups (patients, volumes) are permuted and their images follow one another: a small subset comes from few patients, as it would
when somebody starts to annotate. The permutation is an order by SHA-256, which no version of any library will ever change.

Where an image is a slice, n images may be one patient's. "Trained on n groups" is all the images of the first n groups of the
same permutation, and nested as well.

On request the order is that of the list itself: its first n images, as the code published with arXiv:2311.07421 takes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from itertools import zip_longest
from typing import Literal, get_args

from tedm.errors import TedmError
from tedm.text import listed

NCounts = Literal["images", "groups"]
Order = Literal["seed", "manifest"]
# What a training size is a number of, as people are told.
N_COUNTS: dict[NCounts, str] = {"images": "images", "groups": "groups (patients)"}


def first_images(names: Sequence[str], groups: Sequence[str], n: int | None, seed: int, *, order: Order = "seed") -> list[str]:
    """Choose the training subset of size `n` for one seed.

    Subsets are nested: a larger n gives the same images and some more after them. They depend on the set of (name, group) and
    the seed alone, not on the order of arrival, unless that is asked for. Adding or removing images leaves the order of the
    others as it was.

    Parameters
    ----------
    names : sequence of str
        The images to choose from, each once.
    groups : sequence of str
        Their groups; an image with the empty string is a group of its own.
    n : int or None
        Size of the subset, 1 <= n <= len(names); None takes all, in that order.
    seed : int
        Chooses the permutation, of the groups and of the images inside each group: sorted names are
        often neighbouring slices, and the first ones often empty.
    order : {"seed", "manifest"}
        Whether names are in the order of the permutation, or in that of `names` whatever the seed.

    Returns
    -------
    list of str
        The first n names in that order.

    Raises
    ------
    TedmError
        If n is below one or above the number of images, a name comes twice, or there is no such order.

    Examples
    --------
    >>> first_images(["a1", "a2", "b1"], ["a", "a", "b"], 2, seed=0)
    ['a2', 'a1']
    >>> first_images(["a1", "a2", "b1"], ["a", "a", "b"], 2, seed=0, order="manifest")
    ['a1', 'a2']
    """
    if order not in get_args(Order):
        raise TedmError(f"there is no --order {order!r}; choose one of {listed(get_args(Order))}")
    if len(names) != len(groups):
        raise TedmError(f"each image needs one group: got {len(names)} names and {len(groups)} groups")
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise TedmError(f"image names must be unique to draw training subsets; more than once: {', '.join(twice[:20])}")
    if n is not None and n < 1:
        raise TedmError(f"cannot train on {n} images: ask for at least 1")
    if n is not None and n > len(names):
        raise TedmError(f"cannot train on {n} images: there are only {len(names)} to choose from; ask for at most {len(names)}")
    if order == "manifest":
        return list(names[:n])

    def place(image: tuple[str, str]) -> tuple[bytes, str, bytes]:
        name, group = image
        group_place = _digest("group", seed, group) if group else _digest("alone", seed, name)
        return group_place, group, _digest("name", seed, name)

    return [name for name, _ in sorted(zip(names, groups, strict=True), key=place)][:n]


def first_groups(
    names: Sequence[str], groups: Sequence[str], n: int, seed: int, *, images: int | None = None, order: Order = "seed"
) -> list[str]:
    """Choose the images of the first `n` groups of the permutation by `seed`, or of the list.

    Parameters
    ----------
    names, groups, seed, order
        See `first_images`, whose order it is: groups come as their first images do. An image without a group is a group of its
        own.
    n : int
        Number of groups, 1 <= n <= number of groups.
    images : int or None
        Take so many images of these groups only: one of each group in turn, so that all groups are seen as soon as can be.
        None takes all.

    Returns
    -------
    list of str
        Names in that order, group by group; with `images`, in turn.

    Raises
    ------
    TedmError
        As `first_images` does; if no image has a group, or n is below one or above the number of groups.

    Examples
    --------
    >>> first_groups(["a1", "a2", "b1", "c1"], ["a", "a", "b", "c"], 2, seed=0)
    ['c1', 'a2', 'a1']
    >>> first_groups(["a1", "a2", "b1", "c1"], ["a", "a", "b", "c"], 2, seed=0, images=2)
    ['c1', 'a2']
    """
    ordered = first_images(names, groups, None, seed, order=order)
    if not any(groups):
        raise TedmError(
            f"groups cannot be counted: none of these {len(names)} images has one; give patients in the manifest's column "
            "group or patient (tedm-label adds them to a store), or ask for --images"
        )
    members: dict[tuple[str, str], list[str]] = {}
    group_of = dict(zip(names, groups, strict=True))
    for name in ordered:
        group = group_of[name]
        members.setdefault((group, "" if group else name), []).append(name)
    if n < 1:
        raise TedmError(f"cannot train on {n} groups: ask for at least 1")
    if n > len(members):
        raise TedmError(
            f"cannot train on {n} groups: there are only {len(members)} to choose from; ask for at most {len(members)}"
        )
    chosen = list(members.values())[:n]
    if images is None:
        return [name for group in chosen for name in group]
    there = sum(map(len, chosen))
    if not 1 <= images <= there:
        raise TedmError(f"cannot train on {images} images of {n} groups: these have {there}; ask for 1 to {there}")
    return [name for turn in zip_longest(*chosen) for name in turn if name is not None][:images]


def _digest(kind: str, seed: int, text: str) -> bytes:
    return sha256(f"{kind}\0{seed}\0{text}".encode(errors="surrogateescape")).digest()
