"""What a checkpoint, a store or a head is, what it was made from, and what is missing in a store.

Each is a JSON object of titles and values: a script takes it as it is, a reader as lines.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from tedm.errors import TedmError
from tedm.extract import Backbone, load_backbone
from tedm.heads import Segmenter, load_head
from tedm.jsons import JsonObject, JsonValue
from tedm.store import FeatureStore, Labels, Location
from tedm.store.place import is_url
from tedm.store.verification import listed
from tedm.text import columns, counted, shown
from tedm.text import listed as listed_text
from tedm.views import ViewKind

# Problems of a store that are printed; the rest is counted.
MOST = 20
FLOAT16 = 2  # bytes of a number
# Parts of what is said of a head; each of their entries is a line.
PARTS = ("classifier", "fit", "features")


def describe(what: Location, *, config: JsonObject | None = None) -> dict[str, JsonValue]:
    """Say what lies at a place: a head, a store or a checkpoint.

    Parameters
    ----------
    what : str or Path
        A store is listed, not read.
    config : mapping of str to JSON values, or None
        What a checkpoint does not tell; see `tedm.extract.load_backbone`.

    Returns
    -------
    dict of str to JSON values
        By titles; see `describe_head`, `describe_store` and `describe_backbone`.

    Raises
    ------
    TedmError
        If nothing is there, or it is none of these or damaged.
    """
    if is_url(what):
        return describe_store(FeatureStore.open(what))
    path = Path(what)
    if not path.exists():
        raise TedmError(f"{path} does not exist")
    if (path / "head.json").is_file():
        return describe_head(path)
    if FeatureStore.is_store(path) or (path / "zarr.json").is_file():
        return describe_store(FeatureStore.open(path))
    if path.is_dir() and not any((path / name).is_file() for name in ("config.json", "model_index.json")):
        raise TedmError(f"{path} is a folder, but neither a feature store nor a head, nor that of a diffusers model")
    return describe_backbone(load_backbone(path, config), str(path))


def describe_head(path: Path) -> dict[str, JsonValue]:
    """Return what a head is, what it was fitted with, what came of that, and the features that it was fitted on.

    The classifier's arguments, the account of the fit and the features' settings are parts of their own: a head reads some
    of the features' timesteps, may have needed fewer iterations than it was given, and "rows" is a layout or a number.
    """
    head = load_head(path)
    fit = head.provenance.to_json()
    del fit["fingerprints"], fit["fit"]
    fit["order"] = head.provenance.order
    report, curve = head.provenance.report, head.provenance.report.loss_curve
    came_out = {"iterations": report.iterations, "converged": report.converged}
    fit |= {title: value for title, value in came_out.items() if value is not None} | dict(report.details)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return {
        "head": str(path),
        "name": head.label,
        "method": head.method.name,
        **({"as published": True} if head.method.published else {}),
        "timesteps": list(head.method.timesteps),
        "rows": head.method.rows,
        "members": head.method.members,
        "vote": head.method.vote,
        "classifier": {"kind": head.method.head, **head.estimator.constructor()},
        "classes": list(head.classes),
        **({"class names": list(head.class_names)} if head.class_names else {}),
        "bytes": size,
        **({"learned weights": dataclasses.asdict(head.weights)} if head.weights is not None else {}),
        **({"temperature": dataclasses.asdict(head.calibration)} if head.calibration is not None else {}),
        "fit": {**fit, **({"first and last loss": [curve[0], curve[-1]]} if curve else {})},
        "features": _settings(head),
    }


def describe_store(store: FeatureStore) -> dict[str, JsonValue]:
    """Return what a store holds, how large it is, what it was made from, and what its listing shows to be wrong."""
    missing = store.missing()
    files = store.files()
    arrays = {key.split("/", 1)[0] for key in files if "/" in key}
    sizes = {array: sum(size for key, size in files.items() if key.startswith(f"{array}/")) for array in sorted(arrays)}
    known = ("image", "mask", *store.feature_arrays())
    return {
        "store": str(store.path),
        "images": store.labels.summary(),
        **({"volumes": _volumes(store.labels)} if store.labels.volumes else {}),
        "whole": f"{len(store.labels) - len(missing)} of {len(store.labels)}",
        "missing": f"{len(missing)} of {len(store.labels)}" + (f", the first: {missing[0]}" if missing else ""),
        "classes": list(store.labels.classes),
        **({"class names": list(store.labels.called)} if store.labels.class_names else {}),
        "bytes": sum(files.values()),
        "files": len(files),
        **{f"bytes of {array}": size for array, size in sizes.items() if array in known},
        **({"views": _views(inside)} if (inside := store.view_store()) is not None else {}),
        **store.provenance,
        **_settings(store),
        "problems": [str(problem) for problem in listed(store)],
    }


def _views(store: FeatureStore) -> str:
    """Return how many views there are, and how they were made."""
    kind = ViewKind.recorded(store.provenance, store.path)
    whole = len(store.labels) - len(store.missing())
    return f"{whole} of {len(store.labels)}, changes {kind.changes}, seed {kind.seed}; tedm-inspect {store.path} tells more"


def _volumes(labels: Labels) -> str:
    """Return how many volumes there are, of how many patients, and how many of them have all their slices."""
    whole = sum(len(labels.positions_in(at)) == len(volume.indices) for at, volume in enumerate(labels.volumes))
    groups = len({labels.groups[at] for number in range(len(labels.volumes)) for at in labels.positions_in(number)})
    return f"{counted(len(labels.volumes), 'volume')} of {counted(groups, 'group')}, {whole} with all slices"


def describe_backbone(backbone: Backbone, name: str) -> dict[str, JsonValue]:
    """Return what a backbone is, and all levels that an extraction can take; bytes are an image's at one timestep."""
    return {
        "checkpoint": name,
        "family": backbone.family,
        "parameters": backbone.parameters,
        "image size": backbone.image_size,
        "image channels": backbone.image_channels,
        "schedule": f"{backbone.schedule.name}, {backbone.schedule.timesteps_total} timesteps",
        "training iterations": backbone.step,
        "training range": list(backbone.training_range),
        "predicts": backbone.predicts,
        "sizes": f"multiples of {backbone.size_multiple}",
        "sha256": backbone.sha256,
        **({"remarks": list(backbone.remarks)} if backbone.remarks else {}),
        "presets": {name: list(levels) for name, levels in backbone.presets.items()},
        "levels": [
            {
                "index": index,
                **dataclasses.asdict(level),
                "module": tap,
                "bytes native": level.channels * (backbone.image_size // level.stride) ** 2 * FLOAT16,
                "bytes upsampled": level.channels * backbone.image_size**2 * FLOAT16,
            }
            for index, (level, tap) in enumerate(zip(backbone.levels, backbone.taps, strict=True))
        ],
        "channels": sum(level.channels for level in backbone.levels),
    }


def description_lines(about: JsonObject) -> list[str]:
    """Lay out what `describe` returns as lines: titles and values, the levels of a checkpoint, the problems of a store."""
    rest = _with_names(about)
    problems = cast(Sequence[str], rest.pop("problems", ()))
    of_checkpoint = "family" in rest and "presets" in rest
    levels = cast(Sequence[JsonObject], rest.pop("levels", ()) if of_checkpoint else ())
    lines = {shown(title): text for title, text in _lines(rest)}
    width = max(map(len, lines))
    more = [f"and {len(problems) - MOST} more problems (--json lists all)"] if len(problems) > MOST else []
    return [*(f"{title:<{width}}  {text}" for title, text in lines.items()), *_level_table(levels), *problems[:MOST], *more]


def _with_names(about: JsonObject) -> dict[str, JsonValue]:
    """Return the description with the name of each class behind its value, where it has one."""
    rest = dict(about)
    values, names = (cast(Sequence[JsonValue], rest.get(title, ())) for title in ("classes", "class names"))
    if names and len(names) == len(values):
        del rest["class names"]
        pairs = zip(values, names, strict=True)
        rest["classes"] = [f"{value} ({name})" if name not in ("", f"class {value}") else str(value) for value, name in pairs]
    return rest


def _level_table(levels: Sequence[JsonObject]) -> list[str]:
    """Lay out levels one a line, the titles above."""
    rows = [list(level) for level in levels[:1]] + [[str(value) for value in level.values()] for level in levels]
    return columns(rows, left=len(rows[0])) if rows else []


def _settings(made: Segmenter | FeatureStore) -> dict[str, JsonValue]:
    """Return settings, arithmetic and storage of a store or a head."""
    arithmetic = {f"arithmetic {name}": value for name, value in vars(made.arithmetic).items()}
    return {**made.settings.to_json(), **made.storage.to_json(), **arithmetic}


def _lines(about: JsonObject) -> Iterator[tuple[str, str]]:
    """Yield a title and a text for each entry, and for each of those parts whose entries have names of other entries."""
    for title, value in about.items():
        if title in PARTS and isinstance(value, Mapping):
            yield from ((f"{title} {name.replace('_', ' ')}", _text(inner)) for name, inner in value.items())
        else:
            yield title, _text(value)


def _text(value: JsonValue) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{shown(key)}: {_text(item)}" for key, item in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(part, Mapping) for part in value):
            return "; ".join(", ".join(f"{shown(key)} {_text(item)}" for key, item in part.items()) for part in value)
        return listed_text(value[:12]) + (f", ... ({len(value)})" if len(value) > 12 else "")
    return "-" if value in (None, "") else shown(str(value))
