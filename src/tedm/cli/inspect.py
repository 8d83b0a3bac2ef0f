"""tedm-inspect: what is in a checkpoint, a store or a head."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tedm.cli import backbones, options
from tedm.cli.environment import environment_here
from tedm.cli.running import plain_errors
from tedm.errors import TedmError

# Problems of a store that are printed; the rest is counted.
MOST = 20
FLOAT16 = 2  # bytes of a number
# Parts of what is said of a head; each of their entries is a line.
PARTS = ("classifier", "fit", "features")


@click.command()
@click.argument("what", metavar="[CHECKPOINT|STORE|HEAD]", type=options.STORE, required=False)
@click.option("--backbone", metavar="MODULE:FUNCTION", default=None, help="In place of a checkpoint: a function of yours.")
@backbones.CONFIG
@click.option("--environment", is_flag=True, help="Versions, devices, memory and free space, to paste into a bug report.")
@options.JSON
@options.VERSION
@plain_errors
def main(what: Path | str | None, backbone: str | None, backbone_config: Path | None, environment: bool, as_json: bool) -> None:
    """Say what CHECKPOINT, STORE or HEAD is, what it was made from, and what is missing in a store.

    A store is listed, not read: tedm-verify reads it. Of a checkpoint, all levels are listed that tedm-extract --levels takes.
    """
    if (what is not None) + (backbone is not None) + environment != 1:
        raise click.UsageError("name a checkpoint, a store or a head, or a --backbone, or ask for --environment")
    about = environment_here() if environment else _about(what, backbone, backbone_config)
    if as_json:
        click.echo(json.dumps(about, indent=1))
        return
    problems = about.pop("problems", [])
    levels = about.pop("levels", []) if "family" in about and "presets" in about else []
    lines = dict(_lines(about))
    width = max(map(len, lines))
    for title, text in lines.items():
        click.echo(f"{title:<{width}}  {text}")
    for line in _level_table(levels):
        click.echo(line)
    for problem in problems[:MOST]:
        click.echo(problem)
    if len(problems) > MOST:
        click.echo(f"and {len(problems) - MOST} more problems (--json lists all)")


def _about(what: Path | str | None, backbone: str | None, backbone_config: Path | None) -> dict[str, Any]:
    """Whatever it is."""
    from tedm.store import FeatureStore
    from tedm.store.place import is_url

    if what is None:
        return _backbone(None, backbone, backbone_config)
    if is_url(what):
        return _store(what)
    path = Path(what)
    if not path.exists():
        raise TedmError(f"{path} does not exist")
    if (path / "head.json").is_file():
        return _head(path)
    if FeatureStore.is_store(path) or (path / "zarr.json").is_file():
        return _store(path)
    if path.is_dir() and not any((path / name).is_file() for name in ("config.json", "model_index.json")):
        raise TedmError(f"{path} is a folder, but neither a feature store nor a head, nor that of a diffusers model")
    return _backbone(path, None, backbone_config)


def _head(path: Path) -> dict[str, Any]:
    """Return what a head is, what it was fitted with, what came of that, and the features that it was fitted on.

    The classifier's arguments, the account of the fit and the features' settings are parts of their own: a head reads some
    of the features' timesteps, may have needed fewer iterations than it was given, and "rows" is a layout or a number.
    """
    from tedm.heads import load_head

    head = load_head(path)
    fit = head.provenance.to_json()
    del fit["fingerprints"], fit["fit"]
    report, curve = head.provenance.report, head.provenance.report.loss_curve
    came_out = {"iterations": report.iterations, "converged": report.converged}
    fit |= {title: value for title, value in came_out.items() if value is not None} | dict(report.details)
    size = sum(file.stat().st_size for file in path.iterdir())
    return {
        "head": str(path),
        "name": head.label,
        "method": head.method.name,
        "timesteps": list(head.method.timesteps),
        "rows": head.method.rows,
        "members": head.method.members,
        "vote": head.method.vote,
        "classifier": {"kind": head.method.head, **head.estimator.constructor()},
        "classes": list(head.classes),
        "bytes": size,
        **({"learned weights": dataclasses.asdict(head.weights)} if head.weights is not None else {}),
        **({"temperature": dataclasses.asdict(head.calibration)} if head.calibration is not None else {}),
        "fit": {**fit, **({"first and last loss": [curve[0], curve[-1]]} if curve else {})},
        "features": _settings(head),
    }


def _store(path: Path | str) -> dict[str, Any]:
    from tedm.store import FeatureStore
    from tedm.store.verification import listed

    store = FeatureStore.open(path)
    missing = store.missing()
    files = store.files()
    arrays = {key.split("/", 1)[0] for key in files if "/" in key}
    of_array = {array: sum(size for key, size in files.items() if key.startswith(f"{array}/")) for array in sorted(arrays)}
    return {
        "store": str(path),
        "images": store.labels.summary(),
        "whole": f"{len(store.labels) - len(missing)} of {len(store.labels)}",
        "missing": f"{len(missing)} of {len(store.labels)}" + (f", the first: {missing[0]}" if missing else ""),
        "classes": list(store.labels.classes),
        "bytes": sum(files.values()),
        "files": len(files),
        **{
            f"bytes of {array}": size for array, size in of_array.items() if array in ("image", "mask", *store.feature_arrays())
        },
        **store.provenance,
        **_settings(store),
        "problems": [str(problem) for problem in listed(store)],
    }


def _backbone(path: Path | None, function: str | None, config: Path | None) -> dict[str, Any]:
    backbone = backbones.load(path, function, config)
    assert backbone is not None  # a path or a function is given
    return {
        "checkpoint": str(path or function),
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


def _level_table(levels: list[dict[str, Any]]) -> list[str]:
    """Levels one a line, the titles above; bytes are an image's at one timestep, in float16."""
    rows = [list(level) for level in levels[:1]] + [[str(value) for value in level.values()] for level in levels]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _settings(of: Any) -> dict[str, Any]:
    """Settings, arithmetic and storage of a store or a head."""
    return {**of.settings.to_json(), **of.storage.to_json(), **{f"arithmetic {k}": v for k, v in vars(of.arithmetic).items()}}


def _lines(about: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a title and a text for each entry, and for each of those parts whose entries have names of other entries."""
    for title, value in about.items():
        if title in PARTS and isinstance(value, dict):
            yield from ((f"{title} {name.replace('_', ' ')}", _text(inner)) for name, inner in value.items())
        else:
            yield title, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_text(item)}" for key, item in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        if value and isinstance(value[0], dict):
            return "; ".join(", ".join(f"{key} {item}" for key, item in part.items()) for part in value)
        shown = ", ".join(map(str, value[:12]))
        return shown + (f", ... ({len(value)})" if len(value) > 12 else "")
    return "-" if value in (None, "") else str(value)
