"""Question: which variant of TEDM and LEDMe is best on development data, at 1 to 12 labelled images, at home and away?

    python benchmarks/method_search.py SHARED OUT            # writes OUT/development.csv, OUT/search.toml and OUT/brain.toml
    tedm-study OUT/search.toml OUT/search --only "tedm, 8 views"       # one row; without --only, all
    tedm-study OUT/brain.toml OUT/brain      # the same question of fifteen structures of the brain, whole volumes
    python benchmarks/method_search.py SHARED OUT --table    # means, and gains on `tedm` seed by seed with 95 % intervals
    python benchmarks/method_search.py SHARED OUT --table brain
    python benchmarks/method_search.py SHARED OUT --bar jury # a study in OUT: `jury` against the best other in each cell

Development data: training images are a fixed half of Shenzhen's split `train`; scores are those of Shenzhen's split `val`
(home) and of a fixed part of Kermany's split `train` (another hospital, another age, another labelling convention). Brain
structures are learned from patients of split `train` and scored on the volumes of split `val`. No test image is read. Each
variant changes one thing of `tedm` or `ledme`; the last ones are combinations.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from tedm.heads import committee_of, comparisons, holm, method_named, paired_p_value, read_records

SIZES, SEEDS = (1, 3, 6, 12), (0, 1, 2, 3, 4)
SCREEN: dict[str, Any] = {"sizes": [1, 6], "seeds": [0, 1, 2]}  # of what is tried one at a time
POOL, AWAY = 48, 60  # images: of Shenzhen's to learn from, of Kermany's to score on
VIEWS = 8
SHAPES = {"smoothing": 1.0, "specks": 0.1}
ROOT = {"views": VIEWS, "sampling": "root"}
# name in tables: the method that it changes, and what it changes (words of a study's [[methods]])
VARIANTS: dict[str, dict[str, Any]] = {
    "tedm": {"method": "tedm"},
    "ledme": {"method": "ledme"},
    "timestep:1": {"method": "timestep:1"},
    "timestep:50": {"method": "timestep:50"},
    "tedm, 8 views": {"method": "tedm", "views": VIEWS, **SCREEN},
    "ledme, 8 views": {"method": "ledme", "views": VIEWS, **SCREEN},
    "timestep:50, 8 views": {"method": "timestep:50", "views": VIEWS, **SCREEN},
    "tedm, 3 members": {"method": "tedm", "members": 3, **SCREEN},
    "ledme, 1 member": {"method": "ledme", "members": 1, **SCREEN},
    "tedm, rate decays": {"method": "tedm", "params": {"decay": True}, **SCREEN},
    "tedm, dropout 0.2": {"method": "tedm", "params": {"dropout": 0.2}, **SCREEN},
    "tedm, labels smoothed 0.1": {"method": "tedm", "params": {"label_smoothing": 0.1}, **SCREEN},
    "tedm, weight decay 0.1": {"method": "tedm", "params": {"weight_decay": 0.1}, **SCREEN},
    "tedm, 500 iterations": {"method": "tedm", "iterations": 500, **SCREEN},
    "tedm, 128 pixels a batch": {"method": "tedm", "pixels_per_batch": 128, **SCREEN},
    "tedm, standardised": {"method": "tedm", "params": {"standardise": True}, **SCREEN},
    "tedm, entropy vote": {"method": "tedm", "vote": "entropy", **SCREEN},
    "tedm, smoothing 1": {"method": "tedm", "smoothing": 1, **SCREEN},
    "tedm, smoothing 2": {"method": "tedm", "smoothing": 2, **SCREEN},
    "tedm, specks 0.1": {"method": "tedm", "specks": 0.1, **SCREEN},
    "ledme, rate decays": {"method": "ledme", "params": {"decay": True}, **SCREEN},
    "ledme, 8 views, shapes": {"method": "ledme", "views": VIEWS, **SHAPES, **SCREEN},
    "ledme, 8 views, dropout 0.2": {"method": "ledme", "views": VIEWS, "params": {"dropout": 0.2}, **SCREEN},
    "ledme, 8 views, soft vote": {"method": "ledme", "views": VIEWS, "vote": "soft", **SCREEN},
    "ledme, 8 views, soft vote, dropout 0.2, shapes": {
        "method": "ledme",
        "views": VIEWS,
        "vote": "soft",
        "params": {"dropout": 0.2},
        **SHAPES,
        **SCREEN,
    },
    "tedm, root": {"method": "tedm", "sampling": "root", **SCREEN},
    "ledme, 8 views, root": {"method": "ledme", **ROOT, **SCREEN},
    # fewer passes of the network for each image that is segmented
    "root, timestep 50": {"method": "ledme", "timesteps": [50], **ROOT, **SCREEN},
    "root, timesteps 1 and 50": {"method": "ledme", "timesteps": [1, 50], **ROOT, **SCREEN},
    "root, timesteps 50 and 200": {"method": "ledme", "timesteps": [50, 200], **ROOT, **SCREEN},
    "root, timesteps 1, 50 and 200": {"method": "ledme", "timesteps": [1, 50, 200], **ROOT, **SCREEN},
    "root, timesteps 1 and 50, 5 members": {"method": "ledme", "timesteps": [1, 50], "members": 5, **ROOT, **SCREEN},
    # the default's MLPs alone (nobody but they takes a learning rate), networks alone, and both in one vote
    "mlps": {"method": "jury", "learning_rate": 1e-3},
    "unet": {"method": "unet"},
    "ddpm-finetune": {"method": "ddpm-finetune", "checkpoint": "CHECKPOINT"},
    "jury": {"method": "jury"},
    "jury-finetune": {"method": "jury-finetune", "checkpoint": "CHECKPOINT"},
}
# Of brain structures, without views: those of every training slice would be eight times the extraction.
BRAIN_VARIANTS: dict[str, dict[str, Any]] = {
    "tedm": {"method": "tedm"},
    "ledme": {"method": "ledme"},
    "timestep:1": {"method": "timestep:1", "pixels_per_image": 500, "iterations": 100},
    "timestep:50": {"method": "timestep:50", "pixels_per_image": 500, "iterations": 100},
    "tedm, root": {"method": "tedm", "sampling": "root"},
    "ledme, root": {"method": "ledme", "sampling": "root"},
    "jury": {"method": "jury", "views": 0, "sizes": [1, 3, 6, 12]},
    "jury-fast": {"method": "jury-fast", "views": 0, "sizes": [1, 3, 6]},
    "mlps, timesteps 1 and 50": {"method": "jury", "timesteps": [1, 50], "views": 0, "sizes": [1, 3, 6], "learning_rate": 1e-3},
    "unet": {"method": "unet", "sizes": [1, 3, 6]},
    "tedm, balanced": {"method": "tedm", "sampling": "balanced"},
    "ledme, balanced": {"method": "ledme", "sampling": "balanced"},
    "ledme, root, soft vote": {"method": "ledme", "sampling": "root", "vote": "soft"},
}
# name in tables: the methods that vote, the views that they learn from, and what else is different
COMMITTEES: dict[str, tuple[list[str], int, dict[str, Any]]] = {
    "tedm and ledme": (["tedm", "ledme"], 0, SCREEN),
    "tedm and ledme, 8 views": (["tedm", "ledme"], VIEWS, SCREEN),
    "tedm and ledme, 8 views, shapes": (["tedm", "ledme"], VIEWS, SHAPES),
    "tedm and ledme, shapes": (["tedm", "ledme"], 0, SHAPES),
    "tedm, ledme and ddpm-finetune, 8 views": (["tedm", "ledme", "ddpm-finetune"], VIEWS, SCREEN),
}
# The published methods and the probes: what the chosen method has to be as good as.
RIVALS = ["tedm", "ledm", "ledme", *(f"timestep:{timestep}" for timestep in (1, 10, 25, 50, 200, 400, 600, 800))]
HEAD = f"""# Written by benchmarks/method_search.py. Development data only: no test image is read.
title = "The search for a method"
sizes = {list(SIZES)}
counts = "images"
seeds = {list(SEEDS)}
metric = "dice"
correction = "holm"

