"""LEDM's job in 4 GB: 8448 features of 256 x 256 images, 29 classes, bilinear; its published code needs 210 GB for 50 images.

Claims: peak (VmHWM) at most 4 GB with `memory` of 4 GB; the peak with 50 images at most 1.1 times that with 10. One head a run,
in a process of its own. Run: python benchmarks/ledm_in_4gb.py FOLDER --head logistic|mlp|xgboost --images 10
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from synthetic import machine, make_store, peak_bytes

# Of 65,536: 5 %.
XGBOOST_PIXELS = 3276
MEMORY = 4 * 10**9


def main() -> None:
    """Fit a few iterations and print the peak."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--head", choices=["logistic", "mlp", "xgboost"], required=True)
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--iterations", type=int, default=2)
    parser.add_argument("--images-per-batch", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--make", action="store_true", help="Only make the store of 50 images (2.5 GB), whose writing has a peak."
    )
    asked = parser.parse_args()
    if asked.make:
        asked.folder.mkdir(parents=True, exist_ok=True)
        make_store(asked.folder / "ledm50", "ledm", 50)
        return
    import torch

    from tedm.heads import LogisticHead, MLPHead, TrainingData, XGBoostHead
    from tedm.store import FeatureStore

    torch.set_num_threads(asked.threads)
    store = FeatureStore.open(asked.folder / "ledm50")
    names = store.labels.names[: asked.images]
    pixels = XGBOOST_PIXELS if asked.head == "xgboost" else None
    data = TrainingData(store, names, rows="concatenate", pixels_per_image=pixels, memory=MEMORY)
    head = {
        "logistic": LogisticHead(max_iter=asked.iterations),
        "mlp": MLPHead(batch="images", images_per_batch=asked.images_per_batch, iterations=asked.iterations),
        "xgboost": XGBoostHead(1, max_depth=4),
    }[asked.head]
    start = time.perf_counter()
    head.fit_blocks(data)
    print("claim: peak of the process at most 4 GB; that of 50 images at most 1.1 times that of 10")
    print(f"figure: {asked.head}, {len(names)} images: {peak_bytes() / 1e9:.3f} GB, {time.perf_counter() - start:.0f} s")
    print(machine(asked.threads), f"(OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')})")


if __name__ == "__main__":
    main()
