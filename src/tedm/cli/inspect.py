"""tedm-inspect: what is in a checkpoint, a store or a head."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from tedm.cli import options
from tedm.cli.environment import environment_here
from tedm.cli.running import plain_errors
from tedm.errors import TedmError

# Problems of a store that are printed; the rest is counted.
MOST = 20


@click.command()
@click.argument("what", metavar="[CHECKPOINT|STORE|HEAD]", type=options.STORE, required=False)
@click.option("--environment", is_flag=True, help="Versions, devices, memory and free space, to paste into a bug report.")
@options.JSON
@options.VERSION
@plain_errors
def main(what: Path | str | None, environment: bool, as_json: bool) -> None:
    """Say what CHECKPOINT, STORE or HEAD is, what it was made from, and what is missing in a store.

    A store is listed, not read: tedm-verify reads it.
    """
    if (what is None) != environment:
        raise click.UsageError("name a checkpoint, a store or a head, or ask for --environment")
    about = environment_here() if what is None else _about(what)
    if as_json:
        click.echo(json.dumps(about, indent=1))
        return
    problems = about.pop("problems", [])
    width = max(map(len, about))
    for title, value in about.items():
        click.echo(f"{title:<{width}}  {_text(value)}")
    for problem in problems[:MOST]:
        click.echo(problem)
    if len(problems) > MOST:
        click.echo(f"and {len(problems) - MOST} more problems (--json lists all)")


def _about(what: Path | str) -> dict[str, Any]:
    """Whatever it is."""
    from tedm.store import FeatureStore
    from tedm.store.place import is_url

    if is_url(what):
        return _store(what)
    path = Path(what)
    if not path.exists():
        raise TedmError(f"{path} does not exist")
    if (path / "head.json").is_file():
        return _head(path)
    if FeatureStore.is_store(path) or (path / "zarr.json").is_file():
        return _store(path)
    if path.is_dir():
        raise TedmError(f"{path} is a folder, but neither a feature store nor a head")
    return _checkpoint(path)


def _head(path: Path) -> dict[str, Any]:
    from tedm.heads import load_head

    head = load_head(path)
    about = dict(head.provenance)
    curve = about.pop("loss_curve", None)
    about.pop("validation_curve", None)
    size = sum(file.stat().st_size for file in path.iterdir())
    return {
        "head": str(path),
        **{title: value for title, value in dataclasses.asdict(head.method).items() if title != "name"},
        "method": head.method.name,
        "classes": list(head.classes),
        "bytes": size,
        **about,
        **({"first and last loss": [curve[0], curve[-1]]} if curve else {}),
        **_settings(head),
    }


def _store(path: Path | str) -> dict[str, Any]:
    from tedm.store import FeatureStore
    from tedm.store.verify import listed

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


def _checkpoint(path: Path) -> dict[str, Any]:
    from tedm.extract.checkpoint import load_backbone

    backbone = load_backbone(path)
    return {
        "checkpoint": str(path),
        "family": backbone.family,
        "parameters": backbone.parameters,
        "image size": backbone.image_size,
        "image channels": backbone.image_channels,
        "schedule": f"{backbone.schedule.name}, {backbone.schedule.timesteps_total} timesteps",
        "training iterations": backbone.step,
        "training range": list(backbone.training_range),
        "levels": [dataclasses.asdict(level) for level in backbone.levels],
        "channels": sum(level.channels for level in backbone.levels),
        "sha256": backbone.sha256,
    }


def _settings(of: Any) -> dict[str, Any]:
    """Settings, arithmetic and storage of a store or a head."""
    return {**of.settings.to_json(), **of.storage.to_json(), **{f"arithmetic {k}": v for k, v in vars(of.arithmetic).items()}}


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        if value and isinstance(value[0], dict):
            return "; ".join(", ".join(f"{key} {item}" for key, item in part.items()) for part in value)
        shown = ", ".join(map(str, value[:12]))
        return shown + (f", ... ({len(value)})" if len(value) > 12 else "")
    return "-" if value in (None, "") else str(value)
