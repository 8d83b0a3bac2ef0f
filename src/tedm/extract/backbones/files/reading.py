"""Reading one checkpoint file without trusting it: checked first, then read by safetensors or by torch's restricted reader."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import safetensors
import torch
from torch import Tensor

from tedm.errors import TedmError
from tedm.text import size as size_of

from ..family import METADATA_KEY
from .kind import kind_of, no_checkpoint
from .pickled import Scan, Unreadable, scan
from .stand_ins import stand_ins

MAGIC = 0x1950A86A20F9469CFC6C  # what files of torch before 1.6 begin with
SLACK = 16_000_000  # bytes by which tensors may exceed their memory: small ones are repeated without storing them, at times
LONGEST_PICKLE = 100_000_000


@dataclass(frozen=True)
class FileContent:
    """What one file holds.

    Parameters
    ----------
    sha256 : str
        Of its bytes, hexadecimal.
    loaded : object
        A state dictionary, or what is around one.
    settings : object
        What came with it, unchecked; of a pickle, it is in `loaded`.
    step : object
        Training iterations, unchecked.
    """

    sha256: str
    loaded: object
    settings: object = None
    step: object = None


def read_file(path: Path) -> FileContent:
    """Read a checkpoint file; nothing in it is executed, and its size bounds the memory that it takes.

    Raises
    ------
    TedmError
        If it is no checkpoint, is damaged, would run code, or promises more than it holds.
    """
    kind = kind_of(path)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if kind == "safetensors":
        return _read_safetensors(path, sha256)
    return FileContent(sha256, _read_pickle(path, archive=kind == "zip"))


def require_own_memory(tensors: Mapping[str, Tensor], name: str) -> None:
    """Refuse tensors that are no plain arrays, or whose numbers the file does not hold: one number that says to be millions.

    Raises
    ------
    TedmError
        Before any of their memory is taken.
    """
    for each, tensor in tensors.items():
        if not each.isprintable() or len(each) > 500:
            raise TedmError(f"checkpoint {name} has a tensor of the name {each[:40]!r}; no network has such names")
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise TedmError(
                f"the tensor {each} of checkpoint {name} is sparse, quantised or without numbers; "
                "save the network's plain weights"
            )
    held = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors.values()}
    asked = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    # twice: networks may use one array in two places
    if asked > 2 * sum(held.values()) + SLACK:
        raise TedmError(
            f"checkpoint {name} asks for {size_of(asked)} of memory and holds {size_of(sum(held.values()))} of numbers: its "
            "tensors repeat the same ones. Use the file as its training wrote it."
        )


def _read_safetensors(path: Path, sha256: str) -> FileContent:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (the file is not a mapping)
        settings = json.loads(metadata.get(METADATA_KEY, "{}"))
        return FileContent(sha256, tensors, settings.get("config"), settings.get("step"))
    except (safetensors.SafetensorError, OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise no_checkpoint(path, next(iter(str(error).splitlines()), type(error).__name__)) from error


def _read_pickle(path: Path, *, archive: bool) -> object:
    try:
        scanned = _scan_archive(path) if archive else _scan_old(path)
    except Unreadable as error:
        raise no_checkpoint(path, str(error)) from error
    try:
        allowed = torch.serialization.safe_globals(stand_ins(scanned.names))
        # the open file: of a path torch would go by the suffix
        with path.open("rb") as file, allowed, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of pickles that it did not write, before it refuses them
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(
            r"(?:GLOBAL |function |class )`?([\w.]+)`?[^\n]*(?:was not an allowed|not allowed|blocked)", str(error)
        )
        if refused:
            raise _would_run(path, [refused[1]]) from error
        raise no_checkpoint(path, "it holds something other than tensors and settings, or is damaged") from error
    except Exception as error:  # damaged bytes fail in torch's reader in as many ways as there are bytes
        raise no_checkpoint(path, f"{type(error).__name__} while reading, so it is damaged or something else") from error


def _scan_archive(path: Path) -> Scan:
    """Scan the pickle in an archive; each storage is a record of it."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {record.filename: record.file_size for record in archive.infolist()}
            pickled = next(name for name in sizes if name.count("/") == 1 and name.endswith("/data.pkl"))
            if sizes[pickled] > LONGEST_PICKLE:
                raise Unreadable(f"its data.pkl has {size_of(sizes[pickled])} beside the tensors")
            with archive.open(pickled) as file:
                scanned = _scan(path, file)
    except (zipfile.BadZipFile, OSError) as error:
        raise Unreadable(f"its archive is damaged ({error})") from error
    root = pickled.removesuffix("data.pkl")
    for key, wanted in scanned.storages.items():
        if wanted > sizes.get(f"{root}data/{key}", -1):
            raise Unreadable(f"a tensor asks for {wanted} bytes, and the record data/{key} does not have them")
    return scanned


def _scan_old(path: Path) -> Scan:
    """Scan a file of torch before 1.6: a number, a version, a computer, the content, names, each a pickle; then the numbers."""
    with path.open("rb") as file:
        first = _scan(path, file)
        if first.value != MAGIC:
            raise Unreadable("it is a pickle, but not one of torch.save")
        scans = [_scan(path, file) for _ in range(4)]
        left = path.stat().st_size - file.tell()
    if sum(scans[2].storages.values()) > left:
        raise Unreadable(f"its tensors ask for more than the {left} bytes that are left of the file")
    return scans[2]


def _scan(path: Path, file: IO[bytes]) -> Scan:
    scanned = scan(file)
    if scanned.strangers:
        raise _would_run(path, scanned.strangers)
    return scanned


def _would_run(path: Path, names: Sequence[str]) -> TedmError:
    whole = any(name.startswith("torch.nn.") for name in names)
    asked = ", ".join(ascii(name)[1:-1][:100] for name in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return TedmError(
        f"checkpoint {path} would run code when read: it asks for {asked}, and only tensors, plain values and a few harmless "
        "classes are allowed. Nothing was run. Where it was made, save it without: torch.save({'model_state_dict': "
        + ("network.state_dict()" if whole else "checkpoint['model_state_dict']")
        + ", 'config': ...}, path) with settings of plain values."
    )
