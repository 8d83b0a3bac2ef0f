"""Scikit-learn estimators by name.

`ensemble.RandomForestClassifier` and JSON values for its constructor are all that a command line or a head's folder can say
about an estimator. An object `{"class": "preprocessing.StandardScaler", "params": {...}}` among these values is an estimator
itself, or a splitter of a cross-validation, so that pipelines, searches and committees can be written down too. Nothing outside
scikit-learn is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from inspect import Parameter, signature
from typing import Any

import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, is_classifier
from sklearn.utils import all_estimators

from tedm.errors import TedmError
from tedm.text import did_you_mean

ROOT = "sklearn."
# Classes that are classifiers if what is inside them is one.
WHAT_IS_INSIDE = ("GridSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV", "Pipeline", "RandomizedSearchCV")


def named_classifier(name: str, parameters: Mapping[str, Any]) -> Any:
    """Make an unfitted scikit-learn classifier.

    Parameters
    ----------
    name : str
        `ensemble.RandomForestClassifier`, with or without `sklearn.` before it.
    parameters : mapping
        JSON values for its constructor; see `built`.

    Raises
    ------
    TedmError
        If there is no such class, it is no classifier, or it does not take the parameters.

    Examples
    --------
    >>> named_classifier("sklearn.neighbors.KNeighborsClassifier", {"n_neighbors": 3})
    KNeighborsClassifier(n_neighbors=3)
    """
    made = _made(name, parameters, classifier=True)
    require_classifier(made)
    return made


def require_classifier(estimator: Any) -> None:
    """Refuse what cannot tell classes apart; of a pipeline, the last step decides."""
    if not (hasattr(estimator, "predict") and hasattr(estimator, "fit") and is_classifier(estimator)):
        raise TedmError(
            f"{name_of(estimator)} is no classifier; a head needs one, sklearn:ensemble.RandomForestClassifier say "
            "(a pipeline, one as its last step)"
        )


def name_of(estimator: Any) -> str:
    """Return an estimator's name, `ensemble.RandomForestClassifier` say; other packages' classes with all of their path."""
    cls = type(estimator)
    public = [part for part in cls.__module__.removeprefix(ROOT).split(".") if not part.startswith("_")]
    return ".".join([*public, cls.__name__])


def built(value: Any) -> Any:
    """Return a JSON value with estimators in the place of the objects that describe them.

    `{"class": name, "params": {...}}` becomes an estimator, at any depth; a list that holds one beside its name, like a step
    of a pipeline, becomes a tuple.
    """
    if isinstance(value, Mapping):
        if "class" in value and isinstance(value["class"], str) and set(value) <= {"class", "params"}:
            return _made(value["class"], value.get("params") or {})
        return {key: built(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        inside = [built(inner) for inner in value]
        is_step = bool(inside) and isinstance(inside[0], str) and any(isinstance(inner, BaseEstimator) for inner in inside)
        return tuple(inside) if is_step or isinstance(value, tuple) else inside
    return value


def require_known(estimator: Any, parameters: Mapping[str, Any]) -> None:
    """Refuse parameters that an estimator's constructor does not take."""
    known = estimator.get_params(deep=True)
    for name in parameters:
        if name not in known:
            raise _unknown(name_of(estimator), name, list(known))


def require_valid(estimator: Any) -> None:
    """Refuse values that scikit-learn would refuse when it fits."""
    if hasattr(estimator, "_parameter_constraints"):  # scikit-learn's own classes have them
        try:
            estimator._validate_params()
        except ValueError as error:
            raise TedmError(f"{name_of(estimator)}: {one_line(error)}") from error
    for part in estimator.get_params(deep=True).values():
        if isinstance(part, BaseEstimator) and part is not estimator:
            require_valid(part)


def one_line(error: Exception) -> str:
    """Return what an exception says, without the lines that explain it at length."""
    return (str(error).strip() or repr(error)).splitlines()[0].strip()