[features]
images = "development.csv"
checkpoint = %s
layout = "native"
views = {VIEWS}

[learn]
split = "train"
domain = "shenzhen"

[[score]]
split = "val"
domain = "shenzhen"

[[score]]
split = "val"
domain = "kermany"
"""
BRAIN = """# Written by benchmarks/method_search.py. Development data only: no test volume is scored.
title = "The search for a method, brain structures"
sizes = [1, 6]
counts = "groups"
seeds = [0, 1]
metric = "dice"
correction = "holm"

[features]
images = %s
checkpoint = %s
layout = "native"
normalise = "quantile"
drop_empty = "train"

[learn]
split = "train"

[[score]]
split = "val"
volumes = %s
"""


def main() -> None:
    """Write the study, or read what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--table", nargs="?", const="search", choices=["search", "brain"], help="read the records of the study, and print gains"
    )
    parser.add_argument(
        "--bar", metavar="METHOD", help="read OUT/records.csv, and hold a method against the best of the others"
    )
    parser.add_argument("--rivals", nargs="+", default=RIVALS, help="the others")
    options = parser.parse_args()
    if options.bar is not None:
        print("\n".join(against_the_best(options.out / "records.csv", options.bar, options.rivals)))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    if options.table:
        print("\n".join(gains(options.out / options.table)))
        return
    write_development(options.shared.absolute() / "data", options.out / "development.csv")
    checkpoint = json.dumps(str(options.shared.absolute() / "checkpoints" / "nih64.pt"))
    volumes, brain64 = (
        json.dumps(str(options.shared.absolute() / path)) for path in ("data/subcortical", "checkpoints/brain64.pt")
    )
    brain = BRAIN % (volumes, brain64, volumes)
    (options.out / "brain.toml").write_text(brain + "".join(_table(name, asked) for name, asked in BRAIN_VARIANTS.items()))
    tables = [_table(name, asked).replace('"CHECKPOINT"', checkpoint) for name, asked in variants().items()]
    (options.out / "search.toml").write_text(HEAD % checkpoint + "".join(tables))
    print(
        f"{len(tables)} methods: tedm-study {options.out / 'search.toml'} {options.out / 'search'} --dry-run counts their fits"
    )


