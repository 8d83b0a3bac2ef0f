"""Claim: in a process that stays, masks of many images take at most 1.1 of the CPU time of the backbone's bare passes.

    python benchmarks/staying.py MANIFEST --checkpoint ddpm.pt --images FOLDER [--rounds 3] [--count 20] [--heads logistic mlp]

Of arrays (`Session.segment`) and of a folder of files (`predict_folder`, which is `tedm-predict`), in turns with the passes,
which run in the head's arithmetic on inputs that lie ready; medians of the rounds, seconds of all threads an image. The claim
is for a head whose own arithmetic is small, a logistic regression or one MLP; that of ten MLPs (`--heads jury`) is shown,
and nothing is claimed of it. Uncertainty is part of what `segment` gives.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from synthetic import machine

from tedm.extract import Backbone, extract, load_backbone, read_manifest, running
from tedm.heads import Segmenter, fit, method_named
from tedm.study import Session, predict_folder

LIMIT = 1.1
HEADS: dict[str, dict[str, object]] = {"logistic": {"head": "logistic"}, "mlp": {"iterations": 20}, "jury": {}}


def measured(
    head: Segmenter, backbone: Backbone, arrays: Mapping[str, np.ndarray], pictures: Path, out: Path, rounds: int
) -> dict[str, list[float]]:
    """Return CPU seconds an image of each way in each round; the first is for what is done once."""
    session, steps, how = Session(head, backbone), torch.tensor(head.timesteps(None)), head.arithmetic
    ready = backbone.prepare(how.device, precision=how.precision, channels_last=how.channels_last)
    x_t = torch.randn(len(steps), 1, *(backbone.image_size,) * 2, generator=torch.Generator().manual_seed(0))

    def bare() -> None:
        with running(how):
            for _ in arrays:
                ready.activations(x_t, steps)

    def segmented() -> None:
        for image, values in arrays.items():
            session.segment(values, name=image)

    def predicted() -> None:
        predict_folder(out.with_name(f"{out.name} {len(spent['a folder'])}"), head, pictures, backbone=backbone)

    ways: dict[str, Callable[[], None]] = {"bare passes": bare, "segment": segmented, "a folder": predicted}
    spent: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way, work in ways.items():
            since = time.process_time()
            work()
            spent[way].append((time.process_time() - since) / len(arrays))
    return spent


def main() -> int:
    """Print a row for each head and way; 1 if the claim fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, help="a few training images with masks")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True, help="a folder of pictures")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=20, help="pictures of a round")
    parser.add_argument("--heads", nargs="+", default=["logistic", "mlp"], choices=list(HEADS))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(__doc__.splitlines()[0])
    print(machine(torch.get_num_threads()))
    backbone = load_backbone(options.checkpoint)
    failed = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        store = extract(read_manifest(options.manifest), folder / "store", backbone, layout="native").store
        pictures = folder / "pictures"
        pictures.mkdir()
        for path in sorted(options.images.glob("*.png"))[: options.count]:
            with Image.open(path) as picture:
                picture.convert("L").resize((backbone.image_size,) * 2).save(pictures / path.name)
        arrays = {path.stem: np.asarray(Image.open(path)) for path in sorted(pictures.glob("*.png"))}
        for name in options.heads:
            head = fit(store, method_named("jury" if name == "jury" else "tedm"), **HEADS[name])  # type: ignore[arg-type]
            spent = measured(head, backbone, arrays, pictures, folder / name, options.rounds)
            medians = {way: statistics.median(seconds[1:]) for way, seconds in spent.items()}
            for way, seconds in medians.items():
                ratio = seconds / medians["bare passes"]
                print(f"| {name} | {way} | {seconds:.3f} s | {ratio:.2f} |", flush=True)
                failed += [f"{name}, {way}"] if ratio > LIMIT and name != "jury" else []
    print("the claim holds" if not failed else f"the claim FAILS for {'; '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
