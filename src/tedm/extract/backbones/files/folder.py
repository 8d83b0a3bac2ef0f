"""Folders of Hugging Face diffusers: which files in them are the UNet's settings, weights and noise schedule."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tedm.errors import TedmError
from tedm.jsons import JsonValue
from tedm.text import listed

from ..config import read_config

STEM = "diffusion_pytorch_model"
SUFFIXES = ("safetensors", "bin")
MOST_SHARDS = 1000


@dataclass(frozen=True)
class Folder:
    """A UNet's folder.

    Parameters
    ----------
    weights : tuple of Path
        The file of the weights, or the files that share them.
    config : dict of str to JSON values
        The UNet's settings, with those of its noise schedule as "scheduler".
    remarks : tuple of str
        Which weights were taken, where that is not plain.
    """

    weights: tuple[Path, ...]
    config: dict[str, JsonValue]
    remarks: tuple[str, ...]


def read_folder(path: Path) -> Folder:
    """Find the parts of a UNet: its own folder, or that of a pipeline with one.

    Weights in one file come before those in several, and those in full precision before a variant such as fp16.

    Raises
    ------
    TedmError
        If there is no UNet, its weights are not all there, or there are only variants and several of them.
    """
    pipeline, where = path / "model_index.json", path
    if pipeline.is_file():
        where = next((path / name for name in ("unet_ema", "unet") if (path / name / "config.json").is_file()), path / "unet")
    if not (where / "config.json").is_file():
        raise TedmError(
            f"{path} is a folder, but not that of a diffusers model ({where.name}/config.json is not there); "
            "name the .pt or .safetensors file in it"
        )
    remarks: list[str] = []
    if where.name == "unet_ema" and (path / "unet").is_dir():
        remarks.append("the averaged weights (unet_ema) are used, not those of the last iteration (unet)")
    weights = _full(where)
    if weights is None:
        variants = _variants(where)
        if not variants:
            names = [f"{STEM}.{suffix}{index}" for suffix in SUFFIXES for index in ("", ".index.json")]
            raise TedmError(f"{where} has none of {listed(names)}; download the model's weights, too")
        if len(variants) > 1:
            raise TedmError(
                f"{where} has no weights but variants of them, and several: {listed(sorted(variants))}; "
                "download the full weights, or keep the variant that is to be used"
            )
        [(variant, weights)] = variants.items()
        remarks.append(f"the folder has no full weights; its variant {variant} is used, and computed with in float32")
    config = read_config(where / "config.json")
    beside = (where / "scheduler_config.json", where.parent / "scheduler" / "scheduler_config.json")
    scheduler = next((each for each in beside if each.is_file()), None)
    if scheduler is not None:
        config["scheduler"] = read_config(scheduler)
    return Folder(weights, config, tuple(remarks))


def _full(where: Path) -> tuple[Path, ...] | None:
    for suffix in SUFFIXES:
        if (where / f"{STEM}.{suffix}").is_file():
            return (where / f"{STEM}.{suffix}",)
    for suffix in SUFFIXES:
        index = where / f"{STEM}.{suffix}.index.json"
        if index.is_file():
            return _shards(index)
    return None


def _variants(where: Path) -> dict[str, tuple[Path, ...]]:
    """Return the files of each variant by its name."""
    found: dict[str, tuple[Path, ...]] = {}
    for suffix in SUFFIXES:
        for file in sorted(where.glob(f"{STEM}.*")):
            single = re.fullmatch(rf"{STEM}\.([\w-]+)\.{suffix}", file.name)
            several = re.fullmatch(rf"{STEM}\.{suffix}\.index\.([\w-]+)\.json", file.name)
            if single and single[1] not in found:
                found[single[1]] = (file,)
            elif several and several[1] not in found:
                found[several[1]] = _shards(file)
    return found


def _shards(index: Path) -> tuple[Path, ...]:
    """Return the files that an index names, all of which have to be there and in its folder."""
    content = read_config(index)
    names = content.get("weight_map")
    if not isinstance(names, dict) or not names or not all(isinstance(name, str) for name in names.values()):
        raise TedmError(f"{index} has no weight_map with the names of files; download it again")
    files = sorted({str(name) for name in names.values()})
    strange = next((name for name in files if not re.fullmatch(r"[\w.-]+", name) or name.startswith(".")), None)
    if strange is not None or len(files) > MOST_SHARDS:
        raise TedmError(f"{index} names files that are not in its folder ({strange or len(files)!a}); download it again")
    absent = [name for name in files if not (index.parent / name).is_file()]
    if absent:
        raise TedmError(
            f"{index.parent} lacks {listed(absent, most=3)} of the {len(files)} files of its weights; download them, too"
        )
    return tuple(index.parent / name for name in files)
