"""From strokes to a head, and from a head to what is seen of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tedm.devices import choose_device
from tedm.errors import TedmError
from tedm.extract.images import from_square, native_mask
from tedm.heads import Segmenter, fit, method_named, predict
from tedm.store import IGNORE, Features
from tedm.study.predict import Device
from tedm.study.strokes.painted import Classes, Painted
from tedm.text import listed

Learner = Literal["logistic", "mlp"]
# Of an MLP: strokes are a few hundred pixels, of which a batch need not be the whole of it.
ITERATIONS, PIXELS, RATE = 200, 64, 1e-3


def fit_strokes(
    features: Features,
    strokes: Mapping[str, NDArray[np.uint8]],
    classes: Classes,
    *,
    head: Learner = "logistic",
    timesteps: Sequence[int] | None = None,
    with_masks: bool = False,
    iterations: int = ITERATIONS,
    device: Device = "auto",
    seed: int = 0,
) -> Segmenter:
    """Fit a head on strokes: one classifier that its timesteps share, whose probabilities are averaged over them.

    Parameters
    ----------
    features : Features
        A store, or a backbone that computes; `Remembered` keeps what it is asked for.
    strokes : mapping of str to array of shape (height, width)
        By the images' names, at their own size: class indices, 255 where nothing is painted.
    classes : Classes
        The classes.
    head : {"logistic", "mlp"}
        Ridge logistic regression, or TEDM's MLP.
    timesteps : sequence of int or None
        None takes all that the features have.
    with_masks : bool
        Whether the masks of the split "train" are learned from as well, of images that are not painted.
    iterations : int
        Of the MLP.
    device : {"auto", "cpu", "cuda"}
        Where the MLP is trained.
    seed : int
        Of the MLP.

    Returns
    -------
    Segmenter
        For `look`, or `tedm.heads.save_head`.

    Raises
    ------
    TedmError
        If nothing is painted, all strokes are of one class, or as `tedm.heads.fit` does.
    """
    painted = {name: array for name, array in strokes.items() if (array != IGNORE).any()}
    used = sorted({int(index) for array in painted.values() for index in np.unique(array)} - {IGNORE})
    if not painted:
        raise TedmError("nothing is painted yet; paint a stroke of each of two classes at least")
    if used[-1] >= len(classes.values):
        raise TedmError(
            f"strokes are of class number {used[-1] + 1}, and there are {len(classes.values)}; add a class, or erase them"
        )
    if len(used) == 1 and not with_masks:
        others = [name for index, name in enumerate(classes.names) if index != used[0]]
        raise TedmError(
            f"all strokes are of one class, {classes.names[used[0]]}; paint a stroke of another one too"
            + (f" ({listed(others, most=3)})" if others else ": add a class first")
        )
    method = method_named("tedm", timesteps=timesteps or features.settings.timesteps, head=head)
    return fit(
        Painted(features, painted, classes, with_masks=with_masks),
        method,
        name="strokes",
        iterations=iterations if head == "mlp" else None,
        learning_rate=RATE if head == "mlp" else None,
        pixels_per_batch=PIXELS if head == "mlp" else None,
        device=choose_device(device),
        seed=seed,
    )


@dataclass(frozen=True)
class Look:
    """What a head makes of an image, at the image's own size.

    Parameters
    ----------
    name : str
        The image.
    mask : array of shape (height, width)
        Class indices.
    uncertainty : array of shape (height, width)
        Entropy of the vote, from 0 (sure) to 1 (a guess).
    """

    name: str
    mask: NDArray[np.uint8]
    uncertainty: NDArray[np.float32]


def look(features: Features, head: Segmenter, name: str, *, what: str = "the image") -> Look:
    """Segment an image of some features.

    Parameters
    ----------
    features : Features
        Those that the head learned from, or others with the same settings.
    head : Segmenter
    name : str
        The image.
    what : str
        What the features are called in messages.

    Raises
    ------
    TedmError
        If the head is for other features.
    """
    (made,) = predict(features, {head.label: head}, [name], what=what, uncertainty=True)
    size = features.labels.original_sizes[features.labels.index(name)]
    geometry = features.settings.geometry
    entropy = np.asarray(made.entropy, np.float32)[..., np.newaxis]
    return Look(name, native_mask(made.decisive, size, geometry), from_square(entropy, size, geometry)[..., 0].clip(0, 1))
