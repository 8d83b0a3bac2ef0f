"""The colours of classes: those that are known, or colours that people with any colour vision can tell apart.

Okabe and Ito 2008, seven colours; further classes have these darker, then lighter, which are told apart less well. The first
class is the background, which is black in masks and not drawn over images.
"""

from __future__ import annotations

from collections.abc import Sequence

BACKGROUND = "#000000"
# Okabe-Ito without black, those first that stand out on grey images.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2")


# What is mixed into the colours of each further round, and how much of it: black and white in turn, never all of it.
SHADES = ((0, 0.0), (0, 0.5), (255, 0.55), (0, 0.7), (255, 0.78), (0, 0.3), (255, 0.3))


def colour_of(index: int) -> str:
    """The colour of a class, by its index from 1; those of the first 49 differ.

    Examples
    --------
    >>> colour_of(1), colour_of(8), colour_of(15)
    ('#E69F00', '#735000', '#F4D48C')
    """
    round_, at = divmod(index - 1, len(COLOURS))
    shade, share = SHADES[round_ % len(SHADES)]
    own = bytes.fromhex(COLOURS[at].removeprefix("#"))
    return "#" + "".join(f"{round((1 - share) * value + share * shade):02X}" for value in own)


def class_colours(classes: int, known: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the colour of each class as "#rrggbb".

    Parameters
    ----------
    classes : int
        How many there are, the background first.
    known : sequence of str
        Their colours, or none.

    Examples
    --------
    >>> class_colours(3)
    ('#000000', '#e69f00', '#56b4e9')
    """
    return tuple(known) or tuple((colour_of(index) if index else BACKGROUND).lower() for index in range(classes))
