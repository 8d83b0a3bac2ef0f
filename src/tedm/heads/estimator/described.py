"""A scikit-learn estimator that lies in memory, as the name and the JSON values that make one like it.

What a head was made from is written down, and whoever reads it makes the estimator anew (`lookup`). An object is therefore
taken for its class and its parameters, and one that cannot be said so is refused before anybody waits for its fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from math import isfinite
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from tedm.errors import TedmError
from tedm.heads.estimator.lookup import is_splitter, name_of, named_classifier, public_class, require_classifier
from tedm.jsons import JsonObject, JsonValue

KIND = "sklearn:"


def described(estimator: object) -> tuple[str, JsonObject]:
    """Return a classifier of scikit-learn in words; what it may have learned is not looked at.

    Parameters
    ----------
    estimator : classifier
        A pipeline or a search, too.

    Returns
    -------
    name : str
        What `--head` takes: `sklearn:ensemble.RandomForestClassifier`.
    params : mapping of str to JSON values
        What `--params` takes: the parameters that are not the class's defaults.

    Raises
    ------
    TedmError
        If it is no classifier, or no JSON value says what it is: another package's class, a function, a generator of numbers.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> described(KNeighborsClassifier(np.int64(3)))
    ('sklearn:neighbors.KNeighborsClassifier', {'n_neighbors': 3})
    """
    if isinstance(estimator, type):
        raise TedmError(f"head={estimator.__name__} is a class; give an object of it, {estimator.__name__}() say")
    if not isinstance(estimator, BaseEstimator):
        raise TedmError(
            f"head={estimator!r:.80} is neither the name of a head nor an estimator of scikit-learn; "
            "'mlp' and RandomForestClassifier() are such"
        )
    require_classifier(estimator)
    name, params = _named(estimator, "head"), _parameters(estimator, "head")
    named_classifier(name, params)  # says what is wrong with the values
    return f"{KIND}{name}", params


def _named(thing: object, where: str) -> str:
    """Return the name under which scikit-learn has the class of an object."""
    name = name_of(thing)
    if public_class(name) is not type(thing):
        raise TedmError(
            f"{where}: {name} is no class of scikit-learn; a head is kept in words that anybody can read again, so that only "
            "these are taken (a package of its own can bring a head: CONTRIBUTING.md)"
        )
    return name


def _parameters(thing: Any, where: str) -> JsonObject:
    """Return the parameters of an object that are not the defaults of its class."""
    known = thing.get_params(deep=False) if isinstance(thing, BaseEstimator) else vars(thing)
    values: dict[str, JsonValue] = {}
    for key, about in signature(type(thing)).parameters.items():
        if key in known and not _same(known[key], about.default):
            values[key] = _plain(known[key], f"{where}.{key}")
    return values


def _same(value: object, default: object) -> bool:
    return value is default or (
        type(value) is type(default) and isinstance(value, str | int | float | bool) and value == default
    )


def _plain(value: Any, where: str) -> JsonValue:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, list | tuple):
        return [_plain(inner, f"{where}[{at}]") for at, inner in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(inner, f"{where}[{key!r}]") for key, inner in value.items()}
    if not isinstance(value, type) and (isinstance(value, BaseEstimator) or is_splitter(type(value))):
        return {"class": _named(value, where), "params": _parameters(value, where)}
    raise TedmError(f"{where} is {value!r:.80}, which cannot be written down with the head; {_remedy(value)}")


def _remedy(value: object) -> str:
    if isinstance(value, Mapping):
        return "for weights of classes give fit(class_weight={mask value: weight}), which knows the masks' values"
    return "give a number, a text, a list or an estimator"
