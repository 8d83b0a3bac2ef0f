"""A head as a folder: `head.json` says what it is, a file beside it holds its numbers.

That file is `weights.safetensors`, XGBoost's `model.ubj` or a scikit-learn estimator's `estimator.skops`. All are plain data:
nothing in them is executed, and no backbone is inside. A folder is written aside and renamed when whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from tedm.errors import TedmError
from tedm.files import new_folder
from tedm.heads.base.registry import remake_head
from tedm.heads.segmenter.description import DESCRIPTION, FORMAT, read_description
from tedm.heads.segmenter.provenance import Provenance
from tedm.heads.segmenter.segmenter import Segmenter
from tedm.jsons import JsonValue

# What reading a file that is not what it should be ends in, be it ours or of a library.
DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
    SafetensorError,
)
MOST_SAID = 300
# What came to a method later, and is left out where it says this: versions of before read the head then.
LATER: Mapping[str, object] = {
    "settings": {},
    "views": 0,
    "smoothing": 0,
    "specks": 0,
    "sampling": "uniform",
    "published": False,
}

SAVE_AGAIN = "make room or name another folder, and save it again"


def save_head(head: Segmenter, folder: Path, *, remedy: str = SAVE_AGAIN) -> None:
    """Write a head to a new folder.

    Parameters
    ----------
    head : Segmenter
    folder : Path
    remedy : str
        What the user can do where the disk is full, a clause.

    Raises
    ------
    TedmError
        If the folder exists and is not empty, or cannot be written.
    """
    with new_folder(Path(folder), what="the head", remedy=remedy) as aside:
        head.estimator.save(aside)
        (aside / DESCRIPTION).write_text(json.dumps(_described(head), indent=1) + "\n", encoding="utf-8")


def load_head(folder: Path, *, device: str = "cpu") -> Segmenter:
    """Read a head that `save_head` wrote; it predicts the same bits.

    Parameters
    ----------
    folder : Path
    device : str
        Where it is to compute, if it can choose; "auto" is CUDA where there is one.

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
        about = read_description(folder)
        estimator = remake_head(about.method.head, about.estimator, about.parameters, device=device)
        if estimator.capabilities.looks_at_images != about.method.looks_at_images:
            raise ValueError("a head of activations reads one timestep or more, and one that looks at images none")
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
            name=about.name,
            class_names=about.class_names,
            class_colours=about.class_colours,
            smallest_parts=about.smallest_parts,
        )
    except TedmError:
        raise
    except DAMAGE as error:
        cause = (str(error).strip() or repr(error)).splitlines()[0][:MOST_SAID]
        raise TedmError(f"the head {folder} is damaged ({cause}); fit it again with tedm-fit") from error


def fingerprint_of(head: Segmenter) -> str:
    """Return what tells a head from others: a digest of its description, with what it was fitted on and how.

    It does not change when the head is saved and loaded. Numbers of the classifier are not in it: of the same description, they
    differ in their last bits at most.
    """
    return sha256(json.dumps(_described(head), sort_keys=True).encode()).hexdigest()


def _described(head: Segmenter) -> dict[str, JsonValue]:
    estimator = head.estimator
    values: dict[str, Any] = {
        "format": FORMAT,
        **({"name": head.name} if head.name else {}),
        "method": {name: value for name, value in asdict(head.method).items() if name not in LATER or value != LATER[name]},
        "classes": list(head.classes),
        **({"class_names": list(head.class_names)} if head.class_names else {}),
        **({"class_colours": list(head.class_colours)} if head.class_colours else {}),
        **({"smallest_parts": list(head.smallest_parts)} if head.smallest_parts else {}),
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
