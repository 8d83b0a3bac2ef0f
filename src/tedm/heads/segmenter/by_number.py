"""What the default method is made of: MLPs on features and a network that looks at images, as development data chose.

The two err elsewhere: in one vote they are better than either, at home and on images of another hospital. Batches of few pixels
suit few images; with hundreds of slices MLPs want larger ones. The measurements are in docs/results/method.md, "Many slices:
the fourth step" and "Two kinds of heads: the fifth step".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, cast

from tedm.errors import TedmError
from tedm.heads.base.head import Head, HeadOptions, StartingHead
from tedm.heads.segmenter.methods import JURIES, METHODS, Method, committee_of, unfitted_head
from tedm.jsons import JsonValue

if TYPE_CHECKING:  # it imports torch, which heads that need none are to do without
    from tedm.networks.pretrained import Pretrained

MANY = 200  # training images, from which on the MLPs are three on larger batches
# What may be asked of the default's head without making it another method's.
TAKEN = ("iterations", "class_weight", "precision")
NOTHING_ASKED = HeadOptions()


def with_network(method: Method, images: int) -> Method:
    """Return the committee that the default method, or its fast variant, is for a number of training images.

    Parameters
    ----------
    method : Method
        One of `JURIES`; timesteps, views, smoothing and specks may be others.
    images : int

    Returns
    -------
    Method
        Of the same name: the MLPs that the method names, which merge their opinions first, and a network. Each has one vote.
    """
    mlps = replace(method, name="features")
    if images >= MANY:
        mlps = replace(mlps, members=3, vote="soft", pixels_per_batch=512)
    network = replace(METHODS[JURIES[method.name]], name="network", smoothing=method.smoothing, specks=method.specks)
    return committee_of(method.name, [mlps, network])


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
        The same, unless it is one of `JURIES`.

    Raises
    ------
    TedmError
        If what is asked would leave out the network of one that is named for it.

    Examples
    --------
    >>> by_number(METHODS["jury"], 12, HeadOptions(), None).head
    'committee'
    >>> by_number(METHODS["tedm"], 12, HeadOptions(), None) == METHODS["tedm"]
    True
    """
    asked = {each.name for each in fields(options) if getattr(options, each.name) is not None}
    if is_jury(method) and not params and asked <= set(TAKEN):
        return with_network(method, images)
    if JURIES.get(method.name, "unet") != "unet":
        raise TedmError(
            f"{method.name} is its MLPs and a network that is trained further, which takes --iterations, --class-weight and "
            "--precision; leave out what else was asked of it, or choose another --method"
        )
    return method


def is_jury(method: Method) -> bool:
    """Whether a method is the default or its fast variant as it is named; timesteps, views and shapes may be others.

    Parameters
    ----------
    method : Method
    """
    if method.name not in JURIES:
        return False
    return method == _with_free_choices_of(method)


def as_asked(method: Method) -> Method:
    """Return the method that was asked for, of one that `by_number` gave.

    Parameters
    ----------
    method : Method

    Returns
    -------
    Method
        One of `JURIES`, where this is the committee that it is; any other as it is.
    """
    if method.name not in JURIES:
        return method
    asked = _with_free_choices_of(method)
    return asked if method in (with_network(asked, 1), with_network(asked, MANY)) else method


def _with_free_choices_of(method: Method) -> Method:
    """Return the default or its fast variant, with those choices of another method that leave it what it is."""
    free = {"timesteps": method.timesteps, "views": method.views, "smoothing": method.smoothing, "specks": method.specks}
    return replace(METHODS[method.name], **free)  # type: ignore[arg-type]


def starts_from_weights(method: Method) -> bool:
    """Tell whether a fit of a method starts from weights that were trained before, those of a diffusion model say."""
    head = _unfitted(method)
    return head.capabilities.starts and cast(StartingHead, head).needs_weights()


def require_start(method: Method, weights: Pretrained) -> None:
    """Refuse weights that a method which starts from some cannot start from: a `TedmError`."""
    cast(StartingHead, _unfitted(method)).start_from(weights)


def _unfitted(method: Method) -> Head:
    return unfitted_head(by_number(method, 1, NOTHING_ASKED, None), NOTHING_ASKED)
