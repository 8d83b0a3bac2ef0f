"""What was asked of a study's folder: `study.json`, with which every later run is compared.

Units of other settings would stand in one table as if they were of the same study. So what decides a unit (the features, who is
learned from and scored on, the settings of its method) must be what it was; sizes, seeds and methods may be added.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from tedm.errors import TedmError, raise_listed
from tedm.files import digest_of_file, write_whole
from tedm.foreign import json_of
from tedm.jsons import JsonObject, JsonValue
from tedm.store import Features, Labels
from tedm.store.fingerprints import digest_of_masks, digest_of_pictures
from tedm.store.splits import labelled_images
from tedm.study.trial.check import needs_val
from tedm.study.trial.names import folder_name
from tedm.study.trial.spec import MethodAsked, Study, without_runs
from tedm.study.trial.units import FEATURES, UNITS
from tedm.text import counted, listed, shown

FILE = "study.json"
FORMAT = 1
# Said of the default method where it has its network: units of versions before are of MLPs alone.
NETWORK, OF_PARTS = "network", "one vote of two"
CLASSES_OF_BEFORE = 2  # of up to so many, what is left to the number of classes is what it was before there was a rule
REMEDY = "make room, or name another folder"
CONTENT = PICTURES, MASKS = "pictures", "masks"
DIGITS = 12  # of a digest


@dataclass(frozen=True)
class _Asked:
    """What decides units, as JSON values: score by its numbers in the file, methods by their labels."""

    features: JsonObject
    learn: JsonObject
    score: JsonObject
    methods: Mapping[str, JsonValue]


def settle(study: Study, out: Path, features: Features) -> None:
    """Write down what is asked of a study's folder; refuse what contradicts the units that are there.

    Parameters
    ----------
    study : Study
    out : Path
        The study's folder, which is there.
    features : Features

    Raises
    ------
    TedmError
        If units are there that were made otherwise, or the file cannot be read or written.
    """
    asked, was = _asked(study, features), _read(out)
    methods = asked.methods
    if was is not None:
        there = [label for label in was.methods if _units_there(out, label)]
        parts = ("features", "learn", "score") if there else ()
        problems = [f"{part}: {line}" for part in parts for line in _differences(getattr(was, part), getattr(asked, part))]
        raise_listed(f"{out} holds another study; repeat its file, or name another folder for this one", problems)
        _require_same(out, was.methods, methods)
        methods = {**{label: was.methods[label] for label in there}, **methods}
    content = (
        json.dumps({"format": FORMAT, **asdict(replace(asked, methods=dict(sorted(methods.items()))))}, indent=1) + "\n"
    ).encode()
    if not (out / FILE).is_file() or (out / FILE).read_bytes() != content:
        write_whole(out / FILE, content, what="what is asked of the study to", remedy=REMEDY)


def require_same_methods(study: Study, out: Path, labels: Labels) -> None:
    """Refuse methods of which there are units of other settings, before features are extracted; nothing is written."""
    was = _read(out)
    if was is not None:
        now = {method.label: _settings(study, method, labels) for method in study.methods}
        _require_same(out, was.methods, now)


def require_study(out: Path) -> None:
    """Refuse a folder that holds something else than a study, before anything is written to it."""
    try:
        there = sorted(each.name for each in out.iterdir()) if out.exists() else []
    except OSError as error:
        raise TedmError(f"cannot look into {out}: {error.strerror or error}; name another folder") from error
    # a study that was stopped while its features were extracted has nothing else
    strange = (
        [] if FILE in there else [name for name in there if name not in (FEATURES, f".{FEATURES}.partial", f".{FILE}.partial")]
    )
    if strange:
        raise TedmError(f"{out} is not empty and holds no study ({shown(strange[0])} say); name another folder")


def _require_same(out: Path, was: Mapping[str, JsonValue], now: Mapping[str, JsonValue]) -> None:
    """Refuse settings of methods that are not those of their units."""
    problems = []
    for label in now:
        number = _units_there(out, label) if label in was else 0
        lines = list(_differences(was[label], now[label])) if number else []
        if lines:
            are = f"{counted(number, 'unit')} of it {'is' if number == 1 else 'are'} there"
            place = out / UNITS / folder_name(label)
            problems.append(f"{label}: {listed(lines)}; {are}: give the method another name, or delete {place}")
    raise_listed(f"{out} holds units of other settings", problems)


def _asked(study: Study, features: Features) -> _Asked:
    """Return what decides a unit, as JSON values."""
    labels, learn = features.labels, study.learn
    candidates = labelled_images(labels, split=learn.split, domain=learn.domain)
    scored = [(each, labelled_images(labels, split=each.split, domain=each.domain)) for each in study.score]
    return _Asked(
        features=_plain({**features.settings.to_json(), **features.storage.to_json(), "classes": list(labels.classes)}),
        learn=_plain({**asdict(learn), "counts": study.counts, **_images(features, candidates)}),
        score={str(number): _plain({**asdict(each), **_images(features, of)}) for number, (each, of) in enumerate(scored, 1)},
        methods={method.label: _settings(study, method, labels) for method in study.methods},
    )


def _settings(study: Study, method: MethodAsked, labels: Labels) -> JsonObject:
    """Return the settings of a method: those that it has, what its checkpoint is, and the val images if it needs them."""
    settings = {name: value for name, value in asdict(without_runs(method)).items() if value not in (None, "", {}, False)}
    # said or not: the default method of a version before drew its pixels otherwise, and their units are not to be mixed
    settings["sampling"] = method.sampling or method.settled().sampling
    if method.decided_by_number:
        settings[NETWORK] = OF_PARTS
    if len(labels.classes) > CLASSES_OF_BEFORE and method.decided_by_classes:
        settings["iterations"] = "by the number of classes"
    if method.checkpoint is not None:
        settings["checkpoint"] = _digest_of(study.path(method.checkpoint))
    if needs_val(method):
        settings["val"] = _listed(labels, labelled_images(labels, split="val", domain=study.learn.domain))
    return _plain(settings)


def _plain(values: Mapping[str, Any]) -> JsonObject:
    """Return JSON values as they come back from a file."""
    plain: JsonObject = json.loads(json.dumps(values, default=str))
    return plain


def _images(features: Features, names: Sequence[str]) -> JsonObject:
    """Return images as values that differ where their names, pictures or masks do."""
    return {
        "images": _listed(features.labels, names),
        PICTURES: digest_of_pictures(features, names)[:DIGITS],
        MASKS: digest_of_masks(features, names)[:DIGITS],
    }


def _listed(labels: Labels, names: Sequence[str]) -> str:
    """Return images in words that differ where their names, groups or domains do."""
    rows = sorted((name, labels.groups[at], labels.domains[at]) for name in names for at in (labels.index(name),))
    return f"{counted(len(rows), 'image')} ({sha256(json.dumps(rows).encode()).hexdigest()[:DIGITS]})"


def _digest_of(path: Path) -> str:
    """Return the SHA-256 of a checkpoint, of each of its files where it is a folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    try:
        digests = [digest_of_file(file) for file in files if file.is_file()]
    except OSError as error:
        raise TedmError(f"cannot read the checkpoint {path}: {error.strerror or error}; check the path") from error
    return digests[0] if len(digests) == 1 else sha256("".join(digests).encode()).hexdigest()


