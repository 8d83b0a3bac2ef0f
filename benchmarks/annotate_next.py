"""Claim: the first five of tedm-rank's list teach a head from one image more than five images at random.

    python benchmarks/annotate_next.py STORE OUT [--repeats 10] [--head logistic]

STORE has labelled images of the split train in --domain and of the split test in --tested. A repeat (its seed) draws a
permutation of the training images. A head is fitted on the first; the others are ranked by it as if nobody had annotated them;
heads are fitted on the first image and each list's first five. Five at random are the next five of the permutation. Every head
is scored on every test image; the score of a repeat and a domain is the mean Dice over its images. Reported: the mean over
repeats of the difference to five at random, with its 95 % interval (Student's t over repeats, each a pair: the same first
image, the same test images).

A repeat leaves a file in OUT: the same command goes on after an interruption. At the end OUT/annotate-next.md has the tables.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from tedm.heads import candidates, evaluate, first_images, fit, image_scores, mean_and_deviation, method_named, rank
from tedm.store import Features, FeatureStore

MORE = 5
# by, diverse
LISTS = {
    "entropy": ("entropy", False),
    "entropy, diverse": ("entropy", True),
    "disagreement": ("disagreement", False),
    "disagreement, diverse": ("disagreement", True),
    "peak": ("peak", False),
    "border": ("border", False),
    "elsewhere": ("elsewhere", False),
    "distance": ("distance", False),
    "cover": ("cover", False),
    "cover, diverse": ("cover", True),
}


def main() -> None:
    """Repeat, then summarise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--domain", default="shenzhen", help="of the training images")
    parser.add_argument("--tested", default="shenzhen,montgomery", help="domains whose test images are scored")
    parser.add_argument("--head", default="logistic", help="logistic or mlp, of method tedm")
    parser.add_argument("--iterations", type=int, default=None)
    parser.add_argument("--lists", default=",".join(name.replace(", ", "+") for name in LISTS))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    seeds = range(options.first_seed, options.first_seed + options.repeats)
    for seed in seeds:
        _repeat(options, seed)
    text = _summary(options, seeds)
    (options.out / "annotate-next.md").write_text(text)
    print(text)


class Annotated:
    """Features in which only some images have masks."""

    def __init__(self, features: Features, names: Sequence[str]) -> None:
        self._features = features
        of_each = zip(features.labels.names, features.labels.labelled, strict=True)
        self.labels = replace(features.labels, labelled=tuple(pixels if name in names else 0 for name, pixels in of_each))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._features, name)


def _repeat(options: argparse.Namespace, seed: int) -> None:
    """Fit, rank, fit, score: one row a head and test image."""
    result = options.out / f"{options.head}-{seed}.csv"
    if result.exists():
        return
    started = time.perf_counter()
    store = FeatureStore.open(options.store)
    method = method_named("tedm", head=options.head)
    train = store.labels.select(split="train", domain=options.domain, labelled=True)
    order = first_images(train, store.labels.group_of(train), None, seed)

    def fitted(names: Sequence[str]) -> Any:
        return fit(Annotated(store, names), method, domain=options.domain, seed=seed, iterations=options.iterations)

    heads = {"one image": fitted(order[:1])}
    annotated = Annotated(store, order[:1])
    pool = candidates(annotated, heads["one image"], domain=options.domain)
    chosen = {"random": order[1 : 1 + MORE]}
    one = rank(annotated, heads["one image"], pool, diverse=False)  # has every score
    for name in (each.replace("+", ", ") for each in options.lists.split(",")):
        by, diverse = LISTS[name]
        if diverse:
            ranking = rank(annotated, heads["one image"], pool, by=by, diverse=True, top=MORE)
        else:
            ranking = sorted(one, key=attrgetter(by), reverse=True)
        chosen[name] = [each.name for each in ranking[:MORE]]
    heads |= {name: fitted([order[0], *names]) for name, names in chosen.items()}
    rows = []
    for domain in options.tested.split(","):
        for name, head in heads.items():
            records = evaluate(store, {name: head}, split="test", domain=domain)
            for scores in image_scores(records).values():
                rows += [[seed, name, domain, image, dice / 100] for image, dice in scores.items()]
    with result.open("w", newline="") as file:
        csv.writer(file).writerows([["seed", "list", "domain", "image", "dice"], *rows])
    print(f"repeat {seed}: {len(pool)} images ranked, {len(heads)} heads, {time.perf_counter() - started:.0f} s", flush=True)


def _summary(options: argparse.Namespace, seeds: Sequence[int]) -> str:
    scores: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for seed in seeds:
        with (options.out / f"{options.head}-{seed}.csv").open() as file:
            for row in csv.DictReader(file):
                scores[row["domain"], row["list"], seed].append(100 * float(row["dice"]))
    lines = []
    for domain in dict.fromkeys(key[0] for key in scores):
        images = len(scores[domain, "random", seeds[0]])
        lines += [f"{domain}, {images} test images, {len(seeds)} repeats, head {options.head}", ""]
        lines += [
            "| learned from | Dice × 100 | difference to random | 95 % interval | repeats above random |",
            "|---|--:|--:|--:|--:|",
        ]
        random = np.array([mean_and_deviation(scores[domain, "random", seed])[0] for seed in seeds])
        for name in dict.fromkeys(key[1] for key in scores if key[0] == domain):
            means = np.array([mean_and_deviation(scores[domain, name, seed])[0] for seed in seeds])
            cells = [f"{means.mean():.2f}"]
            if name == "random":
                cells += ["", "", ""]
            else:
                differences = means - random
                error = differences.std(ddof=1) / np.sqrt(len(seeds))
                half = stats.t.ppf(0.975, len(seeds) - 1) * error
                cells += [f"{differences.mean():+.2f}", f"{differences.mean() - half:+.2f} to {differences.mean() + half:+.2f}"]
                cells += [f"{(differences > 0).sum()} of {len(seeds)}"]
            what = {"one image": "the one image alone", "random": f"and {MORE} at random"}.get(name, f"and {MORE} by {name}")
            lines.append(f"| {what} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
