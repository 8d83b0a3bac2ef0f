"""The paper's experiment on real chest X-rays: heads from a few Shenzhen images, tested at home and at two other hospitals.

    python benchmarks/chest_xray.py SHARED OUT [--device auto] [--workers 4]

SHARED holds `data/{shenzhen,montgomery,kermany}` and `checkpoints/nih64.pt`. One store with ten timesteps is extracted, then
TEDM, LEDM, LEDMe and the ridge probe of every timestep are fitted on n = 1, 3, 6, 12 (three seeds each) and 100 images and
scored on every test image; TEDM also votes with single timesteps. Every fit is a job of its own that leaves a file in OUT:
run the same command again after an interruption. At the end OUT/records.csv.gz has every score, OUT/summary.md the tables,
the losses, the times and the peak memory. No image is drawn or written.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import multiprocessing
import os
import resource
import time
from pathlib import Path
from typing import Any

SIZES = [(1, seed) for seed in range(3)] + [(n, seed) for n in (3, 6, 12) for seed in range(3)] + [(100, 0)]
PROBED = (1, 10, 25, 50, 200, 400, 600, 800)
EXTRACTED = (1, 10, 25, 50, 150, 200, 250, 400, 600, 800)
METHODS = ("tedm", "ledm", "ledme")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--iterations", type=int, default=4000)
    parser.add_argument("--workers", type=int, default=1, help="processes that fit MLPs")
    parser.add_argument("--probe-workers", type=int, default=1, help="processes that fit logistic regressions, after these")
    parser.add_argument("--limit", type=int, default=None, help="images of each domain and split, for a rehearsal")
    parser.add_argument("--store", type=Path, default=None, help="the store; default OUT/store")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    options.store = options.store or options.out / "store"
    _extract(options)
    sizes = [(n, seed) for n, seed in SIZES if options.limit is None or n <= options.limit]
    mlps = [(method, n, seed) for n, seed in sizes for method in METHODS]
    probes = [(f"timestep:{t}", n, seed) for n, seed in reversed(sizes) for t in PROBED]
    context = multiprocessing.get_context("spawn")
    # Each worker keeps to one thread: BLAS and torch threads of many processes would fight.
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // (options.workers + options.probe_workers)))
    with context.Pool(options.workers) as of_mlps, context.Pool(options.probe_workers) as of_probes:
        waiting = [of_mlps.apply_async(_job, (options, *job)) for job in mlps]
        if options.workers + options.probe_workers <= (os.cpu_count() or 1):
            waiting += [of_probes.apply_async(_job, (options, *job)) for job in probes]
            probes = []
        for done in waiting:
            done.get()
        for later in [of_probes.apply_async(_job, (options, *job)) for job in probes]:
            later.get()
    _summarise(options, mlps)


def _extract(options: argparse.Namespace) -> None:
    """One store of all images; the last line of its log is kept."""
    from tedm.extract.checkpoint import load_backbone
    from tedm.extract.manifest import read_manifest
    from tedm.extract.run import extract

    manifest = options.out / "manifest.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "mask", "split", "patient", "domain"])
        for domain in ("shenzhen", "montgomery", "kermany"):
            folder = (options.shared / "data" / domain).resolve()
            kept: dict[str, int] = {}
            for row in csv.DictReader((folder / "manifest.csv").open()):
                split = row["split"]
                if (domain != "shenzhen" and split != "test") or split == "val":
                    continue
                kept[split] = kept.get(split, 0) + 1
                if options.limit is None or kept[split] <= options.limit:
                    writer.writerow([folder / row["image"], folder / row["mask"], split, row["patient"], domain])
    started = time.perf_counter()
    backbone = load_backbone(options.shared / "checkpoints" / "nih64.pt")
    done = extract(
        read_manifest(manifest), options.store, backbone, timesteps=EXTRACTED, layout="native", device=options.device
    )
    if done.computed:
        arithmetic = done.store.arithmetic
        about = {
            "images": done.computed,
            "seconds": time.perf_counter() - started,
            "bytes": sum(file.stat().st_size for file in options.store.rglob("*") if file.is_file()),
            "peak_memory_mb": _peak(),
            "labels": done.store.labels.summary(),
            "arithmetic": vars(arithmetic),
        }
        (options.out / "extraction.json").write_text(json.dumps(about))
        print(f"extracted {done.computed} images in {about['seconds']:.1f} s on {arithmetic.processor}", flush=True)


def _job(options: argparse.Namespace, name: str, n: int, seed: int) -> None:
    """Fit one head and score it; leaves a file, or finds it."""
    from tedm.heads import evaluate, fit, method_named, write_records
    from tedm.heads.segmenter import choose_device
    from tedm.store import FeatureStore

    stem = f"{name.replace(':', '')}-{n}-{seed}"
    result = options.out / f"{stem}.json"
    if result.exists():
        return
    store = FeatureStore.open(options.store)
    method = method_named(name)
    mlp = method.head == "mlp"
    started = time.perf_counter()
    device = choose_device(options.device) if mlp else "cpu"
    head = fit(
        store, method, images=n, seed=seed, domain="shenzhen", device=device, iterations=options.iterations if mlp else None
    )
    fitted = time.perf_counter()
    records = evaluate(store, {"head": head})
    scored = time.perf_counter()
    if name == "tedm":
        for timestep in method.timesteps:
            records += evaluate(store, {"head": head}, timesteps=[timestep])
    write_records([record for record in records if record.class_value != head.classes[0]], options.out / f"{stem}.csv")
    about: dict[str, Any] = {
        "method": name,
        "n": n,
        "seed": seed,
        "device": device,
        "fit_seconds": fitted - started,
        "evaluate_seconds": scored - fitted,
        "peak_memory_mb": _peak(),
        **{key: value for key, value in head.provenance.items() if key != "validation_curve"},
    }
    result.write_text(json.dumps(about))
    print(f"{stem}: fit {about['fit_seconds']:.1f} s, evaluate {about['evaluate_seconds']:.1f} s", flush=True)


def _summarise(options: argparse.Namespace, mlps: list[tuple[str, int, int]]) -> None:
    """All scores in one file; tables, losses and costs in another."""
    from tedm.heads import read_records, summarise, write_records

    records = [record for path in sorted(options.out.glob("*-*-*.csv")) for record in read_records(path)]
    write_records(records, options.out / "records.csv")
    (options.out / "records.csv.gz").write_bytes(gzip.compress((options.out / "records.csv").read_bytes()))
    (options.out / "records.csv").unlink()
    jobs = [json.loads(path.read_text()) for path in sorted(options.out.glob("*-*-*.json"))]
    parts = [f"```\n{(options.out / 'extraction.json').read_text()}\n```"]
    groups = {
        "Methods": lambda name: name in METHODS,
        "Ridge probes": lambda name: name.startswith("timestep:"),
        "TEDM voting with one timestep": lambda name: name == "tedm" or name.startswith("tedm@"),
    }
    for title, belongs in groups.items():
        chosen = [record for record in records if belongs(record.method)]
        for metric in ("dice", "precision", "recall") if title == "Methods" else ("dice",):
            parts += [f"## {title}: {metric}", summarise(chosen, metric=metric).to_markdown()]  # type: ignore[arg-type]
    parts.append("## Costs\n\n| method | n | seeds | iterations | last fall of the loss, % | fit, s | evaluate, s | peak, MB |")
    parts[-1] += "\n|---|---|---|---|---|---|---|---|"
    for name, n in sorted({(job["method"], job["n"]) for job in jobs}):
        of = [job for job in jobs if (job["method"], job["n"]) == (name, n)]
        falls = [100 * job.get("relative_fall_of_the_loss_in_its_last_tenth", float("nan")) for job in of]
        parts[-1] += (
            f"\n| {name} | {n} | {len(of)} | {_span([job['iterations'] for job in of], 0)} | {_span(falls, 1)} | "
            f"{_span([job['fit_seconds'] for job in of], 1)} | {_span([job['evaluate_seconds'] for job in of], 1)} | "
            f"{max(job['peak_memory_mb'] for job in of):.0f} |"
        )
    (options.out / "summary.md").write_text("\n\n".join(parts) + "\n")
    print(f"{len(jobs)} jobs, of which {len(mlps)} MLPs; see {options.out / 'summary.md'}")


def _span(values: list[float], digits: int) -> str:
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def _peak() -> float:
    """The largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
