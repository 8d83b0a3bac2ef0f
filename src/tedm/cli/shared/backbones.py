"""The options that name a backbone, and the backbone that they name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tedm.cli.shared import options
from tedm.cli.shared.running import say

if TYPE_CHECKING:
    from tedm.extract import Backbone

CONFIG = click.option(
    "--backbone-config",
    type=options.PATH,
    default=None,
    help="JSON with what the checkpoint does not tell, under its project's names (docs/backbones.md).",
)


def backbone_options(checkpoint_help: str) -> Callable[[options.FC], options.FC]:
    """Add `--checkpoint`, `--backbone` and `--backbone-config`; parameters `checkpoint`, `backbone` and `backbone_config`."""

    def decorate(command: options.FC) -> options.FC:
        command = CONFIG(command)
        command = click.option(
            "--backbone",
            metavar="MODULE:FUNCTION",
            default=None,
            help="In place of --checkpoint: a function of yours that returns a network, its schedule and what to tap.",
        )(command)
        return click.option("--checkpoint", type=options.PATH, default=None, help=checkpoint_help)(command)

    return decorate


def load(checkpoint: Path | None, backbone: str | None, backbone_config: Path | None) -> Backbone | None:
    """Load the backbone that these options name; return None if they name none."""
    from tedm.extract import load_backbone
    from tedm.extract.backbones import own_backbone, read_config

    if checkpoint is not None and backbone is not None:
        raise click.UsageError("--checkpoint and --backbone name two backbones; give one of them")
    if checkpoint is None and backbone is None:
        if backbone_config is not None:
            raise click.UsageError("--backbone-config goes with --checkpoint or --backbone")
        return None
    config = None if backbone_config is None else read_config(backbone_config)
    if checkpoint is None and backbone:
        return own_backbone(backbone, config)
    loaded = load_backbone(Path(str(checkpoint)), config)
    for remark in loaded.remarks:
        say(f"note: {remark}")
    return loaded
