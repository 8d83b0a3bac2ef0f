"""A head as a folder: `head.json` says what it is, a file beside it holds its numbers.

That file is `weights.safetensors`, XGBoost's `model.ubj` or a scikit-learn estimator's `estimator.skops`. All are plain data:
nothing in them is executed, and no backbone is inside. A folder is written aside and renamed when whole.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from inspect import signature
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from tedm.errors import TedmError
from tedm.files import require_new as require_new
from tedm.heads.base.registry import KINDS, Head
from tedm.heads.segmenter.methods import Method, require_name
from tedm.heads.segmenter.segmenter import Segmenter
from tedm.heads.voting.temperature import Calibration
from tedm.heads.voting.weights import VoterWeights
from tedm.store import Arithmetic, FeatureSettings, Storage

FORMAT = 1
DESCRIPTION = "head.json"


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
        head.estimator.save(aside)
        (aside / DESCRIPTION).write_text(json.dumps(_description(head), indent=1) + "\n", encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        aside.rename(folder)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise TedmError(f"cannot write the head {folder}: {error.strerror or error}") from error


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
        estimator = _estimator(about, device)
        estimator.restore(folder, features=about["features"], classes=len(about["classes"]))
        method = about["method"]
        return Segmenter(
            method=Method(**{**method, "timesteps": tuple(method["timesteps"])}),
            estimator=estimator,
            settings=FeatureSettings.from_json(about["settings"]),
            arithmetic=Arithmetic(**about["arithmetic"]),
            storage=Storage(**about["storage"]),
            classes=tuple(about["classes"]),
            provenance=about["provenance"],
            weights=_weights(about.get("weights")),  # older heads have none, and no temperature
            calibration=_calibration(about.get("calibration")),
            name=_name(about.get("name", "")),
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
        **({"name": head.name} if head.name else {}),
        "method": asdict(head.method),
        "classes": list(head.classes),
        "estimator": type(estimator).__name__,
        "parameters": estimator.constructor(),
        "features": estimator.n_features_in_,
        "settings": head.settings.to_json(),
        "arithmetic": asdict(head.arithmetic),
        "storage": head.storage.to_json(),
        **({"weights": asdict(head.weights)} if head.weights is not None else {}),
        **({"calibration": asdict(head.calibration)} if head.calibration is not None else {}),
        "provenance": head.provenance,
    }


def _name(name: Any) -> str:
    """Return the name that the user gave; heads without one, and all older heads, have none."""
    try:
        return require_name(name) if name != "" else ""
    except (TedmError, AttributeError) as error:
        raise ValueError(f"its name is {name!r}") from error


def _weights(about: dict[str, Any] | None) -> VoterWeights | None:
    if about is None:
        return None
    return VoterWeights(tuple(about["timesteps"]), tuple(tuple(values) for values in about["values"]))


def _calibration(about: dict[str, Any] | None) -> Calibration | None:
    return None if about is None else Calibration(**{**about, "timesteps": tuple(about["timesteps"])})


def _estimator(about: dict[str, Any], device: str) -> Head:
    """Unfitted, of the class and with the arguments that the folder names."""
    for kind in KINDS.values():
        if kind.name == about["estimator"]:
            cls = kind.load()
            where = {"device": device} if "device" in signature(cls).parameters else {}
            return cls(**{**about["parameters"], **where})
    raise TedmError(f"there is no head of kind {about['estimator']!r} in this version of tedm; install a newer tedm")