def variants() -> dict[str, dict[str, Any]]:
    """Return every variant, the committees among them, as words of a study's [[methods]]."""
    committees = {}
    for name, (parts, views, changes) in COMMITTEES.items():
        methods = [method_named(base, views=None if base == "ddpm-finetune" else views) for base in parts]
        whole = committee_of("all", methods)
        committees[name] = {
            "method": "tedm",
            "head": whole.head,
            "members": whole.members,
            "timesteps": list(whole.timesteps),
            "rows": whole.rows,
            "views": whole.views,
            "params": dict(whole.settings),
            **changes,
        }
        if "ddpm-finetune" in parts:
            committees[name]["checkpoint"] = "CHECKPOINT"
    return {**VARIANTS, **committees}


def write_development(data: Path, path: Path) -> None:
    """Write the manifest of the development images, with absolute paths."""
    chosen = [
        *_rows(data / "shenzhen", "train", "shenzhen", "train", POOL),
        *_rows(data / "shenzhen", "val", "shenzhen", "val", None),
        *_rows(data / "kermany", "train", "kermany", "val", AWAY),
    ]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(chosen[0]))
        writer.writeheader()
        writer.writerows(chosen)


def _rows(folder: Path, split: str, domain: str, called: str, most: int | None) -> Iterator[dict[str, str]]:
    """Yield some images of a split, those of a permutation by a fixed seed, in the manifest's order."""
    with (folder / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    for at in sorted(np.random.default_rng(0).permutation(len(rows))[:most]):
        row = rows[at]
        files = {column: str(folder / row[column]) for column in ("image", "mask")}
        yield {**files, "split": called, "patient": row["patient"], "domain": domain}


def _table(name: str, asked: Mapping[str, Any]) -> str:
    """Return a method as a table of TOML; JSON's lists, texts and numbers are TOML's, objects are inline tables."""
    lines = [f"name = {json.dumps(name)}", *(f"{word} = {_toml(value)}" for word, value in asked.items())]
    return "\n[[methods]]\n" + "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def gains(out: Path) -> Iterator[str]:
    """Yield lines of a table: the mean Dice of each variant, and what it gains on `tedm`, with a 95 % interval over seeds."""
    volumes = out.name == "brain"
    scores, known = ("volumes.csv", BRAIN_VARIANTS) if volumes else ("records.csv", variants())
    dice: dict[tuple[str, str, int], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for file in sorted((out / "units").glob(f"*/*/scores/{scores}")):
        for record in read_records(file):
            if record.class_value != 0:
                dice[record.method, record.domain, record.n][record.seed].append(100 * record.dice)
    names = [name for name in known if any(key[0] == name for key in dice)]
    domains, sizes = sorted({key[1] for key in dice}, reverse=True), sorted({key[2] for key in dice})
    yield "| variant | " + " | ".join(f"{domain}, n = {n}" for domain in domains for n in sizes) + " |"
    yield "|---|" + "--:|" * (len(domains) * len(sizes))
    for name in names:
        cells = []
        for key in ((domain, n) for domain in domains for n in sizes):
            ours = {seed: float(np.nanmean(values)) for seed, values in dice[name, *key].items()}
            theirs = {seed: float(np.nanmean(values)) for seed, values in dice["tedm", *key].items()}
            cells.append(_cell(ours, theirs, name))
        yield f"| {name} | " + " | ".join(cells) + " |"


def _cell(ours: Mapping[int, float], theirs: Mapping[int, float], name: str) -> str:
    if not ours:
        return "–"
    mean = f"{np.mean(list(ours.values())):.1f}"
    apart = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    if name == "tedm" or len(apart) < 2:
        return mean
    half = stats.t.ppf(0.975, len(apart) - 1) * np.std(apart, ddof=1) / sqrt(len(apart))
    return f"{mean} ({np.mean(apart):+.1f} ± {half:.1f})"


def against_the_best(records: Path, method: str, rivals: Sequence[str]) -> Iterator[str]:
    """Yield lines of a table: in each domain, at each size, the method and the rival with the highest mean over images.

    The interval is one over seeds (t, 95 %); p-values are of Wilcoxon's signed-rank test over images, each the mean of its
    seeds, after Holm over all cells.
    """
    cells, values = [], []
    for comparison in comparisons([record for record in read_records(records) if record.n in SIZES]):
        if method not in comparison.scores:
            continue
        ours = 100 * comparison.scores[method]
        others = {name: 100 * comparison.scores[name] for name in rivals if name in comparison.scores}
        best = max(others, key=lambda name: float(np.nanmean(others[name])))
        by_seed = [
            float(np.nanmean(ours[at]) - np.nanmean(others[best][at])) for at in range(min(len(ours), len(others[best])))
        ]
        half = stats.t.ppf(0.975, len(by_seed) - 1) * np.std(by_seed, ddof=1) / sqrt(len(by_seed))
        values.append(paired_p_value(np.nanmean(ours, axis=0) / 100, np.nanmean(others[best], axis=0) / 100))
        means = f"{np.nanmean(ours):.1f} | {best} | {np.nanmean(others[best]):.1f}"
        cells.append(f"| {comparison.domain} | {comparison.n} | {means} | {np.mean(by_seed):+.1f} ± {half:.1f}")
    yield f"| domain | n | {method} | best other | its Dice | difference (over seeds) | p (Holm) |"
    yield "|---|--:|--:|---|--:|--:|--:|"
    for cell, p_value in zip(cells, holm(values), strict=True):
        yield f"{cell} | {p_value:.2g} |"


if __name__ == "__main__":
    main()
