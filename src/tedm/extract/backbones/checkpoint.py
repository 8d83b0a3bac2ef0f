"""Checkpoints: files that hold a backbone, read without trusting them.

A `.pt` file is a pickle, and a pickle is a program. It is looked through first, and torch's restricted reader runs none of it:
beside tensors and plain values there may be a few harmless classes, for which plain values are put (`files.stand_ins`). Our own
checkpoints are safetensors files with the settings as JSON in the metadata, and hold nothing that could run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from tedm.errors import TedmError
from tedm.files import write_whole
from tedm.jsons import JsonObject
from tedm.text import listed

from . import tedm
from .backbone import Backbone
from .families import build_backbone
from .family import Content, channel_remarks
from .files.folder import read_folder
from .files.kind import no_checkpoint
from .files.plain import plain_settings
from .files.reading import FileContent, read_file, require_own_memory
from .files.weights import PLAIN, Weights, choose_weights
from .unsupported import contrasted_kind, unsupported_kind

LONGEST = 2000  # characters of a refusal


def load_backbone(path: Path, config: JsonObject | None = None, *, family: str | None = None) -> Backbone:
    """Read a checkpoint; nothing in it is executed.

    Parameters
    ----------
    path : Path
        A file of the published code (`.pt`: "model_state_dict", "config", "step"), or one of ours (`.safetensors`). Its
        bytes are judged, not its name. Of the other families, see `docs/backbones.md`.
    config : mapping, optional
        Settings that the file does not hold, under the names of the project that the network is of; they come before the
        file's own, and are part of the backbone's `sha256`. A setting "family" is the next argument.
    family : str, optional
        Name of a built-in family, or of one that another package brings (`tedm.extract.backbones.families`); by default the
        first that recognises the checkpoint.

    Returns
    -------
    Backbone
        In float32 on the CPU, with all its levels.

    Raises
    ------
    TedmError
        If there is no such file, it is no checkpoint, would run code, is of an architecture that we do not know, or its
        settings and tensors contradict each other.
    """
    content = read_content(path)
    contrasted = contrasted_kind(content)  # by its own settings: no others make a backbone of it
    settings = dict(config or {})
    asked = settings.pop("family", None) if family is None else family
    if asked is not None and not isinstance(asked, str):
        raise TedmError(f"the setting 'family' for checkpoint {path} is {asked!r}; expected the name of a family, \"tedm\" say")
    if settings:
        told = plain_settings(settings, content.name)  # before they are written: they may be too deep for that
        both = hashlib.sha256(f"{content.sha256} {json.dumps(settings, sort_keys=True)}".encode()).hexdigest()
        content = replace(content, config={**content.config, **told}, sha256=both)
    what = contrasted or (unsupported_kind(content) if asked is None else None)
    if what:
        raise TedmError(f"checkpoint {path} is {what}")
    try:
        backbone = build_backbone(content, family=asked)
    except TedmError as error:
        text = str(error)
        if len(text) <= LONGEST:
            raise
        # a setting can be a list of thousands
        raise TedmError(f"{text[: LONGEST // 2]} ... {text[-LONGEST // 4 :]}") from error
    of_channels = channel_remarks(backbone.image_channels, backbone.channel_names)
    return replace(backbone, remarks=(*content.remarks, *backbone.remarks, *of_channels))


def save_backbone(backbone: Backbone, path: Path) -> str:
    """Write a backbone as a safetensors file, all at once or not at all.

    Equal backbones give equal files; `load_backbone` gives back the same weights, bit for bit, and all levels.

    Parameters
    ----------
    backbone : Backbone
        In float32 (bfloat16 would lose what it has rounded).
    path : Path
        The file; one that is there is replaced.

    Returns
    -------
    str
        SHA-256 of the file, hexadecimal.

    Raises
    ------
    TedmError
        If the backbone was cast to bfloat16, or the file cannot be written.
    """
    if backbone.precision != "float32":
        raise TedmError(f"the weights were rounded to {backbone.precision}; save the backbone before preparing it")
    if backbone.family != tedm.NAME:
        raise TedmError(
            f"backbones of the family {backbone.family} are not written by tedm; copy the file that it was read from"
        )
    data = tedm.content(backbone).to_bytes()
    write_whole(path, data, what="the checkpoint", remedy="choose another path or make room")
    return hashlib.sha256(data).hexdigest()


def read_content(path: Path) -> Content:
    """Return the tensors and settings of a checkpoint of any family.

    Raises
    ------
    TedmError
        If there is no such file, it is no checkpoint, would run code, or promises more than it holds.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise TedmError(f"there is no checkpoint {path}; check the path")
    read = read_file(path)
    weights = _weights(path, read)
    return Content(
        name=str(path),
        sha256=read.sha256,
        tensors=weights.tensors,
        config=plain_settings(read.settings if read.settings is not None else _settings_beside(read.loaded), str(path)),
        step=_step(read),
        schedule=weights.schedule,
        remarks=weights.remarks,
    )


def _read_folder(path: Path) -> Content:
    """Read a folder of diffusers; weights in several files are one state dictionary."""
    folder = read_folder(path)
    parts = [(file, read_file(file)) for file in folder.weights]
    tensors: dict[str, Tensor] = {}
    for file, part in parts:
        tensors.update(_weights(file, part).tensors)
    config = plain_settings(folder.config, str(path))
    hashes = " ".join(part.sha256 for _, part in parts)
    both = hashlib.sha256(f"{hashes} {json.dumps(folder.config, sort_keys=True)}".encode()).hexdigest()
    return Content(name=str(path), sha256=both, tensors=tensors, config=config, step=None, remarks=folder.remarks)


def _weights(path: Path, read: FileContent) -> Weights:
    weights = choose_weights(read.loaded)
    if weights is None:
        raise no_checkpoint(path, f"it is no state dictionary and has none as {listed(PLAIN[:4])}")
    require_own_memory({**weights.schedule, **weights.tensors}, str(path))
    return weights


def _settings_beside(loaded: object) -> object:
    """Return the settings that lie beside weights: those of a published file, or of Lightning where they are the network's."""
    if not isinstance(loaded, Mapping):
        return None
    settings = loaded.get("config")
    if settings is not None:
        return settings
    parameters = loaded.get("hyper_parameters")
    return parameters if isinstance(parameters, Mapping) and {"dim", "dim_mults"} <= parameters.keys() else None


def _step(read: FileContent) -> int | None:
    found = read.step
    if found is None and isinstance(read.loaded, Mapping):
        found = next((read.loaded[key] for key in ("step", "global_step") if key in read.loaded), None)
    if isinstance(found, Tensor) and found.numel() == 1 and not found.is_floating_point() and not found.is_complex():
        found = found.item()
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 2**63 else None
