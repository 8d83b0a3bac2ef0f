"""Claims: (1) weights learned on 15 labelled images give better masks than the plain mean, at home and in other hospitals; (2)
so do weights by entropy; (3) a temperature fitted on those images lowers the expected calibration error, at home and elsewhere.

    python benchmarks/votes.py STORE OUT [--iterations 1000] [--images 6] [--seeds 3] [--home shenzhen]

STORE has chest X-rays of several domains, those of HOME with train, val and test. TEDM (a shared MLP), the same with a logistic
regression, and LEDMe (ten MLPs, timesteps side by side) learn from the first IMAGES of HOME's train split by seed; weights and
temperatures are fitted on its val split. The opinions on each test image are computed once and merged by every rule. Because
val's labels could have been trained on as well, each method is also fitted on as many training images as IMAGES and val's
together. OUT gets records.csv (Dice of every image), ece.csv, summary.md and reliability.png; heads are kept, so that the same
command goes on after an interruption. No image is drawn or written.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import math
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import wilcoxon

from tedm.heads import (
    RULES,
    Record,
    Reliability,
    Segmenter,
    calibrate,
    fit,
    image_scores,
    learn_weights,
    load_head,
    method_named,
    read_records,
    save_head,
    score,
    summarise,
    write_records,
)
from tedm.show import reliability_figure, save
from tedm.store import FeatureStore

METHODS: dict[str, dict[str, Any]] = {"tedm": {}, "tedm-logistic": {"head": "logistic"}, "ledme": {}}
DRAWN = ("tedm", "geometric", 0)


@dataclasses.dataclass(frozen=True)
class Variant:
    """A fitted head with one rule and its temperature."""

    name: str
    rule: str
    seed: int
    head: Segmenter

    @property
    def temperature(self) -> float:
        return self.head.calibration.temperature if self.head.calibration is not None else 1.0


def main() -> None:
    """Fit, merge, score, summarise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--home", default="shenzhen")
    parser.add_argument("--limit", type=int, default=None, help="test images of each domain, for a rehearsal")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    store = FeatureStore.open(options.store)
    for name, changes in METHODS.items():
        for seed in range(options.seeds):
            _study(options, store, name, changes, seed)
            _summarise(options)  # of what there is by now
    print(f"see {options.out / 'summary.md'}")


def _study(options: argparse.Namespace, store: FeatureStore, name: str, changes: dict[str, Any], seed: int) -> None:
    """One method and seed: its own files in OUT/parts, unless they are there."""
    part = options.out / "parts" / f"{name}-{seed}.json"
    if part.exists():
        return
    part.parent.mkdir(exist_ok=True)
    val = len(store.labels.select(split="val", domain=options.home, labelled=True))
    head = _fitted(options, store, name, changes, options.images, seed)
    more = _fitted(options, store, name, changes, options.images + val, seed)
    records: list[Record] = []
    counts: dict[tuple[str, str], tuple[float, Reliability, Reliability]] = {}
    for found, of_variants in _scored(options, store, list(_variants(options, store, name, seed, head)), more):
        records += found
        for key, (temperature, before, after) in of_variants.items():
            if key in counts:
                before, after = counts[key][1] + before, counts[key][2] + after
            counts[key] = (temperature, before, after)
    write_records(records, part.with_suffix(".csv"))
    rows = [
        {"method": name, "rule": rule, "seed": seed, "domain": domain, "temperature": temperature}
        | {stage: _plain(of) for stage, of in (("before", before), ("after", after))}
        for (rule, domain), (temperature, before, after) in counts.items()
    ]
    part.write_text(json.dumps(rows))
    print(f"{name}, seed {seed}: scored", flush=True)


def _plain(counts: Reliability) -> dict[str, Any]:
    """As JSON knows it."""
    arrays = {each: getattr(counts, each).tolist() for each in ("pixels", "right", "confidence")}
    return {**arrays, "surprise": counts.surprise}


def _counts(plain: dict[str, Any]) -> Reliability:
    arrays = [np.array(plain[each]) for each in ("pixels", "right", "confidence")]
    return Reliability(*arrays, plain["surprise"])


def _fitted(options: argparse.Namespace, store: FeatureStore, name: str, changes: Any, images: int, seed: int) -> Segmenter:
    """What tedm-fit STORE HEAD --method NAME --images N --seed SEED --domain HOME does."""
    folder = options.out / "heads" / f"{name}-{images}-{seed}"
    if not folder.exists():
        method = method_named(name.partition("-")[0], **changes)
        iterations = options.iterations if method.head == "mlp" else None
        save_head(fit(store, method, images=images, seed=seed, domain=options.home, iterations=iterations), folder)
        print(f"{folder.name}: fitted", flush=True)
    return load_head(folder)


def _variants(options: argparse.Namespace, store: FeatureStore, name: str, seed: int, head: Segmenter) -> Iterator[Variant]:
    """The head under each rule, with weights where they are used, and a temperature."""
    for rule in RULES:
        of_rule = dataclasses.replace(head, method=dataclasses.replace(head.method, vote=rule))
        if rule == "learned":
            of_rule = learn_weights(head, store, domain=options.home)
            assert of_rule.weights is not None
            print(f"{name}, seed {seed}: weights {[[round(w, 3) for w in row] for row in of_rule.weights.values]}", flush=True)
        yield Variant(name, rule, seed, calibrate(of_rule, store, domain=options.home))


