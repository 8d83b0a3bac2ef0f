"""A study's file, which is TOML: all that can be told to be wrong without features is told at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tedm.errors import TedmError, raise_listed
from tedm.heads import LEAVE_OUT, SEEDS, Correction, EmptyTruth, Metric, NCounts, require_measured_at
from tedm.study.trial.names import require_apart
from tedm.study.trial.spec import FeaturesAsked, LearnAsked, MethodAsked, ScoreAsked, Study
from tedm.study.trial.toml_tables import as_dataclass, read_toml

T = TypeVar("T")


@dataclass(frozen=True)
class _File:
    """The words of a file, before what is in its tables is read."""

    features: Any
    methods: tuple[Any, ...]
    sizes: tuple[int, ...]
    title: str = "A study"
    learn: Any = field(default_factory=dict)
    score: tuple[Any, ...] = ({},)
    seeds: tuple[int, ...] = (0,)
    seeds_at: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    counts: NCounts = "images"
    metric: Metric = "dice"
    correction: Correction = "holm"
    empty_truth: EmptyTruth = LEAVE_OUT


def read_study(path: Path) -> Study:
    """Read a study's file, and check all that can be checked without features.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Study

    Raises
    ------
    TedmError
        One that lists everything that is wrong.
    """
    problems: list[str] = []
    values = read_toml(path)
    file = as_dataclass(_File, values, "", problems)
    # what is in tables is read whatever else is wrong, so that all problems are told at once
    features = as_dataclass(FeaturesAsked, values["features"], "features", problems) if "features" in values else None
    learn = as_dataclass(LearnAsked, values.get("learn", {}), "learn", problems)
    score = _each(ScoreAsked, values.get("score", [{}]), "score", "", problems)
    methods = _each(MethodAsked, values.get("methods", []), "methods", "method", problems)
    if file is not None:
        problems += _of_numbers(file, methods)
        problems += _of_words(file, score, methods)
    problems += require_apart([method.label for method in methods])
    raise_listed(f"{path} cannot be followed", problems)
    assert file is not None  # else there was a problem
    assert features is not None
    assert learn is not None
    return Study(
        path,
        file.title,
        features,
        learn,
        tuple(score),
        tuple(methods),
        file.sizes,
        file.seeds,
        {int(n): seeds for n, seeds in file.seeds_at.items()},
        file.counts,
        file.metric,
        file.correction,
        file.empty_truth,
    )


def _each(kind: type[T], tables: object, word: str, called: str, problems: list[str]) -> list[T]:
    """Return the tables of a list `[[word]]`."""
    if not isinstance(tables, Sequence) or isinstance(tables, str):
        problems.append(f"{word} should be written [[{word}]]")
        return []
    made = []
    for number, values in enumerate(tables, 1):
        name = values.get("name") or values.get(called, "") if isinstance(values, Mapping) else ""
        where = f"{word} {number}" + (f" ({name})" if isinstance(name, str) and name else "")
        made.append(as_dataclass(kind, values, where, problems))
    return [each for each in made if each is not None]


def _of_numbers(file: _File, methods: Sequence[MethodAsked]) -> Iterator[str]:
    """Yield what is wrong with sizes and seeds."""
    lists = [("sizes", file.sizes, 1), ("seeds", file.seeds, 0)]
    lists += [(f"seeds_at: {n}", seeds, 0) for n, seeds in file.seeds_at.items()]
    for method in methods:
        lists += [(f"{method.label}: sizes", method.sizes, 1)] if method.sizes is not None else []
        lists += [(f"{method.label}: seeds", method.seeds, 0)] if method.seeds is not None else []
    for where, numbers, least in lists:
        if not numbers:
            yield f"{where} is empty; name one number or more"
        elif min(numbers) < least:
            yield f"{where} has {min(numbers)}; numbers are from {least} on"
        elif max(numbers) >= SEEDS:
            yield f"{where} has {max(numbers)}; numbers are below {SEEDS}"
        elif len(set(numbers)) < len(numbers):
            yield f"{where} names a number twice"
    for n in file.seeds_at:
        if not n.isdecimal() or int(n) not in file.sizes:
            yield f"seeds_at: {n} is none of the sizes"


def _of_words(file: _File, score: Sequence[ScoreAsked], methods: Sequence[MethodAsked]) -> Iterator[str]:
    """Yield what is wrong with the metric, and with lists that have nothing in them."""
    if not file.methods:
        yield 'there is no method; write [[methods]] for each, with a line like method = "tedm"'
    if not file.score:
        yield "there is nothing to score on; write [[score]]"
    if len(set(score)) < len(score):
        yield "score: two are the same"
    try:
        require_measured_at("feature", file.metric)
    except TedmError as error:
        yield f"metric: {error}"
