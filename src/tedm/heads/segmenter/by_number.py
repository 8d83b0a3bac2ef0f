"""What the default method is where training images are many: a rule by their number, chosen on development data.

Batches of few pixels suit few images. With hundreds of slices MLPs want larger ones, and a linear probe, which then has enough
to learn from, errs elsewhere than they do: both in one vote are better than either. With a handful of images the probe is much
worse, and its vote harms. The measurements are in docs/results/method.md, "Many slices: the fourth step".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from tedm.heads.base.head import HeadOptions
from tedm.heads.segmenter.methods import JURIES, METHODS, Method, committee_of, method_named
from tedm.jsons import JsonValue

MANY = 200  # training images
PIXELS = 500  # of each of them that the linear probe learns from then
# What may be asked of the default's head without making it another method's.
TAKEN = ("iterations", "class_weight", "precision")


def for_many_images(method: Method) -> Method:
    """Return what the default method, or its fast variant, is from `MANY` training images on.

    Parameters
    ----------
    method : Method
        One of `JURIES`; views, smoothing and specks may be others.

    Returns
    -------
    Method
        Of the same name: a committee of three MLPs on larger batches, which merge their opinions first, and a linear probe.
    """
    whole = {"views": method.views, "smoothing": method.smoothing, "specks": method.specks, "sampling": method.sampling}
    networks = replace(method, name="networks", members=3, vote="soft", pixels_per_batch=512)
    probe = replace(method_named("timestep:50"), settings={"max_iter": 100}, **whole)  # type: ignore[arg-type]
    return committee_of(method.name, [networks, probe], pixels_per_image={probe.name: PIXELS})


def by_number(method: Method, images: int, options: HeadOptions, params: Mapping[str, JsonValue] | None) -> Method:
    """Return what a method is for a number of training images.

    Parameters
    ----------
    method : Method
    images : int
        How many are learned from; views are not counted.
    options, params
        What is asked of the head. Where more is asked than iterations, class weights and precision, the method is what was
        asked for.

    Returns
    -------
    Method
        The same, unless it is one of `JURIES` and the images are many.

    Examples
    --------
    >>> usual = METHODS["jury"]
    >>> by_number(usual, 12, HeadOptions(), None) == usual
    True
    >>> by_number(usual, 500, HeadOptions(), None).head
    'committee'
    """
    asked = {each.name for each in fields(options) if getattr(options, each.name) is not None}
    if images < MANY or params or not asked <= set(TAKEN) or not is_jury(method):
        return method
    return for_many_images(method)


def is_jury(method: Method) -> bool:
    """Whether a method is the default or its fast variant; views, smoothing and specks may be others.

    Parameters
    ----------
    method : Method
    """
    if method.name not in JURIES:
        return False
    usual = METHODS[method.name]
    return replace(method, views=usual.views, smoothing=usual.smoothing, specks=usual.specks) == usual


def as_asked(method: Method) -> Method:
    """Return the method that was asked for, of one that `by_number` gave.

    Parameters
    ----------
    method : Method

    Returns
    -------
    Method
        One of `JURIES`, where this is what it is for many images; any other as it is.
    """
    if method.name not in JURIES:
        return method
    asked = replace(METHODS[method.name], views=method.views, smoothing=method.smoothing, specks=method.specks)
    return asked if method != asked and method == for_many_images(asked) else method
