"""Finished probes in a folder, so that a run that was stopped goes on after them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.files import write_whole
from tedm.heads.probing.fits import FOLDS, ITERATIONS, TOLERANCE, Fit, Probed
from tedm.heads.probing.plan import Plan, Probe
from tedm.store import Features


def plan_key(features: Features, plan: Plan, ridge: Sequence[float]) -> str:
    """What the scores depend on, as a hash: settings, subsets, strengths, and the masks themselves."""
    about = {
        "settings": features.settings.to_json(),
        "storage": features.storage.to_json(),
        "subsets": [asdict(subset) for subset in plan.subsets],
        "scored": plan.scored,
        "ridge": list(ridge),
        "solver": [FOLDS, ITERATIONS, TOLERANCE],
    }
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode(errors="surrogateescape"))
    for name in dict.fromkeys([*(name for subset in plan.subsets for name in subset.images), *plan.scored]):
        digest.update(features.mask(name).tobytes())
    return digest.hexdigest()


def _place(folder: Path, probe: Probe) -> Path:
    return folder / f"{probe.name.replace(':', '-').replace('/', '-')}.npz"


def write_probe(folder: Path, done: Probed, key: str) -> None:
    """Keep a finished probe, whole or not at all."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TedmError(f"cannot make the folder {folder}: {error.strerror or error}; name another --out") from error
    arrays: dict[str, NDArray[np.generic]] = {"scores": done.scores, "key": np.array(key)}
    for number, fit in enumerate(done.fits):
        arrays[f"coef{number}"], arrays[f"intercept{number}"] = fit.coef, fit.intercept
    about = [[fit.ridge, fit.chosen_by, fit.iterations, fit.converged] for fit in done.fits]
    content = io.BytesIO()
    np.savez(content, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]
    remedy = "what was finished before is safe: make room and run the same command again"
    write_whole(_place(folder, done.probe), content.getvalue(), what="the finished probe", remedy=remedy)


def read_probe(folder: Path, probe: Probe, key: str) -> Probed | None:
    """A finished probe of the plan with this key; None if it is not there or damaged.

    Raises
    ------
    TedmError
        If it is of another plan.
    """
    place = _place(folder, probe)
    if not place.exists():
        return None
    try:
        with np.load(place) as arrays:
            if str(arrays["key"]) != key:
                raise TedmError(
                    f"{place} is of another run (other features, masks, sizes or strengths); "
                    f"name another --out, or delete {folder}"
                )
            about = json.loads(str(arrays["about"]))
            fits = tuple(Fit(arrays[f"coef{n}"], arrays[f"intercept{n}"], *rest) for n, rest in enumerate(about))
            return Probed(probe, fits, arrays["scores"])
    except TedmError:
        raise
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None  # damaged: computed again
