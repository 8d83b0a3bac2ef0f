"""Logistic regression on all pixels at TEDM's shape: memory, speed against dense NumPy, optimum against scikit-learn's.

Claims: peak above the level after imports at most 1/8 of the dense float32 matrix of 12 images; a loss and gradient at least 5
times faster than with that matrix and equal threads; on one image, where a dense float64 matrix fits, an objective of at most
(1 + 1e-6) times that of scikit-learn's `LogisticRegression(solver="lbfgs")`.

    python benchmarks/logistic.py FOLDER [--threads 2] [--dense-images 4]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from synthetic import machine, make_store, peak_bytes
from threadpoolctl import threadpool_limits

from tedm.heads import Effort, LogisticHead, Model, TrainingData, dense_rows, losses, resident
from tedm.store import FeatureStore

IMAGES = 12


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dense-images", type=int, default=4, help="Images in the dense matrix: 0.5 GB each.")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(asked.threads)
    store = make_store(asked.folder / "tedm14", "tedm", IMAGES + 2)
    names = store.labels.select(split="train")
    before = resident()
    data = TrainingData(store, names, rows="share", memory=2 * 10**9)
    LogisticHead(max_iter=5).fit_blocks(data)
    above, dense_bytes = peak_bytes() - before, len(names) * 8 * 128**2 * 960 * 4
    print(f"claim: peak above the level after imports <= 1/8 of the dense matrix ({dense_bytes / 1e9:.2f} GB)")
    print(f"figure: {above / 1e9:.3f} GB = 1/{dense_bytes / above:.1f} (five iterations, budget 2 GB)")

    some = names[: asked.dense_images]
    data = TrainingData(store, some, rows="share", memory=8 * 10**9)
    rows = np.concatenate([dense_rows(store.block(name), "share").astype(np.float32) for name in some])
    labels = np.concatenate([np.tile(store.mask(name).ravel(), 8) for name in some]).astype(np.float64)
    weights = np.random.default_rng(0).normal(size=960) * 0.01
    position = np.full(256, 255, np.uint8)
    position[:2] = [0, 1]
    model = Model(weights[:, None], np.zeros(1), frozenset(some), position, np.ones(256))

    def ours() -> tuple[float, np.ndarray]:
        (found,) = next(losses(data, some, [model], Effort("float32", 1, asked.threads), True))
        return found.loss, found.gradient[:, 0]

    def dense() -> tuple[float, np.ndarray]:
        logits = (rows @ weights.astype(np.float32)).astype(np.float64)
        small = np.exp(-np.abs(logits))
        loss = np.log1p(small) + np.maximum(logits, 0) - logits * labels
        residuals = np.where(logits >= 0, 1.0, small) / (1 + small) - labels
        return float(loss.sum()), rows.T @ residuals.astype(np.float32)

    times: dict[str, list[float]] = {"ours": [], "dense": []}
    ours()
    for _ in range(asked.rounds):  # taking turns: the machine is not ours alone
        for name, function in (("ours", ours), ("dense", dense)):
            with threadpool_limits(asked.threads):
                start = time.perf_counter()
                loss, gradient = function()
                times[name].append(time.perf_counter() - start)
            if name == "ours":
                expected = loss, gradient
    error = np.abs(gradient - expected[1]).max() / np.abs(gradient).max()
    ratios = [theirs / mine for mine, theirs in zip(times["ours"], times["dense"], strict=True)]
    print(f"claim: a loss and gradient over {len(some)} images at least 5 times faster than dense float32 NumPy")
    print(
        f"figure: {np.median(ratios):.1f} times (median of {asked.rounds}; {min(ratios):.1f} to {max(ratios):.1f}), "
        f"decoded blocks in memory; losses agree to {abs(loss / expected[0] - 1):.1e}, gradients to {error:.1e}"
    )
    _optimum(store, names[0])
    print(machine(asked.threads))


def _optimum(store: FeatureStore, name: str) -> None:
    """Both solvers on one image: what they find, by one formula."""
    from sklearn.linear_model import LogisticRegression

    rows = dense_rows(store.block(name), "share").astype(np.float64)
    labels = np.tile(store.mask(name).ravel(), 8)
    theirs = LogisticRegression(C=1.0, solver="lbfgs", tol=1e-10, max_iter=5000).fit(rows, labels)
    data = TrainingData(store, [name], rows="share", memory=8 * 10**9)
    ours = LogisticHead(1.0, standardize=False, dtype="float64", tol=1e-10, max_iter=5000).fit_blocks(data)

    def objective(head: LogisticHead | LogisticRegression) -> float:
        logits = (rows @ head.coef_.T + head.intercept_)[:, 0]
        return float((np.logaddexp(0, logits) - logits * labels).sum() + 0.5 * (head.coef_**2).sum())

    print("claim: objective at most (1 + 1e-6) times scikit-learn's (float64, ridge 1, features as they are)")
    print(f"figure: 1 {objective(ours) / objective(theirs) - 1:+.1e}; {ours.n_iter_} and {theirs.n_iter_[0]} iterations")


if __name__ == "__main__":
    main()
