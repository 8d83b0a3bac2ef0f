"""Which heads there are, by name: the four of this package, and those that others bring by entry point.

A package joins with an entry point of the group `tedm.heads`: its name is what `--head` takes, its value the class
(`my_package.my_module:MyHead`), which follows `tedm.heads.base.head.Head`. A class is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import entry_points
from inspect import signature
from typing import Any, cast

from tedm.errors import TedmError
from tedm.heads.base.head import Head, HeadOptions
from tedm.jsons import JsonValue
from tedm.text import listed

GROUP = "tedm.heads"
BUILT_IN = {
    "mlp": "tedm.heads.mlp.head:MLPHead",
    "logistic": "tedm.heads.linear.logistic:LogisticHead",
    "xgboost": "tedm.heads.boosting.head:XGBoostHead",
    "sklearn": "tedm.heads.estimator.head:EstimatorHead",
}


def head_class(head: str) -> type[Head]:
    """Return the class of a head.

    Parameters
    ----------
    head : str
        "mlp", "logistic", "xgboost", "sklearn:module.Class", or the name of an entry point.

    Raises
    ------
    TedmError
        If there is no such head, or its package cannot be imported.
    """
    kind, colon, rest = head.partition(":")
    where = BUILT_IN.get(kind) or _entry_points().get(kind)
    if where is not None:
        cls = _imported(kind, where)
        if bool(colon and rest) == (cls.capabilities.named_by is not None):
            return cls
    raise TedmError(
        f"there is no head {head!r}; choose one of {listed(name for name in known_heads() if name != 'sklearn')} or "
        "sklearn:module.Class, sklearn:ensemble.RandomForestClassifier say"
    )


def known_heads() -> list[str]:
    """Return the names of all heads: those of this package, then those that others bring."""
    return list(dict.fromkeys([*BUILT_IN, *_entry_points()]))


def make_head(
    head: str,
    options: HeadOptions | None = None,
    params: Mapping[str, JsonValue] | None = None,
    *,
    seed: int = 0,
    device: str = "cpu",
    of_method: Mapping[str, JsonValue] | None = None,
) -> Head:
    """Make an unfitted head.

    Parameters
    ----------
    head : str
        See `head_class`.
    options : HeadOptions or None
        What was asked for.
    params : mapping or None
        Arguments of the class by their own names; of the estimator, for "sklearn:...".
    seed, device
        For those that draw numbers, or can compute elsewhere.
    of_method : mapping or None
        What the method decides ("members", "vote", "pixels_per_batch"), for heads that take it.

    Raises
    ------
    TedmError
        If there is no such head, or it does not take what was given.
    """
    cls = head_class(head)
    able = cls.capabilities
    given = {option: value for option, value in asdict(options or HeadOptions()).items() if value is not None}
    arguments: dict[str, Any] = {name: value for name, value in (of_method or {}).items() if name in able.from_method}
    for option, value in given.items():
        if option not in able.options:
            takers = [name for name in known_heads() if option in _capabilities_named(name).options]
            raise TedmError(
                f"--{option.replace('_', '-')} is for --head {' or '.join(takers)}, not for {head.partition(':')[0]}"
            )
        arguments[able.options[option]] = value
    if able.takes_seed:
        arguments["seed"] = seed
    if able.takes_device:
        arguments["device"] = device
    if able.named_by is not None:
        arguments[able.named_by] = head.partition(":")[2]
    if able.parameters is not None:
        arguments[able.parameters] = dict(params or {})
        return cls(**arguments)
    known = signature(cls).parameters
    unknown = sorted(set(params or {}) - set(known))
    if unknown:
        raise TedmError(f"--params: {head} heads know no {unknown[0]!r}; they know {listed(known)}")
    return cls(**{**arguments, **(params or {})})


def remake_head(head: str, class_name: str, arguments: Mapping[str, JsonValue], *, device: str = "cpu") -> Head:
    """Make the unfitted head that a folder describes.

    Parameters
    ----------
    head : str
        The name under which it was fitted.
    class_name : str
        Name of its class, which the registered one must bear.
    arguments : mapping
        What `Head.constructor` gave.
    device : str
        Where it is to compute, if it can choose.

    Raises
    ------
    TedmError
        If no registered head is of that class.
    """
    kind = head.partition(":")[0]
    for name in dict.fromkeys([kind, *known_heads()]):
        if (name in BUILT_IN or name in _entry_points()) and _bears(name, class_name):
            cls = _imported(name, BUILT_IN.get(name) or _entry_points()[name])
            where = {"device": device} if cls.capabilities.takes_device else {}
            return cls(**{**arguments, **where})
    raise TedmError(f"there is no head of kind {class_name!r} here; install the package that it is from, or a newer tedm")


def _bears(name: str, class_name: str) -> bool:
    """Tell from the registration alone whether a head's class has this name: nothing is imported to find out."""
    return (BUILT_IN.get(name) or _entry_points()[name]).rpartition(":")[2].rpartition(".")[2] == class_name


def _capabilities_named(name: str) -> Any:
    return _imported(name, BUILT_IN.get(name) or _entry_points()[name]).capabilities


def _entry_points() -> dict[str, str]:
    return {each.name: each.value for each in entry_points(group=GROUP) if each.name not in BUILT_IN}


def _imported(name: str, where: str) -> type[Head]:
    module, _, attribute = where.partition(":")
    try:
        cls = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise TedmError(f"the head {name} ({where}) cannot be imported: {error}; install or repair its package") from error
    if not hasattr(cls, "capabilities"):
        raise TedmError(f"the head {name} ({where}) states no capabilities; see 'Add a head' in CONTRIBUTING.md")
    return cast(type[Head], cls)
