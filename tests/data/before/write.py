"""Writes stores and heads with the version of tedm that is imported: run once by each version whose files must stay readable.

    python tests/data/before/write.py FOLDER [NUMBER OF HEADS]

`0.1.0.zip` is of commit 26d4f76 (three heads), `unreleased.zip` of fc04b9f (all), the last before the heads had rooms.
`expected.npz` holds what that version predicted, and the name of the processor that it ran on: other processors round
differently. Everything is made up here; nothing of anybody's images is in it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from tedm.extract.arithmetic import choose_arithmetic
from tedm.heads import evaluate, fit, method_named, save_head
from tedm.heads.evaluation.records import write_records
from tedm.store import IGNORE, Arithmetic, FeatureSettings, FeatureStore, Level, Registration, Storage

SIZE, TIMESTEPS = 8, (1, 50, 400)
LEVELS = (Level("level0", 3, 4), Level("level1", 2, 1))
SPLITS = {"a": "train", "b": "train", "c": "train", "d": "val", "e": "test", "f": "test"}


def make_store(path: Path, layout: str, draws: int) -> FeatureStore:
    """Three images to learn from, one to choose on and two to test on, with activations that carry some of the mask."""
    settings = FeatureSettings(
        checkpoint_sha256="ab" * 32,
        levels=LEVELS,
        image_size=SIZE,
        image_channels=1,
        geometry="pad",
        input_range=(-1.0, 1.0),
        intensity_range=None,
        upsampling="nearest",
        noise="per-image",
        noise_seed=0,
        timesteps=TIMESTEPS,
        draws=draws,
    )
    arithmetic = Arithmetic("cpu", "float32", False, 4, 1, "2", "made up")
    store = FeatureStore.create(path, settings, arithmetic, Storage(layout, "float16"), {"tedm": "of before"})  # type: ignore[arg-type]
    entries, content = [], {}
    for number, (name, split) in enumerate(SPLITS.items()):
        random = np.random.RandomState(number)  # its numbers are promised for ever
        mask = (random.uniform(size=(SIZE, SIZE)) < 0.4).astype(np.uint8)
        mask[number, : number + 1] = IGNORE
        shown = np.where(mask == IGNORE, 0, mask).astype(np.float32)
        cells = []
        for level in LEVELS:
            side, stride = SIZE // level.stride, level.stride
            noise = random.standard_normal((len(TIMESTEPS), draws, side, side, level.channels))
            seen = shown.reshape(side, stride, side, stride).mean(axis=(1, 3))[None, None, :, :, None]
            strength = np.linspace(1.5, 0.3, len(TIMESTEPS)).reshape(-1, 1, 1, 1, 1)
            cells.append((noise + strength * seen * np.arange(1, level.channels + 1) + 0.5).astype(np.float32))
        entries.append(Registration(name, split, f"p{number}", "here" if number < 5 else "there", (10, 12), mask))
        content[name] = (random.uniform(size=(SIZE, SIZE, 1)).astype(np.float32), cells)
    store.register(entries, (0, 255))
    for name, (image, cells) in content.items():
        store.write(name, image, cells)
    return store


JOBS = {
    "tedm": (("tedm",), {"timesteps": TIMESTEPS}, {"iterations": 40, "images": 2, "seed": 3}),
    "ledm": (("ledm",), {"timesteps": (1, 50), "members": 3}, {"iterations": 30}),
    "timestep": (("timestep:50",), {}, {"ridge": 10.0}),
    # From here on what the first version does not have.
    "xgboost": (("tedm",), {"timesteps": TIMESTEPS, "head": "xgboost"}, {"iterations": 4, "params": {"max_depth": 2}}),
    "forest": (
        ("tedm",),
        {"timesteps": TIMESTEPS, "head": "sklearn:ensemble.RandomForestClassifier"},
        {"params": {"n_estimators": 3, "max_depth": 3}},
    ),
    "learned": (("tedm",), {"timesteps": TIMESTEPS, "vote": "learned", "members": 2}, {"iterations": 30, "calibrate": True}),
    "chosen": (("timestep:1",), {}, {"ridge": [1.0, 100.0], "class_weight": {"255": 2.0}}),
}


def main(folder: Path, jobs: int) -> None:
    """Write everything to a folder that does not exist."""
    torch.set_num_threads(1)
    expected = {"processor": np.array(choose_arithmetic(device="cpu").processor), "torch": np.array(torch.__version__)}
    heads = {}
    store = make_store(folder / "native", "native", 2)
    make_store(folder / "upsampled", "upsampled", 1)
    for name, (method, changes, options) in list(JOBS.items())[:jobs]:
        heads[name] = fit(store, method_named(*method, **changes), **options)
        save_head(heads[name], folder / "heads" / name)
        expected[name] = heads[name].probabilities(next(iter(store.blocks(["e"]))))
    np.savez(folder / "expected.npz", **expected)
    records = evaluate(store, heads)
    write_records(records, folder / "records.csv")
    if jobs == len(JOBS):
        from tedm.heads.evaluation.folder import write_evaluation

        write_evaluation(folder / "evaluation", store, heads, records)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else len(JOBS))
