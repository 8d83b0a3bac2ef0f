"""The training images of a study: nested subsets, group by group.

"Trained on n images" is the first n images of one permutation, so that more labels always means the same labels and some more.
Groups (patients, volumes) are permuted and their images follow one another: a small subset comes from few patients, as it would
when somebody starts to annotate. The permutation is an order by SHA-256, which no version of any library will ever change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256

from tedm.errors import TedmError


def first_images(names: Sequence[str], groups: Sequence[str], n: int | None, seed: int) -> list[str]:
    """Choose the training subset of size `n` for one seed.

    Subsets are nested: a larger n gives the same images and some more after them. They depend on the set of (name, group) and
    the seed alone, not on the order of arrival. Adding or removing images leaves the order of the others as it was.

    Parameters
    ----------
    names : sequence of str
        The images to choose from, each once.
    groups : sequence of str
        Their groups; an image with the empty string is a group of its own.
    n : int or None
        Size of the subset, 1 <= n <= len(names); None takes all, in the order of the permutation.
    seed : int
        Chooses the permutation, of the groups and of the images inside each group: sorted names are
        often neighbouring slices, and the first ones often empty.

    Returns
    -------
    list of str
        n names in the order of the permutation.

    Raises
    ------
    TedmError
        If n is below one or above the number of images, or a name comes twice.

    Examples
    --------
    >>> first_images(["a1", "a2", "b1"], ["a", "a", "b"], 2, seed=0)
    ['a2', 'a1']
    """
    if len(names) != len(groups):
        raise TedmError(f"each image needs one group: got {len(names)} names and {len(groups)} groups")
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise TedmError(f"image names must be unique to draw training subsets; more than once: {', '.join(twice[:20])}")
    if n is not None and n < 1:
        raise TedmError(f"cannot train on {n} images: ask for at least 1")
    if n is not None and n > len(names):
        raise TedmError(f"cannot train on {n} images: there are only {len(names)} to choose from; ask for at most {len(names)}")

    def place(image: tuple[str, str]) -> tuple[bytes, str, bytes]:
        name, group = image
        group_place = _digest("group", seed, group) if group else _digest("alone", seed, name)
        return group_place, group, _digest("name", seed, name)

    return [name for name, _ in sorted(zip(names, groups, strict=True), key=place)][:n]


def _digest(kind: str, seed: int, text: str) -> bytes:
    return sha256(f"{kind}\0{seed}\0{text}".encode(errors="surrogateescape")).digest()
