"""Question: are masks whose borders follow the images' edges (`--edges`) better, at the images' own resolution?

    python benchmarks/edges.py STORE MANIFEST HEAD [HEAD ...] [--split test] [--limit N]

STORE has features of pictures, MANIFEST names their files and masks, and HEADs were fitted on STORE. Every head segments every
labelled picture once; from the same probabilities the mask is made without and with edges, at the picture's own size, and both
are held against the picture's own mask. Prints the mean Dice over classes but the first and over images, for each domain and
number of training images, the mean difference over heads with a 95 % interval over them (t), and Wilcoxon's p over images,
each the mean of its heads. Seconds are of making a mask, medians. Nothing is written.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from math import sqrt
from pathlib import Path
from time import perf_counter

import numpy as np
from scipy import stats
from synthetic import machine

from tedm.extract import read_manifest
from tedm.heads import load_head, paired_p_value, predict, score
from tedm.store import FeatureStore
from tedm.study.masks.edges import mask_at_own_size
from tedm.study.originals import Originals


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("heads", type=Path, nargs="+")
    parser.add_argument("--split", default="test")
    parser.add_argument("--limit", type=int, default=None, help="images of each domain, for a rehearsal")
    options = parser.parse_args()
    features = FeatureStore.open(options.store)
    labels, geometry = features.labels, features.settings.geometry
    manifest = read_manifest(options.manifest, known=labels)
    entries, originals = {entry.name: entry for entry in manifest.entries}, Originals(manifest, features)
    heads = {str(path): load_head(path) for path in options.heads}
    counts = {key: int(head.provenance["labels_used"]) for key, head in heads.items()}
    print(machine(1), f"{len(heads)} heads, {options.split} of {options.store.name}")
    dice: dict[tuple[str, int], dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    seconds: dict[str, list[float]] = defaultdict(list)
    for domain in sorted(set(labels.domains)):
        names = labels.select(split=options.split, domain=domain, labelled=True)[: options.limit]
        for made in predict(features, heads, names):
            entry, image = entries[made.name], originals.whole(made.name)
            truth = manifest.read_mask(entry)
            for kind, guide in (("plain", None), ("edges", image)):
                start = perf_counter()
                mask = mask_at_own_size(made.decisive, entry.size, geometry, guide)
                seconds[kind].append(perf_counter() - start)
                of_classes = score(truth, mask, len(labels.classes)).dice[1:]
                dice[domain, counts[made.head]][made.head][kind].append(100 * float(np.nanmean(of_classes)))
    print(
        "| domain | n | heads | images | plain | with edges | difference (over heads) | p |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    )
    for (domain, n), of_heads in sorted(dice.items()):
        plain, edges = (np.array([of_heads[key][kind] for key in of_heads]) for kind in ("plain", "edges"))
        apart = (edges - plain).mean(axis=1)
        count = len(apart)
        half = stats.t.ppf(0.975, count - 1) * apart.std(ddof=1) / sqrt(count) if count > 1 else float("nan")
        p_value = paired_p_value(edges.mean(axis=0) / 100, plain.mean(axis=0) / 100)
        means = f"{plain.mean():.2f} | {edges.mean():.2f} | {apart.mean():+.2f} ± {half:.2f} | {p_value:.2g}"
        print(f"| {domain} | {n} | {count} | {plain.shape[1]} | {means} |")
    print({kind: f"{statistics.median(each):.4f} s" for kind, each in seconds.items()}, "a mask")


if __name__ == "__main__":
    main()
