"""Write what fits of MLPs on random pixels end in, beside this file: run it when `REVISION` rises, and only then.

python tests/data/before/write_revision.py
"""

from __future__ import annotations

import runpy
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch

from tedm.extract import choose_arithmetic
from tedm.heads import fit, method_named
from tedm.heads.mlp.asked import REVISION
from tedm.store import FeatureStore

HERE = Path(__file__).resolve().parent
REORDERED = ("tedm", "ledm", "learned")


def main() -> None:
    """Fit on the store of `unreleased.zip`, one thread."""
    torch.set_num_threads(1)
    jobs = runpy.run_path(str(HERE / "write.py"))["JOBS"]
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(HERE / "unreleased.zip") as archive:
            archive.extractall(folder)
        store = FeatureStore.open(Path(folder) / "native")
        (block,) = store.blocks(["e"])
        found = {}
        for name in REORDERED:
            method, changes, options = jobs[name]
            found[name] = fit(store, method_named(*method, **changes), **options).probabilities(block)
    about = {"processor": choose_arithmetic(device="cpu").processor, "torch": torch.__version__}
    np.savez_compressed(HERE / f"revision-{REVISION}.npz", **found, **{key: np.array(value) for key, value in about.items()})


if __name__ == "__main__":
    main()
