"""Heads of every kind that were changed at random, and the commands that read one; run by test_heads.py."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
from frame import main, mutate, mutate_bytes, mutate_document

KINDS = {
    "mlp": ["--method", "tedm", "--timesteps", "1,50", "--members", "2", "--iterations", "10"],
    "logistic": ["--method", "timestep:1"],
    "xgboost": ["--method", "tedm", "--timesteps", "1,50", "--head", "xgboost", "--iterations", "3"],
    "forest": [
        "--method",
        "timestep:50",
        "--head",
        "sklearn:ensemble.RandomForestClassifier",
        "--params",
        '{"n_estimators":2}',
    ],
    "histograms": ["--method", "timestep:1", "--head", "sklearn:ensemble.HistGradientBoostingClassifier"],
    "neighbours": ["--method", "timestep:1", "--head", "sklearn:neighbors.KNeighborsClassifier"],
    "vectors": ["--method", "timestep:50", "--head", "sklearn:svm.SVC"],
    "unet": ["--method", "unet", "--iterations", "2"],
    "committee": ["--head", "committee", "--members", "3", "--rows", "concatenate", "--timesteps", "1,50"],
}
PARTS = [
    {"name": "shared", "head": "mlp", "timesteps": [1, 50], "rows": "share", "settings": {"iterations": 3, "hidden": [4]}},
    {"name": "ridge", "head": "logistic", "timesteps": [50], "rows": "concatenate"},
    {"name": "net", "head": "unet", "timesteps": [], "rows": "share", "settings": {"width": 4, "multipliers": [1, 2, 2]}},
]
PARAMS = {
    "forest": '{"n_estimators": 2}',
    "histograms": '{"max_iter": 2}',
    "neighbours": '{"algorithm": "kd_tree"}',
    "vectors": '{"kernel": "rbf"}',
    "unet": '{"width": 4, "multipliers": [1, 2, 2]}',
    "committee": json.dumps({"parts": PARTS}),
}
ROUND = (
    ["predict", "target", "store", "out/masks", "--uncertainty", "--probabilities"],
    ["evaluate", "store", "target", "--folder", "out/evaluation"],
    ["inspect", "target"],
)


def make(folder: Path) -> None:
    """Make a store of six images, and a head of each kind below `kinds`; `target` is chosen by `change`."""
    from tedm.cli.fit import main as fit
    from tedm.store import Arithmetic, FeatureSettings, FeatureStore, Level, Registration, Storage

    rng = np.random.default_rng(3)
    settings = FeatureSettings(
        checkpoint_sha256="ab" * 32,
        levels=(Level("level0", 3, 4), Level("level1", 2, 1)),
        image_size=8,
        image_channels=1,
        geometry="pad",
        input_range=(-1.0, 1.0),
        intensity_range=None,
        upsampling="nearest",
        noise="per-image",
        noise_seed=0,
        timesteps=(1, 50),
        draws=1,
    )
    arithmetic = Arithmetic("cpu", "float32", False, 4, 1, "2.13.0", "a processor", 1)
    folder.mkdir(parents=True)
    store = FeatureStore.create(folder / "store", settings, arithmetic, Storage("native", "float16"), {})
    names = dict(zip("abcdef", ("train", "train", "train", "val", "test", "test"), strict=True))
    masks = {name: rng.integers(0, 2, (8, 8)).astype(np.uint8) for name in names}
    store.register([Registration(name, split, name, "here", (9, 7), masks[name]) for name, split in names.items()], (0, 255))
    for name, mask in masks.items():
        cells = [rng.normal(size=(2, 1, side, side, depth)).astype(np.float32) for side, depth in ((2, 3), (8, 2))]
        cells[1][..., 0] += 2 * mask
        store.write(name, rng.random((8, 8, 1), dtype=np.float32), cells)
    for kind, options in KINDS.items():
        more = ["--params", PARAMS[kind]] if kind in PARAMS else []
        place = folder / "target" / kind
        place.parent.mkdir(exist_ok=True)
        fit([str(folder / "store"), str(place), *options, *more], standalone_mode=False)


def change(target: Path, rng: np.random.Generator) -> str:
    """Leave the head of one kind, and change one thing in it."""
    kind = str(rng.choice(list(KINDS)))
    for file in (target / kind).iterdir():
        file.rename(target / file.name)
    for folder in KINDS:
        shutil.rmtree(target / folder)
    inside = target / "estimator.skops"
    if not inside.exists() or rng.random() < 0.4:
        return f"{kind}, {mutate(target, rng)}"
    return f"{kind}, estimator.skops: {_inside(inside, rng)}"


def _inside(path: Path, rng: np.random.Generator) -> str:
    """Change an entry of a ZIP, so that its checksums are right: the description, or an array."""
    aside = path.parent / "aside"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(aside)
    files = sorted(aside.iterdir())
    if rng.random() < 0.5:
        done = mutate_document(aside / "schema.json", rng)
    elif rng.random() < 0.3:
        arrays = [file for file in files if file.suffix == ".npy"]
        done = mutate_bytes(arrays[rng.integers(len(arrays))], arrays, rng)
    else:
        done = _number(aside, rng)
    again = io.BytesIO()
    with zipfile.ZipFile(again, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(aside.iterdir()):
            archive.write(file, file.name)
    shutil.rmtree(aside)
    path.write_bytes(again.getvalue())
    return done


def _number(folder: Path, rng: np.random.Generator) -> str:
    """Change one number of an array, or one of the description's numbers, to another of its type."""
    arrays = sorted(folder.glob("*.npy"))
    path = arrays[rng.integers(len(arrays))]
    array = np.load(path)
    if not array.size:
        return "nothing"
    flat = array.reshape(-1).copy()
    field = flat[str(rng.choice(flat.dtype.names))] if flat.dtype.names else flat
    if field.dtype.kind not in "iufb":
        return "nothing"
    odd = rng.choice([-(10**6), -2, -1, 0, 1, 2, 3, 5, 100, 10**6, 2**31 - 1])
    field[rng.integers(len(field))] = np.array(odd).astype(field.dtype)
    np.save(path, flat.reshape(array.shape))
    return f"{path.name}: a number is {odd}"


if __name__ == "__main__":
    modules = [
        "tedm.study.predict",
        "tedm.study.evaluate",
        "tedm.study.inspect",
        "tedm.heads.estimator.head",
        "tedm.heads.boosting.head",
        "tedm.heads.committee.head",
        "tedm.heads.unet.head",
        "monai.networks.nets.dynunet",
    ]
    main(make, lambda seed: [ROUND[seed % 2], *([ROUND[2]] if seed % 5 == 0 else [])], modules, change)
