"""A head as a folder: `head.json` says what it is, a file beside it holds its numbers.

That file is `weights.safetensors`, XGBoost's `model.ubj` or a scikit-learn estimator's `estimator.skops`. All are plain data:
nothing in them is executed, and no backbone is inside. A folder is written aside and renamed when whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from safetensors import SafetensorError

from tedm.errors import TedmError
from tedm.files import new_folder
from tedm.heads.base.registry import remake_head
from tedm.heads.segmenter.methods import Method, require_name
from tedm.heads.segmenter.provenance import Provenance
from tedm.heads.segmenter.segmenter import Segmenter
from tedm.heads.voting.temperature import Calibration
from tedm.heads.voting.weights import VoterWeights
from tedm.jsons import JsonValue
from tedm.store import Arithmetic, FeatureSettings, Storage

FORMAT = 1
DESCRIPTION = "head.json"


@dataclass(frozen=True)
class Description:
    """What `head.json` says, checked when it is read.

    Parameters
    ----------
    format : int
        1; what is added later has a default, so that older heads are read.
    method, classes, settings, arithmetic, storage, weights, calibration, name
        As in `Segmenter`.
    estimator : str
        Name of the head's class.
    parameters : mapping
        Arguments that make an unfitted head like this one.
    features : int
        Length of its rows.
    provenance : mapping
        What `Provenance.from_json` reads.
    """

    format: int
    method: Method
    classes: tuple[int, ...]
    estimator: str
    parameters: Mapping[str, Any]
    features: int
    settings: FeatureSettings
    arithmetic: Arithmetic
    storage: Storage
    provenance: Mapping[str, Any]
    weights: VoterWeights | None = None
    calibration: Calibration | None = None
    name: str = field(default="")


def save_head(head: Segmenter, folder: Path) -> None:
    """Write a head to a new folder.

    Raises
    ------
    TedmError
        If the folder exists and is not empty, or cannot be written.
    """
    with new_folder(Path(folder), what="the head", remedy="make room or name another folder, and save it again") as aside:
        head.estimator.save(aside)
        (aside / DESCRIPTION).write_text(json.dumps(_described(head), indent=1) + "\n", encoding="utf-8")


def load_head(folder: Path, *, device: str = "cpu") -> Segmenter:
    """Read a head that `save_head` wrote; it predicts the same bits.

    Parameters
    ----------
    folder : Path
    device : str
        Where it is to compute, if it can choose.

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
        written: Any = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if written["format"] != FORMAT:
            raise TedmError(f"the head {folder} has a format that this version of tedm does not know; install a newer tedm")
        about = msgspec.convert(written, Description)
        estimator = remake_head(about.method.head, about.estimator, about.parameters, device=device)
        estimator.restore(folder, features=about.features, classes=len(about.classes))
        estimator.constructor()  # arguments that cannot be told again are of no use to whoever compares heads
        return Segmenter(
            method=about.method,
            estimator=estimator,
            settings=about.settings,
            arithmetic=about.arithmetic,
            storage=about.storage,
            classes=about.classes,
            provenance=Provenance.from_json(about.provenance),
            weights=about.weights,
            calibration=about.calibration,
            name=_checked_name(about.name),
        )
    except TedmError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        cause = (str(error) or repr(error)).splitlines()[0]
        raise TedmError(f"the head {folder} is damaged ({cause}); fit it again with tedm-fit") from error


def _described(head: Segmenter) -> dict[str, JsonValue]:
    estimator = head.estimator
    values: dict[str, Any] = {
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
        "provenance": head.provenance.to_json(),
    }
    return values


def _checked_name(name: str) -> str:
    """Return the name that the user gave; heads without one, and all older heads, have none."""
    try:
        return require_name(name) if name else ""
    except TedmError as error:
        raise ValueError(f"its name is {name!r}") from error
