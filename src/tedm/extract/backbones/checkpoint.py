"""Checkpoints: files that hold a backbone, read without trusting them.

A `.pt` file is a pickle, and a pickle is a program. torch's restricted reader runs none of it; beside tensors and plain values
the one class that it may make is `argparse.Namespace`, the settings in the published files. Our own checkpoints are safetensors
files with the settings as JSON in the metadata, and hold nothing that could run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import safetensors
import torch
from torch import Tensor

from tedm.errors import TedmError
from tedm.files import write_whole
from tedm.jsons import JsonObject, JsonValue

from . import tedm
from .backbone import Backbone
from .config import read_config
from .families import build_backbone
from .family import METADATA_KEY, Content
from .unsupported import unsupported_kind

# where training codes keep averaged weights, and the others
AVERAGED = ("ema", "ema_state_dict", "model_ema", "ema_model", "state_dict_ema", "ema_model_state_dict")
PLAIN = ("model_state_dict", "state_dict", "model", "unet")
WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")


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
    settings = dict(config or {})
    asked = settings.pop("family", None) if family is None else family
    if asked is not None and not isinstance(asked, str):
        raise TedmError(f"the setting 'family' for checkpoint {path} is {asked!r}; expected the name of a family, \"tedm\" say")
    if settings:
        both = hashlib.sha256(f"{content.sha256} {json.dumps(settings, sort_keys=True)}".encode()).hexdigest()
        content = replace(content, config={**content.config, **settings}, sha256=both)
    what = unsupported_kind(content) if asked is None else None
    if what:
        raise TedmError(f"checkpoint {path} is {what}")
    return build_backbone(content, family=asked)


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
        If there is no such file, it is no checkpoint, or it would run code.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise TedmError(f"there is no checkpoint {path}; check the path")
    sha256, tensors, config, step = _read_file(path)
    return Content(name=str(path), sha256=sha256, tensors=_plain_names(tensors), config=config, step=step)


def _read_folder(path: Path) -> Content:
    """Read a folder of diffusers: a UNet's, or that of a pipeline with one."""
    pipeline, where = path / "model_index.json", path
    if pipeline.is_file():
        where = next((path / name for name in ("unet_ema", "unet") if (path / name / "config.json").is_file()), path / "unet")
    if not (where / "config.json").is_file():
        raise TedmError(
            f"{path} is a folder, but not that of a diffusers model ({where.name}/config.json is not there); "
            "name the .pt or .safetensors file in it"
        )
    weights = next((where / name for name in WEIGHTS if (where / name).is_file()), None)
    if weights is None:
        raise TedmError(f"{where} has none of {', '.join(WEIGHTS)}; download the model's weights, too")
    config = read_config(where / "config.json")
    beside = (where / "scheduler_config.json", where.parent / "scheduler" / "scheduler_config.json")
    scheduler = next((each for each in beside if each.is_file()), None)
    if scheduler is not None:
        config["scheduler"] = read_config(scheduler)
    sha256, tensors, _, _ = _read_file(weights)
    both = hashlib.sha256(f"{sha256} {json.dumps(config, sort_keys=True)}".encode()).hexdigest()
    return Content(name=str(path), sha256=both, tensors=_plain_names(tensors), config=config, step=None)


def _plain_names(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return names without what wrappers for several GPUs and compilers put before them."""
    plain = {re.sub(r"(^|(?<=\.))(module|_orig_mod)\.", "", name): tensor for name, tensor in tensors.items()}
    return plain if len(plain) == len(tensors) else tensors


def _read_file(path: Path) -> tuple[str, Mapping[str, Tensor], dict[str, JsonValue], int | None]:
    """Return the hash, tensors, settings and iterations of one file."""
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            start = file.read(9)
    except OSError as error:
        raise TedmError(f"cannot read the checkpoint {path}: {error.strerror}; check the path and its permissions") from error
    # safetensors begins with the length of its header and the header's brace; a pickle or zip archive never does
    if start[8:] == b"{" or path.suffix == ".safetensors":
        return sha256, *_read_safetensors(path)
    return sha256, *_read_pickle(path)


def _read_safetensors(path: Path) -> tuple[Mapping[str, Tensor], dict[str, JsonValue], int | None]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (the file is not a mapping)
        settings = json.loads(metadata.get(METADATA_KEY, "{}"))
        return tensors, dict(settings.get("config", {})), settings.get("step")
    except (safetensors.SafetensorError, OSError, ValueError, AttributeError, TypeError) as error:
        raise _no_checkpoint(path, str(error)) from error


def _read_pickle(path: Path) -> tuple[Mapping[str, Tensor], dict[str, JsonValue], int | None]:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of pickles that it did not write, before it refuses them
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's text is long and advises to trust the file; the one thing in it that the user needs is the name
        if refused := re.search(
            r"(?:GLOBAL |function |class )`?([\w.]+)`?[^\n]*(?:was not an allowed|not allowed|blocked)", str(error)
        ):
            raise TedmError(
                f"checkpoint {path} would run code when read: it asks for {refused[1]}, and only tensors, plain values and "
                "argparse.Namespace are allowed. Nothing was run. Use a checkpoint that holds weights and settings only."
            ) from error
        raise _no_checkpoint(path, "it holds something other than tensors and settings, or is damaged") from error
    except Exception as error:  # damaged bytes fail in torch's reader in as many ways as there are bytes
        raise _no_checkpoint(path, f"{type(error).__name__} while reading, so it is damaged or something else") from error
    state, settings, step = loaded, {}, None
    if isinstance(loaded, Mapping):
        kept = next((key for key in (*AVERAGED, *PLAIN) if isinstance(loaded.get(key), Mapping) and loaded[key]), None)
        if kept is not None:
            state, settings, step = loaded[kept], loaded.get("config", {}), loaded.get("step")
            of_average = {
                name.removeprefix("ema_model."): each for name, each in state.items() if name.startswith("ema_model.")
            }
            state = of_average or state
    if not isinstance(state, Mapping) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise _no_checkpoint(path, f"it is no state dictionary and has none as {', '.join(PLAIN)}")
    config = vars(settings) if isinstance(settings, argparse.Namespace) else settings
    return state, dict(config) if isinstance(config, Mapping) else {}, step if isinstance(step, int) else None


def _no_checkpoint(path: Path, reason: str) -> TedmError:
    return TedmError(
        f"{path} is no checkpoint that can be read: {reason}. Use a .pt or .safetensors file as its training wrote it."
    )
