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
DOMAINS = ("shenzhen", "montgomery", "kermany")


def main() -> None:
    """Extract, fit, score, summarise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--precision", default="float32", help="of the extraction")
    parser.add_argument("--threads", type=int, default=None, help="of the extraction")
    parser.add_argument("--workers", type=int, default=2, help="processes that fit and score, of one thread each")
    parser.add_argument("--limit", type=int, default=None, help="images of each domain and split, for a rehearsal")
    options = parser.parse_args()
    (options.out / "heads").mkdir(parents=True, exist_ok=True)
    options.store = options.out / "store"
    _extract(options)
    sizes = [(n, seed) for n, seed in SIZES if options.limit is None or n <= options.limit]
    names = [*METHODS, *(f"timestep:{t}" for t in PROBED)]
    # BLAS and torch threads of several processes would fight over the cores.
    os.environ["OMP_NUM_THREADS"] = "1"
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        fits = [(options, name, n, seed) for n, seed in reversed(sizes) for name in names]
        pool.starmap(_fit, fits, chunksize=1)
        groups = [*METHODS, "timestep", *(f"tedm@{t}" for t in PROBED)]
        pool.starmap(_score, [(options, group, domain) for domain in DOMAINS for group in groups], chunksize=1)
    _summarise(options)


def _extract(options: argparse.Namespace) -> None:
    """One store of all images; the last line of its log is kept."""
    from tedm.extract import extract, load_backbone, read_manifest

    manifest = options.out / "manifest.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "mask", "split", "patient", "domain"])
        for domain in DOMAINS:
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
        read_manifest(manifest),
        options.store,
        backbone,
        timesteps=EXTRACTED,
        layout="native",
        device=options.device,
        precision=options.precision,
        threads=options.threads,
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


def _fit(options: argparse.Namespace, name: str, n: int, seed: int) -> None:
    """Fit one head: what `tedm-fit STORE HEAD --method NAME --images N --seed SEED --domain shenzhen` does."""
    from tedm.devices import choose_device
    from tedm.heads import fit, method_named, save_head
    from tedm.store import FeatureStore

    folder = options.out / "heads" / f"{name.replace(':', '')}-{n}-{seed}"
    if folder.exists():
        return
    method = method_named(name)
    mlp = method.head == "mlp"
    started = time.perf_counter()
    head = fit(
        FeatureStore.open(options.store),
        method,
        images=n,
        seed=seed,
        domain="shenzhen",
        device=choose_device(options.device) if mlp else "cpu",
        iterations=options.iterations if mlp else None,
    )
    seconds = time.perf_counter() - started
    head.provenance.update(fit_seconds=seconds, fit_peak_memory_mb=_peak())
    save_head(head, folder)
    print(f"{folder.name}: {head.provenance['iterations']} iterations, {seconds:.1f} s", flush=True)


def _score(options: argparse.Namespace, group: str, domain: str) -> None:
    """Score all heads of a method on one domain, each image read once: `tedm-evaluate STORE HEAD... --domain DOMAIN`."""
    from tedm.heads import evaluate, load_head, write_records
    from tedm.store import FeatureStore

    result = options.out / f"{group.replace('@', 'at')}-{domain}.csv"
    if result.exists():
        return
    method, _, timestep = group.partition("@")
    pattern = f"{method}-*" if method in METHODS else f"{method}*"
    heads = {path.name: load_head(path) for path in sorted((options.out / "heads").glob(pattern))}
    started = time.perf_counter()
    store = FeatureStore.open(options.store)
    records = evaluate(store, heads, domain=domain, timesteps=[int(timestep)] if timestep else None)
    seconds = time.perf_counter() - started
    write_records([record for record in records if record.class_value == 255], result)
    images = len(store.labels.select(split="test", domain=domain))
    costs = {"group": group, "domain": domain, "heads": len(heads), "images": images, "seconds": seconds, "peak_mb": _peak()}
    result.with_suffix(".json").write_text(json.dumps(costs))
    print(f"{group} on {domain}: {len(heads)} heads, {images} images, {seconds:.1f} s", flush=True)


def _summarise(options: argparse.Namespace) -> None:
    """All scores in one file; tables, losses and costs in another."""
    from tedm.heads import load_head, read_records, summarise, write_records

    records = [record for path in sorted(options.out.glob("*-*.csv")) for record in read_records(path)]
    write_records(records, options.out / "records.csv")
    (options.out / "records.csv.gz").write_bytes(gzip.compress((options.out / "records.csv").read_bytes()))
    (options.out / "records.csv").unlink()
    parts = ["## Extraction", f"```\n{(options.out / 'extraction.json').read_text()}\n```"]
    groups = {
        "Methods": lambda name: name in METHODS,
        "Ridge probes": lambda name: name.startswith("timestep:"),
        "TEDM voting with one timestep": lambda name: name == "tedm" or name.startswith("tedm@"),
    }
    for title, belongs in groups.items():
        chosen = [record for record in records if belongs(record.method)]
        for metric in ("dice", "precision", "recall") if title == "Methods" else ("dice",):
            parts += [f"## {title}: {metric}", summarise(chosen, metric=metric).to_markdown()]  # type: ignore[arg-type]
    costs = [
        "| method | n | seeds | iterations | last fall of the loss, % | fit, s | peak, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    fitted: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for path in sorted((options.out / "heads").iterdir()):
        head = load_head(path)
        fitted.setdefault((head.method.name, len(head.provenance["images"])), []).append(head.provenance)
    for (name, n), of in sorted(fitted.items()):
        falls = [100 * job.get("relative_fall_of_the_loss_in_its_last_tenth", float("nan")) for job in of]
        iterations, seconds = _span([job["iterations"] for job in of], 0), _span([job["fit_seconds"] for job in of], 1)
        peak = max(job["fit_peak_memory_mb"] for job in of)
        costs.append(f"| {name} | {n} | {len(of)} | {iterations} | {_span(falls, 1)} | {seconds} | {peak:.0f} |")
    costs += ["", "| scored | domain | heads | images | seconds | peak, MB |", "|---|---|---|---|---|---|"]
    for path in sorted(options.out.glob("*-*.json")):
        cost = json.loads(path.read_text())
        costs.append("| {group} | {domain} | {heads} | {images} | {seconds:.0f} | {peak_mb:.0f} |".format(**cost))
    parts += ["## Costs", "\n".join(costs)]
    (options.out / "summary.md").write_text("\n\n".join(parts) + "\n")
    print(f"see {options.out / 'summary.md'}")


def _span(values: list[float], digits: int) -> str:
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def _peak() -> float:
    """The largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
