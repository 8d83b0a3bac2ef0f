"""The commands in the order of the work, and where they are: known by name, imported when they are called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import click

# What each does, as `tedm --help` lists it.
COMMANDS: Mapping[str, str] = {
    "run": "Do it all: from images to masks, scores and a report.",
    "pretrain": "Train a small diffusion model on unlabelled images.",
    "extract": "Turn images into a store of the diffusion model's features.",
    "label": "Add masks, splits and groups to a store that is there.",
    "fit": "Learn a head from the labelled images of a store.",
    "evaluate": "Score heads on labelled images.",
    "predict": "Write masks with a head.",
    "view": "Paint strokes in napari and learn from them.",
    "probe": "See which timesteps and levels are worth what.",
    "report": "Show evaluations and probes as one HTML file.",
    "rank": "Say which image to annotate next.",
    "study": "Compare methods, training sizes and domains, from one file.",
    "inspect": "Say what a checkpoint, a store or a head is.",
    "verify": "Read a store again and name what is damaged.",
    "export": "Write a head as a model that travels: for a hub, and as ONNX.",
    "export-nnunet": "Write a store as a raw data set of nnU-Net.",
    "demo": "See all of it on a brain template.",
}
# Of those that stand in a folder of their own, which.
FOLDERS: Mapping[str, str] = {"export": "exports", "export-nnunet": "exports"}


def command_named(name: str) -> click.Command:
    """Import a command's module and return the command.

    Parameters
    ----------
    name : str
        One of `COMMANDS`.
    """
    module = ".".join(part for part in ("tedm.cli", FOLDERS.get(name), name.replace("-", "_")) if part)
    command = importlib.import_module(module).main
    assert isinstance(command, click.Command)
    return command


def name_of(command: click.Command) -> str:
    """Return what a command is called, by its module: `tedm extract` and `tedm-extract` are "extract"."""
    module = getattr(command.callback, "__module__", "")
    return str(module).rpartition(".")[2].replace("_", "-")