def _differences(was: JsonValue, now: JsonValue, name: str = "") -> Iterator[str]:
    """Yield a line for each value that differs."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*was, *now]):
            if key not in CONTENT or was.get(key) is not None:  # a study of before has no word on it
                yield from _differences(was.get(key), now.get(key), f"{name}.{key}" if name else str(key))
    elif was != now and name.rsplit(".", 1)[-1] in CONTENT:
        yield f"{name} are others than when its units were made; delete the units that are there, or name another folder"
    elif was != now:
        yield f"{name} was {_said(was)}, and is {_said(now)} now"


def _said(value: JsonValue) -> str:
    text = "not said" if value is None else json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _units_there(out: Path, label: str) -> int:
    """Return how many units of a method have a head, or a fit under way."""
    folder = out / UNITS / folder_name(label)
    return sum((unit / "head" / "head.json").is_file() or (unit / ".head.fit").exists() for unit in folder.glob("n-*-seed-*"))


def _read(out: Path) -> _Asked | None:
    """Return what was asked before; None if nothing was."""
    path = out / FILE
    if not path.exists():
        return None
    try:
        values = json_of(path)
        asked, version = _Asked(**{each.name: values[each.name] for each in fields(_Asked)}), values.get("format")
        if not all(isinstance(getattr(asked, each.name), dict) for each in fields(_Asked)):
            raise ValueError("its parts are no objects")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TedmError(f"{path} is damaged ({str(error) or repr(error)}); name another folder, or put it back") from error
    if version != FORMAT:
        raise TedmError(f"{path} is of another version of tedm; go on with that one, or name another folder")
    return asked