def _scored(
    options: argparse.Namespace, store: FeatureStore, variants: list[Variant], more: Segmenter
) -> Iterator[tuple[list[Record], dict[tuple[str, str], tuple[float, Reliability, Reliability]]]]:
    """Image by image: the Dice of each rule, and the counts before and after its temperature."""
    labels = store.labels
    for domain in sorted(set(labels.domains)):
        for block in store.blocks(labels.select(split="test", domain=domain, labelled=True)[: options.limit]):
            truth, found, counts = store.mask(block.name), [], {}
            opinions, square = variants[0].head.opinions(block), (block.size, block.size, -1)
            for variant in variants:
                bare = dataclasses.replace(variant.head, calibration=None)
                before, after = (head.vote().merge(opinions).reshape(square) for head in (bare, variant.head))
                assert (before.argmax(axis=-1) == after.argmax(axis=-1)).all()
                found.append(
                    _record(options.images, variant.rule, variant.name, variant.head, domain, block.name, truth, before)
                )
                both = Reliability.count(truth, before), Reliability.count(truth, after)
                counts[variant.rule, domain] = (variant.temperature, *both)
            found.append(
                _record(
                    options.images,
                    "soft, val trained on",
                    variants[0].name,
                    more,
                    domain,
                    block.name,
                    truth,
                    more.probabilities(block),
                )
            )
            yield found, counts


def _record(n: int, rule: str, name: str, head: Segmenter, domain: str, image: str, truth: Any, merged: Any) -> Record:
    scores, about = score(truth, merged.argmax(axis=-1).astype("uint8"), len(head.classes)), head.provenance
    numbers = [float(each[1]) for each in (scores.dice, scores.precision, scores.recall, scores.iou)]
    of_image = (domain, "test", image, "", head.classes[1])
    return Record(f"{name}: {rule}", n, about["seed"], *of_image, *numbers, about["labels_used"], "feature")


def _summarise(options: argparse.Namespace) -> None:
    """All scores and calibration errors in one file each, the tables and the figure."""
    parts = sorted((options.out / "parts").glob("*.json"))
    records = [record for part in parts for record in read_records(part.with_suffix(".csv"))]
    write_records(records, options.out / "records.csv")
    rows = [row for part in parts for row in json.loads(part.read_text())]
    stages = ("before", "after")
    with (options.out / "ece.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        key = ("method", "rule", "seed", "domain", "temperature")
        writer.writerow([*key, "stage", "pixels", "ece", "cross_entropy", "accuracy"])
        for row in rows:
            for stage in stages:
                of = _counts(row[stage])
                measures = [of.pixels.sum(), of.ece, of.cross_entropy, of.accuracy]
                writer.writerow([*(row[column] for column in key), stage, *measures])
    domains = sorted({row["domain"] for row in rows}, key=lambda each: (each != options.home, each))
    methods = [name for name in METHODS if any(row["method"] == name for row in rows)]
    found = []
    for name in methods:
        chosen = [record for record in records if record.method.startswith(f"{name}: ")]
        found += [f"## Dice x 100 of the rules, {name}", summarise(chosen, metric="dice").to_markdown()]
    found.append(_differences(records, methods, domains))
    for title, measure, factor in (
        ("Expected calibration error x 100", "ece", 100.0),
        ("Cross-entropy, nats", "cross_entropy", 1.0),
    ):
        table = [f"## {title}: mean over seeds before -> after (seeds that fell)", ""]
        table += ["| method | vote | T | " + " | ".join(domains) + " |", "|---|---|---|" + "---|" * len(domains)]
        for name in methods:
            for rule in RULES:
                of = [row for row in rows if (row["method"], row["rule"]) == (name, rule)]
                cells = [", ".join(f"{row['temperature']:.2f}" for row in of if row["domain"] == domains[0])]
                for domain in domains:
                    here = [row for row in of if row["domain"] == domain]
                    pairs = [[factor * getattr(_counts(row[stage]), measure) for stage in stages] for row in here]
                    before, after = (statistics.fmean(values) for values in zip(*pairs, strict=True))
                    cells.append(f"{before:.3g} -> {after:.3g} ({sum(b > a for b, a in pairs)} of {len(pairs)})")
                table.append(f"| {name} | {rule} | " + " | ".join(cells) + " |")
        found.append("\n".join(table))
    (options.out / "summary.md").write_text("\n\n".join(found) + "\n")
    diagrams = {}
    for domain in domains:
        (row,) = [each for each in rows if (each["method"], each["rule"], each["seed"], each["domain"]) == (*DRAWN, domain)]
        both = {"before": "before", f"after, T = {row['temperature']:.2f}": "after"}
        title = f"{DRAWN[0]}, {DRAWN[1]} vote, seed {DRAWN[2]}, {domain}"
        diagrams[title] = {name: _counts(row[stage]).bins() for name, stage in both.items()}
    save(reliability_figure(diagrams), options.out / "reliability.png", dpi=90)


def _differences(records: list[Record], methods: list[str], domains: list[str]) -> str:
    """Each rule against the plain mean: the mean over images of the difference in Dice, each image the mean of its seeds."""
    dice = {(method, domain): scores for (domain, _, method), scores in image_scores(records).items()}
    rows = ["## Dice x 100, difference to the plain mean: mean over images (images that gained; Wilcoxon's p)", ""]
    rows += ["| method | vote | " + " | ".join(domains) + " |", "|---|---|" + "---|" * len(domains)]
    for name in methods:
        for rule in (*RULES[1:], "soft, val trained on"):
            cells = []
            for domain in domains:
                theirs, plain = dice[f"{name}: {rule}", domain], dice[f"{name}: soft", domain]
                gains = [theirs[image] - plain[image] for image in plain if not math.isnan(plain[image])]
                p = wilcoxon(gains).pvalue
                cells.append(f"{statistics.fmean(gains):+.2f} ({sum(gain > 0 for gain in gains)} of {len(gains)}; {p:.1g})")
            rows.append(f"| {name} | {rule} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
