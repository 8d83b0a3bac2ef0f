"""tedm-inspect: what is in a checkpoint, a store or a head."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tedm.cli.shared import backbones, options
from tedm.cli.shared.running import Command, plain_errors

if TYPE_CHECKING:
    from tedm.jsons import JsonObject


@click.command(cls=Command)
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
    from tedm.extract.backbones import read_config
    from tedm.study import describe, describe_backbone, description_lines, environment_here

    about: JsonObject
    if environment:
        about = environment_here()
    elif what is not None:
        about = describe(what, config=None if backbone_config is None else read_config(backbone_config))
    else:
        loaded = backbones.load(None, backbone, backbone_config)
        assert loaded is not None  # one of the three is given
        about = describe_backbone(loaded, str(backbone))
    click.echo(json.dumps(about, indent=1) if as_json else "\n".join(description_lines(about)))


if __name__ == "__main__":
    main()
