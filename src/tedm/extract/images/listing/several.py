"""What a user names to say where the images are: one place, or several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from tedm.errors import TedmError
from tedm.text import listed

from .find import find_rows
from .found import Found
from .leftovers import left_out
from .legend import NO_LEGEND, legend_beside
from .rows import Row

Sources: TypeAlias = Path | str | Sequence[Path]
MOST = 3  # places that a message names


def shown_sources(source: Sources) -> str:
    """Return what messages call one place, or several.

    Examples
    --------
    >>> shown_sources(Path("a")), shown_sources([Path("b.png"), Path("c.png")])
    ('a', 'b.png, c.png')
    """
    return str(source) if isinstance(source, Path) else listed(source, most=MOST)


def found_in(source: Sources, channels: tuple[str, ...], *, masks: bool = True) -> Found:
    """Return what tables, folders, data sets and images say, in the order in which they are named.

    Parameters
    ----------
    source : Path or sequence of Path
        Of several, each is read as it would be alone.
    channels : tuple of str
        See `find_rows`.
    masks : bool
        Whether masks are wanted; see `left_out`.

    Raises
    ------
    TedmError
        If one of them is not there, is named twice or cannot be read, or two of them call their classes otherwise.
    """
    if isinstance(source, str | Path):
        return _found(Path(source), channels, masks)
    places = list(source)
    if not places:
        raise TedmError("no image is named; name files, a folder or a CSV")
    twice = [path for at, path in enumerate(places) if path in places[:at]]
    if twice:
        raise TedmError(f"{twice[0]} is named twice; name each place once")
    if len(places) == 1:
        return _found(places[0], channels, masks)
    parts = [_found(place, channels, masks) for place in places]
    named = [part for part in parts if part.legend.names]
    other = next((part for part in named if part.legend.names != named[0].legend.names), None)
    if other is not None:
        raise TedmError(f"{named[0].legend.where} and {other.legend.where} name other classes; read them one after the other")
    if len(channels_of := {part.channels for part in parts}) > 1:
        raise TedmError(
            f"{shown_sources(places)} have other channels ({'; '.join(map(listed, sorted(channels_of)))}); name them"
        )
    return Found(
        places[0],
        [row for part in parts for row in _placed(part)],
        [f"{part.table}: {problem}" for part in parts for problem in part.problems],
        parts[0].channels,
        [remark for part in parts for remark in part.remarks],
        named[0].legend if named else NO_LEGEND,
        is_data_set=True,
    )


def _found(source: Path, channels: tuple[str, ...], masks: bool) -> Found:
    """Return what one place says, and what of it is not used."""
    if not source.exists():
        raise TedmError(f"{source}: no such file or folder; expected a CSV, a folder of images or an image")
    found = find_rows(source, channels)
    legend = found.legend if found.legend.names else legend_beside(source)
    unused = [] if found.is_data_set else left_out(source, found.table, found.rows, masks=masks, channels=found.channels)
    return replace(found, legend=legend, remarks=[*found.remarks, *unused])


def _placed(found: Found) -> Iterator[Row]:
    """Yield rows that say which of several places they are of."""
    for row in found.rows:
        alone = row.where == str(found.table)
        yield row if alone else replace(row, where=f"{found.table}, {row.where}")
