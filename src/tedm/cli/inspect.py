"""tedm-inspect: what is in a checkpoint, a store or a head."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from tedm.cli import options
from tedm.cli.running import plain_errors
from tedm.errors import TedmError


@click.command()
@click.argument("what", metavar="CHECKPOINT|STORE|HEAD", type=options.PATH)
@options.JSON
@options.VERSION
@plain_errors
def main(what: Path, as_json: bool) -> None:
    """Say what CHECKPOINT, STORE or HEAD is and what it was made from."""
    from tedm.store import FeatureStore

    if not what.exists():
        raise TedmError(f"{what} does not exist")
    if (what / "head.json").is_file():
        about = _head(what)
    elif FeatureStore.is_store(what) or (what / "zarr.json").is_file():
        about = _store(what)
    elif what.is_dir():
        raise TedmError(f"{what} is a folder, but neither a feature store nor a head")
    else:
        about = _checkpoint(what)
    if as_json:
        click.echo(json.dumps(about, indent=1))
        return
    width = max(map(len, about))
    for title, value in about.items():
        click.echo(f"{title:<{width}}  {_text(value)}")


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


def _store(path: Path) -> dict[str, Any]:
    from tedm.store import FeatureStore

    store = FeatureStore.open(path)
    missing = store.missing()
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return {
        "store": str(path),
        "images": store.labels.summary(),
        "missing": f"{len(missing)} of {len(store.labels)}" + (f", the first: {missing[0]}" if missing else ""),
        "classes": list(store.labels.classes),
        "bytes": size,
        **store.provenance,
        **_settings(store),
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
