"""Losses over the iterations of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from .panels import COLOURS, blank

STYLES = ("-", "--", ":", "-.")


def loss_figure(
    curves: Mapping[str, Sequence[tuple[int, float]]], *, ylabel: str = "mean absolute error of the noise"
) -> Figure:
    """Draw losses, on a logarithmic scale: the fall from 0.1 to 0.05 is as much as that from 0.8 to 0.4.

    Parameters
    ----------
    curves : mapping of str to sequence of (int, float)
        (iteration, loss) of each curve; one without points is left out.
    ylabel : str
        What the losses are.

    Examples
    --------
    >>> figure = loss_figure({"training": [(10, 0.8), (20, 0.2)], "held out": []})
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['training']
    """
    figure = blank(6.4, 3.6)
    axes = figure.add_axes((0.12, 0.15, 0.85, 0.8))
    for number, (name, points) in enumerate(curves.items()):
        if points:
            style, colour = STYLES[number % len(STYLES)], COLOURS[(5 + number) % len(COLOURS)]
            axes.plot(*zip(*points, strict=True), style, color=colour, label=name, marker=".", markersize=4)
    axes.set(xlabel="iteration", ylabel=ylabel, yscale="log")
    axes.set_yticks(ticks := (0.02, 0.05, 0.1, 0.2, 0.5, 1.0), [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9")
    if axes.lines:
        axes.legend(frameon=False)
    return figure
