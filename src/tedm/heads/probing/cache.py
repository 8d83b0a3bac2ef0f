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
from tedm.files import make_folder, write_whole
from tedm.heads.probing.classifiers import Fit
from tedm.heads.probing.fit import FOLDS, ITERATIONS, TOLERANCE, FittedProbe
from tedm.heads.probing.plan import Plan, Probe
from tedm.store import Features


class ProbeCache:
    """The finished probes of a plan; without a folder nothing is kept.

    Parameters
    ----------
    folder : Path or None
        Where they are kept.
    features : Features
    plan : Plan
    strengths : sequence of float
        Penalties that are tried. Features, plan and strengths are what the finished probes must have been computed from.
    """

    def __init__(self, folder: Path | None, features: Features, plan: Plan, strengths: Sequence[float]) -> None:
        self._folder = folder
        self._key = "" if folder is None else plan_key(features, plan, strengths)

    def read(self, probe: Probe) -> FittedProbe | None:
        """Return a finished probe; None if it is not there or damaged.

        Raises
        ------
        TedmError
            If it is of another run.
        """
        if self._folder is None:
            return None
        place = _place(self._folder, probe)
        if not place.exists():
            return None
        try:
            with np.load(place) as arrays:
                if str(arrays["key"]) != self._key:
                    raise TedmError(
                        f"{place} is of another run (other features, masks, sizes or strengths); "
                        f"name another --out, or delete {self._folder}"
                    )
                about = json.loads(str(arrays["about"]))
                fits = tuple(Fit(arrays[f"coef{n}"], arrays[f"intercept{n}"], *rest) for n, rest in enumerate(about))
                return FittedProbe(probe, fits, arrays["scores"])
        except TedmError:
            raise
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None  # damaged: computed again

    def write(self, fitted: FittedProbe) -> None:
        """Keep a finished probe, whole or not at all.

        Raises
        ------
        TedmError
            If it cannot be written.
        """
        if self._folder is None:
            return
        make_folder(self._folder, remedy="name another --out")
        arrays: dict[str, NDArray[np.generic]] = {"scores": fitted.scores, "key": np.array(self._key)}
        for number, fit in enumerate(fitted.fits):
            arrays[f"coef{number}"], arrays[f"intercept{number}"] = fit.coef, fit.intercept
        about = [[fit.ridge, fit.chosen_by, fit.iterations, fit.converged] for fit in fitted.fits]
        content = io.BytesIO()
        np.savez(content, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]
        remedy = "what was finished before is safe: make room and run the same command again"
        write_whole(_place(self._folder, fitted.probe), content.getvalue(), what="the finished probe", remedy=remedy)


def plan_key(features: Features, plan: Plan, strengths: Sequence[float]) -> str:
    """Return a hash of all that the scores depend on: settings, subsets, strengths, and the masks themselves."""
    about = {
        "settings": features.settings.to_json(),
        "storage": features.storage.to_json(),
        "subsets": [asdict(subset) for subset in plan.subsets],
        "scored": plan.scored,
        "ridge": list(strengths),
        "solver": [FOLDS, ITERATIONS, TOLERANCE],
    }
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode(errors="surrogateescape"))
    for name in dict.fromkeys([*(name for subset in plan.subsets for name in subset.images), *plan.scored]):
        digest.update(features.mask(name).tobytes())
    return digest.hexdigest()


def _place(folder: Path, probe: Probe) -> Path:
    return folder / f"{probe.name.replace(':', '-').replace('/', '-')}.npz"
