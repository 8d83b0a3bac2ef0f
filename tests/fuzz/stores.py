"""Stores that were changed at random, and every command that reads one; run by test_stores.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from frame import ODD, main, mutate, mutate_document

ROUND = (
    ["inspect", "target"],
    ["fit", "target", "out/head", "--method", "timestep:1"],
    ["predict", "head", "target", "out/masks", "--uncertainty", "--probabilities"],
    ["evaluate", "target", "head", "--folder", "out/evaluation"],
    ["rank", "target", "head", "--out", "out/ranking", "--top", "1"],
    ["probe", "target", "--out", "out/probe"],
    ["label", "target", "manifest.csv"],
)


def make(folder: Path) -> None:
    """Make a store of six images (`target`), a head of it, and a manifest that relabels an image."""
    from PIL import Image

    from tedm.heads import fit, method_named, save_head
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
    storage = Storage("native", "float16")
    folder.mkdir(parents=True)
    store = FeatureStore.create(folder / "target", settings, arithmetic, storage, {"tedm": "0", "command": "tedm-extract"})
    names = ["a", "b", "c", "d", "e", "f"]
    masks = [rng.integers(0, 2, (8, 8)).astype(np.uint8) for _ in names]
    splits = ["train", "train", "train", "val", "test", "test"]
    rows = zip(names, splits, masks, strict=True)
    store.register([Registration(name, split, name, "here", (9, 7), mask) for name, split, mask in rows], (0, 255))
    for name, mask in zip(names, masks, strict=True):
        cells = [rng.normal(size=(2, 1, side, side, depth)).astype(np.float32) for side, depth in ((2, 3), (8, 2))]
        cells[1][..., 0] += 2 * mask
        store.write(name, rng.random((8, 8, 1), dtype=np.float32), cells)
    save_head(fit(store, method_named("timestep:1")), folder / "head")
    Image.fromarray(np.eye(9, 7, dtype=np.uint8) * 255).save(folder / "a.png")
    (folder / "manifest.csv").write_text("name,image,mask,split\na,a.png,a.png,train\n")


def commands(seed: int) -> list[list[str]]:
    """Read all of the store, and do one thing with it."""
    return [["verify", "target"], list(ROUND[seed % len(ROUND)])]


def change(target: Path, rng: np.random.Generator) -> str:
    """Change what the store says of itself, any of its files, or values of an array, these with sound checksums."""
    kind = rng.choice(["root", "file", "values"], p=[0.4, 0.3, 0.3])
    if kind == "root":
        return f"zarr.json: {mutate_document(target / 'zarr.json', rng)}"
    return mutate(target, rng) if kind == "file" else change_values(target, rng)


def change_values(target: Path, rng: np.random.Generator) -> str:
    """Write other values into an array, or give it another shape."""
    import zarr

    group = zarr.open_group(target, mode="r+")
    name = str(
        rng.choice(["name", "split", "group", "domain", "original_size", "labelled", "mask", "image", "level1", "timestep"])
    )
    array = group[name]
    at = int(rng.integers(array.shape[0]))
    if rng.random() < 0.15:
        array.resize((int(rng.choice([0, 1, 5, 7, 70_000, 2**31, 10**12])), *array.shape[1:]))
        return f"{name} has shape {array.shape}"
    texts = [value for value in ODD if isinstance(value, str) and value not in ("\ud800",)] + [
        "a",
        "A",
        "a-entropy",
        "ﬁ",
        "e\u0301",
    ]
    numbers = [0, -1, 7, 255, 2**31 - 1, -(2**31)]
    value = (
        texts[rng.integers(len(texts))] if name in ("name", "split", "group", "domain") else numbers[rng.integers(len(numbers))]
    )
    array[at] = np.full(array.shape[1:], value).astype(array.dtype)
    return f"{name}[{at}] is {value!r:.30}"


if __name__ == "__main__":
    main(
        make,
        commands,
        ["tedm.store.disk", "tedm.study.fit", "tedm.study.predict", "tedm.study.evaluate", "tedm.study.annotate"],
        change,
    )
