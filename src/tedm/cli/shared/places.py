"""Places that stand where another one belongs: a head in place of a store, a store where images are read.

A head has a file head.json, a store the attributes of one: where both are there it is certain what was meant.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Literal

from tedm.cli.shared.voice import say
from tedm.errors import TedmError

# What commands are given, in order, by the names of their parameters: what it is called, and what it is if it is there.
ORDER: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "extract": {"images": ("IMAGES", ""), "store": ("STORE", "store")},
    "label": {"store": ("STORE", "store"), "manifest": ("MANIFEST", "")},
    "fit": {"store": ("STORE", "store"), "head": ("HEAD", "head")},
    "evaluate": {"store": ("STORE", "store"), "heads": ("HEAD...", "head")},
    "rank": {"store": ("STORE", "store"), "head": ("HEAD", "head")},
    "probe": {"store": ("STORE", "store")},
    "verify": {"store": ("STORE", "store")},
    "export-nnunet": {"store": ("STORE", "store"), "out_folder": ("OUT_FOLDER", "")},
}
READERS = ("evaluate", "rank")  # write to neither of the two, so that taking them for each other loses nothing
CALLED = {"store": "a feature store", "head": "a head"}


def what_is(place: object) -> Literal["store", "head", ""]:
    """Say what certainly lies at a place; a URL is not looked at."""
    if not isinstance(place, Path):
        return ""
    if (place / "head.json").is_file():
        return "head"
    if (place / "zarr.json").is_file():
        from tedm.store import FeatureStore

        return "store" if FeatureStore.is_store(place) else ""
    return ""


def straighten(command: str, params: MutableMapping[str, object]) -> None:
    """Put arguments in order that are certainly swapped, where that can lose nothing, or say how the command should read.

    Parameters
    ----------
    command : str
    params : mapping
        The parameters of the command, changed in place.

    Raises
    ------
    TedmError
        If a place is certainly not what is to be read or written there.
    """
    order = ORDER.get(command, {})
    given: list[tuple[str, object]] = []
    for word in order:
        value = params.get(word)
        given += [(word, each) for each in (value if isinstance(value, tuple) else (value,))]
    wrong = [(word, place) for word, place in given if (kind := what_is(place)) and kind != order[word][1]]
    if not wrong:
        return
    line = _in_order(command, [place for _, place in given])
    if command in READERS and line is not None:
        params["store"], *heads = line
        params.update({"heads": tuple(heads)} if command == "evaluate" else {"head": heads[0]})
        say(f"note: taken as {_typed(command, line)}")
        return
    word, place = wrong[0]
    usage = " ".join(called for called, _ in order.values())
    raise TedmError(
        f"{place} is {CALLED[what_is(place)]} and stands where {order[word][0].strip('.')} belongs; "
        + (f"tedm-{command} takes {usage}" if line is None else f"write {_typed(command, line)}")
    )


def require_order(command: str, read: Path, written: Path, *, is_read: Callable[[Path], bool]) -> None:
    """Refuse two places that are the wrong way round, of a command that writes what may look like what it reads.

    Parameters
    ----------
    command : str
    read, written : Path
        What stands first and second.
    is_read : callable
        Says whether a place is certainly something that the command reads.

    Raises
    ------
    TedmError
        If the second is, and the first is not.
    """
    if is_read(written) and not is_read(read):
        raise TedmError(f"{written} is what is to be read, and stands second; write {_typed(command, [written, read])}")


def _in_order(command: str, places: list[object]) -> list[object] | None:
    """Return the arguments as they were meant: the only store in its place; None where that is unclear."""
    stores = [place for place in places if what_is(place) == "store"]
    others = [place for place in places if what_is(place) != "store"]
    if len(stores) != 1 or not others or (command in READERS and not all(what_is(place) == "head" for place in others)):
        return None
    if command in ("label", "export-nnunet", "extract", "fit") and what_is(others[0]) not in ("", "head" * (command == "fit")):
        return None
    return [*others, stores[0]] if command == "extract" else [stores[0], *others]


def _typed(command: str, places: list[object]) -> str:
    return shlex.join([f"tedm-{command}", *map(str, places)])