def _made(name: str, parameters: Mapping[str, Any], *, classifier: bool = False) -> Any:
    cls = _class(name, classifier=classifier)
    if not isinstance(parameters, Mapping):
        raise TedmError(f"the parameters of {name} are {parameters!r}; write them as an object of names and values")
    taken = signature(cls).parameters
    values = {key: _typed(cls, key, built(value)) for key, value in parameters.items()}
    # The constructor's own words for an unknown or a missing argument name neither what there is nor what was meant.
    missing = [key for key, about in taken.items() if about.default is Parameter.empty and key not in values]
    missing = [key for key in missing if taken[key].kind is Parameter.POSITIONAL_OR_KEYWORD]
    unknown = [key for key in values if key not in taken]
    if unknown:
        raise _unknown(_short(name), unknown[0], list(taken))
    if missing:
        raise TedmError(f"{_short(name)} needs the parameter {missing[0]!r}; give it with --params")
    made = cls(**values)
    if isinstance(made, BaseEstimator):
        require_valid(made)
    return made


def _typed(cls: type, name: str, value: Any) -> Any:
    """Make a tuple of a list where scikit-learn takes nothing else: JSON has no tuples."""
    allowed: Sequence[Any] = getattr(cls, "_parameter_constraints", {}).get(name, ())
    only_tuples = (
        isinstance(allowed, list) and tuple in allowed and not {list, "array-like"} & {a for a in allowed if _hashable(a)}
    )
    return tuple(value) if only_tuples and isinstance(value, list) else value


def _hashable(value: Any) -> bool:
    return isinstance(value, (type, str))


def is_splitter(cls: type) -> bool:
    """Whether a class makes folds for a cross-validation: `model_selection.GroupKFold`, say."""
    return callable(getattr(cls, "split", None)) and callable(getattr(cls, "get_n_splits", None))


def public_class(name: str) -> type | None:
    """Return a public class of one of scikit-learn's own public modules; None if there is none of this name."""
    short = _short(name)
    module, _, last = short.rpartition(".")
    parts = module.split(".")
    if all(
        part.isidentifier() and not part.startswith("_") and part not in ("tests", "conftest", "externals") for part in parts
    ):
        try:
            cls = getattr(import_module(ROOT + module), last, None)
        except ImportError:
            return None
        if isinstance(cls, type) and not last.startswith("_") and cls.__module__.startswith(ROOT):
            return cls
    return None


def _class(name: str, *, classifier: bool = False) -> Any:
    """Return an estimator's class, or a splitter's; of what does not exist, say what may have been meant."""
    short, cls = _short(name), public_class(name)
    if cls is not None:
        if issubclass(cls, BaseEstimator) or (is_splitter(cls) and not classifier):
            return cls
        raise TedmError(f"sklearn.{short} is no estimator; name a classifier, ensemble.RandomForestClassifier say")
    names, last = _public_names(classifier), short.rpartition(".")[2]
    same = [known for known in names if known.rpartition(".")[2].lower() == last.lower()]
    close = same or get_close_matches(short, names, 1)
    hint = f"did you mean {close[0]}?" if close else "name its module and class, ensemble.RandomForestClassifier say"
    raise TedmError(f"scikit-learn {sklearn.__version__} has no {short or name!r}; {hint}")


def _public_names(classifier: bool) -> list[str]:
    """Return the names of all estimators; of a head's own, those that can be classifiers."""
    names = []
    for name, cls in all_estimators():
        if classifier and not (issubclass(cls, ClassifierMixin) or name in WHAT_IS_INSIDE):
            continue
        public = [part for part in cls.__module__.removeprefix(ROOT).split(".") if not part.startswith("_")]
        names.append(".".join([*public, name]))
    return names


def _short(name: str) -> str:
    return name.removeprefix(ROOT)


def _unknown(estimator: str, parameter: str, known: Sequence[str]) -> TedmError:
    hint = did_you_mean(parameter, known)
    listed = ", ".join(name for name in known if "__" not in name) or "none"
    return TedmError(f"{estimator} knows no parameter {parameter!r}{hint}; it knows {listed}")
