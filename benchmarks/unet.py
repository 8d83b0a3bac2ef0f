"""Claim: MONAI's DynUNet learns lungs from 100 chest X-rays of 64 x 64 pixels, 95 Dice at home, in 3 minutes of two cores.

    python benchmarks/unet.py SHARED OUT [--images 100] [--which dynunet] [--iterations N] [--threads 2] [--precision auto]

SHARED holds `data/shenzhen` and `checkpoints/nih64.pt`. A store of its 100 train and 35 test images is made in OUT, and a head
is fitted on images alone: `dynunet` from random weights, `ddpm` from those of the DDPM, `tedm` the DDPM's UNet from random
weights. The fit goes on where it was stopped. Seconds are the processor's, so that other work on the machine does not matter.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from synthetic import machine, peak_bytes

from tedm.heads import TrainingData, UNetHead, first_images, score
from tedm.store import Block, FeatureStore

LEAST = 95.0
TIMED = 6  # iterations
HEADS: dict[str, dict[str, Any]] = {
    "dynunet": {},
    "tedm": {"network": "tedm", "width": 32, "multipliers": [1, 2, 4]},
    "ddpm": {"network": "tedm", "start": "diffusion"},
}


def main() -> None:
    """Make the store, time steps, fit, score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--which", choices=list(HEADS), default="dynunet")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=None)
    parser.add_argument("--learning-rate", type=float, default=None)
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto", help="of the network's passes")
    parser.add_argument("--time", action="store_true", help="only time some steps")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    store = _store(options)
    names = _names(store, "train")
    chosen = first_images(names, store.labels.group_of(names), options.images, options.seed)
    data = TrainingData(store, chosen, rows="concatenate", timesteps=())
    if options.time:
        _fit(options, data, iterations=2)  # to warm up
        seconds = [_fit(options, data, iterations=many)[1] for many in (2, 2 + TIMED)]
        each = (seconds[1] - seconds[0]) / TIMED
        print(f"{options.which} in {options.precision}: {each:.3f} s an iteration on {options.threads} threads")
        return
    head, seconds = _fit(options, data, iterations=options.iterations)
    dice = [100 * float(score(store.mask(name), _mask(head, store, name), 2).dice[1]) for name in _names(store, "test")]
    print(
        f"{options.which} in {head.precision_} from {options.images} images, {head.n_iter_} iterations: "
        f"{np.nanmean(dice):.2f} Dice at home "
        f"({len(dice)} images, {np.nanmin(dice):.1f} to {np.nanmax(dice):.1f}), {seconds:.0f} s of the processor, "
        f"peak {peak_bytes() / 1e6:.0f} MB, loss {head.loss_curve_[0]:.3f} to {head.loss_curve_[-1]:.4f}"
    )
    raise SystemExit(options.images == 100 and options.iterations is None and np.nanmean(dice) < LEAST)


def _fit(options: argparse.Namespace, data: TrainingData, *, iterations: int | None) -> tuple[UNetHead, float]:
    """Return a fitted head and the processor's seconds divided by the threads."""
    given = {"iterations": iterations, "learning_rate": options.learning_rate, "images_per_batch": options.batch}
    given |= {"precision": options.precision}
    arguments = HEADS[options.which] | {name: value for name, value in given.items() if value is not None}
    head = UNetHead(**arguments, seed=options.seed)
    if head.start:
        head.start_from(_weights(options.shared / "checkpoints" / "nih64.pt"))
    parts = (options.which, options.images, options.seed, iterations, options.learning_rate, options.batch, head.precision)
    state = options.out / "-".join(map(str, parts))
    started = time.process_time()
    head.fit_blocks(data, checkpoint=None if options.time else state)
    return head, (time.process_time() - started) / options.threads


def _weights(path: Path) -> Any:
    """Return the weights of a published DDPM."""
    from tedm.extract.backbones import load_backbone
    from tedm.networks.pretrained import Pretrained

    backbone = load_backbone(path)
    network: Any = backbone.network
    tensors = {name: tensor.float() for name, tensor in network.state_dict().items()}
    shape = (network.width, network.multipliers, network.image_channels)
    return Pretrained("diffusion", *shape, backbone.image_size, tensors, backbone.sha256)


def _store(options: argparse.Namespace) -> FeatureStore:
    """Images and masks of the train and the test split, and activations that nobody looks at."""
    from tedm.extract import extract, load_backbone, read_manifest

    manifest, folder = options.out / "manifest.csv", (options.shared / "data" / "shenzhen").resolve()
    if not (options.out / "store").exists():
        with manifest.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["image", "mask", "split", "patient", "domain"])
            for row in csv.DictReader((folder / "manifest.csv").open()):
                if row["split"] != "val":
                    writer.writerow([folder / row["image"], folder / row["mask"], row["split"], row["patient"], "shenzhen"])
    backbone = load_backbone(options.shared / "checkpoints" / "nih64.pt")
    return extract(read_manifest(manifest), options.out / "store", backbone, timesteps=[50], layout="native").store


def _names(store: FeatureStore, split: str) -> list[str]:
    return [name for name, its in zip(store.labels.names, store.labels.splits, strict=True) if its == split]


def _mask(head: UNetHead, store: FeatureStore, name: str) -> np.ndarray:
    """Return the predicted mask of an image."""
    size = store.settings.image_size
    block = replace(Block(name, (), (), size, "nearest"), image=store.image(name))
    return np.asarray(head.opinions(block, "concatenate")[0].argmax(axis=1).reshape(size, size), np.uint8)


if __name__ == "__main__":
    main()
