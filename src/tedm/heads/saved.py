"""A head as a folder: `head.json` says what it is, `weights.safetensors` holds its numbers.

Both are plain data: nothing in them is executed, and no backbone is inside. A folder is written aside and renamed when whole.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from tedm.errors import TedmError
from tedm.heads.logistic import LogisticHead
from tedm.heads.methods import Method
from tedm.heads.mlp import MLPHead
from tedm.heads.network import Committee, hidden_sizes
from tedm.heads.segmenter import Estimator, Segmenter
from tedm.store import Arithmetic, FeatureSettings, Storage

FORMAT = 1
DESCRIPTION = "head.json"
WEIGHTS = "weights.safetensors"
# Constructor arguments that say where a head was trained, not what it is.
_NOT_SAVED = ("device",)


def save_head(head: Segmenter, folder: Path) -> None:
    """Write a head to a new folder.

    Raises
    ------
    TedmError
        If the folder exists and is not empty, or cannot be written.
    """
    folder = Path(folder)
    require_new(folder)
    aside = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        save_file(_weights(head.estimator), aside / WEIGHTS)
        (aside / DESCRIPTION).write_text(json.dumps(_description(head), indent=1) + "\n", encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        aside.rename(folder)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise TedmError(f"cannot write the head {folder}: {error.strerror or error}") from error


def require_new(folder: Path) -> None:
    """Refuse a place that is taken, before any work."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TedmError(f"{folder} exists and is not empty; name another folder, or delete it")


def load_head(folder: Path, *, device: str = "cpu") -> Segmenter:
    """Read a head that `save_head` wrote; it predicts the same bits.

    Raises
    ------
    TedmError
        If there is none, or it is damaged, or from a newer tedm.
    """
    folder = Path(folder)
    if not (folder / DESCRIPTION).is_file():
        what = "is no head (it has no head.json)" if folder.exists() else "does not exist"
        raise TedmError(f"{folder} {what}; make one with tedm-fit STORE {folder}")
    try:
        about: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise TedmError(f"the head {folder} has a format that this version of tedm does not know; install a newer tedm")
        arrays = load_file(folder / WEIGHTS)
        estimator = _estimator(about, arrays, device)
        method = about["method"]
        return Segmenter(
            method=Method(**{**method, "timesteps": tuple(method["timesteps"])}),
            estimator=estimator,
            settings=FeatureSettings.from_json(about["settings"]),
            arithmetic=Arithmetic(**about["arithmetic"]),
            storage=Storage(**about["storage"]),
            classes=tuple(about["classes"]),
            provenance=about["provenance"],
        )
    except TedmError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        cause = (str(error) or repr(error)).splitlines()[0]
        raise TedmError(f"the head {folder} is damaged ({cause}); fit it again with tedm-fit") from error


def _description(head: Segmenter) -> dict[str, Any]:
    estimator = head.estimator
    return {
        "format": FORMAT,
        "method": asdict(head.method),
        "classes": list(head.classes),
        "estimator": type(estimator).__name__,
        "parameters": {name: value for name, value in estimator.get_params().items() if name not in _NOT_SAVED},
        "features": estimator.n_features_in_,
        "settings": head.settings.to_json(),
        "arithmetic": asdict(head.arithmetic),
        "storage": head.storage.to_json(),
        "provenance": head.provenance,
    }


def _weights(estimator: Estimator) -> dict[str, np.ndarray[Any, Any]]:
    if isinstance(estimator, LogisticHead):
        return {"coef": np.ascontiguousarray(estimator.coef_), "intercept": np.ascontiguousarray(estimator.intercept_)}
    state = estimator.network_.state_dict()
    return {name: np.ascontiguousarray(tensor.cpu().numpy()) for name, tensor in state.items()}


def _estimator(about: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]], device: str) -> Estimator:
    parameters, features, classes = about["parameters"], about["features"], len(about["classes"])
    if about["estimator"] == "LogisticHead":
        logistic = LogisticHead(**parameters)
        logistic.coef_, logistic.intercept_ = arrays["coef"], arrays["intercept"]
        logistic.classes_, logistic.n_features_in_ = np.arange(classes), features
        return logistic
    if about["estimator"] != "MLPHead":
        raise TedmError(f"there is no head of kind {about['estimator']!r} in this version of tedm; install a newer tedm")
    if parameters["hidden"] is not None:
        parameters["hidden"] = tuple(parameters["hidden"])
    mlp = MLPHead(**parameters, device=device)
    network = Committee(mlp.members, features, mlp.hidden or hidden_sizes(classes), classes, torch.Generator())
    network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    mlp.network_ = network.to(device).eval()
    mlp.classes_, mlp.n_features_in_ = np.arange(classes), features
    return mlp
