"""tedm-demo: the main job on real input, with nothing to download.

A small DDPM that comes with tedm, pre-trained with tedm-pretrain on axial slices of the MNI152 T1 template, segments grey and
white matter in slices of that template: heads from 1 to 6 axial slices, tested on other axial slices, on other planes and
on changed contrast. docs/results/demo.md says how the DDPM was made.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tedm.cli import options
from tedm.cli.running import command_line, plain_errors, progress, say

if TYPE_CHECKING:
    from tedm.heads import Segmenter
    from tedm.store import FeatureStore

CAUTION = "These are slices of one brain, neighbours of each other: an illustration of the method and no evaluation of it."
SIZES = (1, 3, 6)
METHODS = ("tedm", "ledm", "ledme")
TIMESTEPS = (1, 10, 25, 50, 150, 200, 250, 400, 600, 800)
PROBED = (1, 10, 25, 50, 200, 400, 600, 800)
# A demonstration: enough for the loss to have nearly stopped falling.
ITERATIONS = 400
PROBE_ITERATIONS = 100


@click.command()
@click.argument("out_folder", type=options.PATH, default="demo-out")
@options.VERSION
@plain_errors
def main(out_folder: Path) -> None:
    """Extract, fit, vote, score and draw on slices of a brain template, and write everything to OUT_FOLDER (demo-out).

    Needs the extra: pip install 'tedm[demo]'. Takes up to three minutes on two cores.
    """
    from tedm.cli._report import write_report
    from tedm.cli._slices import write_template_slices
    from tedm.extract.checkpoint import load_backbone
    from tedm.extract.manifest import read_manifest
    from tedm.extract.run import extract
    from tedm.heads import evaluate, fit, method_named, save_head, summarise, write_records
    from tedm.heads.evaluation import write_evaluation
    from tedm.heads.saved import require_new

    started = time.monotonic()
    require_new(out_folder)
    manifest = write_template_slices(out_folder / "slices")
    with progress("extracting") as show:
        backbone = load_backbone(Path(__file__).with_name("demo.safetensors"))
        done = extract(
            read_manifest(manifest),
            out_folder / "store",
            backbone,
            timesteps=TIMESTEPS,
            layout="native",
            device="cpu",
            precision="float32",
            progress=show,
        )
    say(f"extracted {done.computed} slices at {len(TIMESTEPS)} timesteps")
    heads: dict[str, Segmenter] = {}
    jobs = [(name, n) for n in SIZES for name in (*METHODS, *(f"timestep:{t}" for t in PROBED))]
    with progress("fitting") as show:
        for number, (name, n) in enumerate(jobs, 1):
            iterations = ITERATIONS if name in METHODS else PROBE_ITERATIONS
            key = f"{name.replace(':', '')}-{n}"
            heads[key] = fit(done.store, method_named(name), images=n, iterations=iterations)
            save_head(heads[key], out_folder / "heads" / key)
            show(number, len(jobs))
    with progress("evaluating") as show:
        records = evaluate(done.store, heads, progress=show)
    write_records(records, out_folder / "records.csv")
    table = summarise(records)
    (out_folder / "table.md").write_text(f"{table.to_markdown()}\n{CAUTION}\n", encoding="utf-8")
    _draw(done.store, {name: heads[f"{name}-{SIZES[-1]}"] for name in METHODS}, out_folder / "overlays.png")
    largest = [f"{name}-{SIZES[-1]}" for name in METHODS]
    write_evaluation(
        out_folder / "evaluation",
        done.store,
        heads,
        records,
        title="tedm-demo: grey and white matter in slices of a brain template",
        command=command_line("tedm-demo"),
        words=[CAUTION],
        shown=[*largest, f"timestep1-{SIZES[-1]}"],
        ranked_by=largest[0],
        what="the store of the demo",
    )
    write_report([out_folder / "evaluation"], out_folder / "report.html")
    click.echo(table.to_text())
    click.echo(CAUTION)
    made = "report.html, overlays.png, table.md, records.csv, evaluation/, heads/, store/"
    click.echo(f"{out_folder}: {made} in {time.monotonic() - started:.0f} s; open {out_folder / 'report.html'} in a browser")


def _draw(store: FeatureStore, heads: dict[str, Segmenter], path: Path) -> None:
    """One slice of each domain, its truth and what the heads make of it."""
    from tedm.heads import predict, score
    from tedm.show.figures import overlay_figure, save

    domains = list(dict.fromkeys(store.labels.domains))
    names = [_middle(store.labels.select(split="test", domain=domain)) for domain in domains]
    masks = {name: store.mask(name) for name in names}
    predictions: dict[str, list[object]] = {}
    dice: dict[str, list[float]] = {}
    for prediction in predict(store, heads, names):
        title = f"{prediction.head}, n = {SIZES[-1]}"
        scores = score(masks[prediction.name], prediction.mask, len(store.labels.classes))
        predictions.setdefault(title, []).append(prediction.mask)
        dice.setdefault(title, []).append(float(scores.dice[1:].mean()))
    images = [store.image(name)[..., 0] for name in names]
    truths = [masks[name] for name in names]
    figure = overlay_figure(images, truths, predictions, names, ["background", "grey matter", "white matter"], dice=dice)  # type: ignore[arg-type]
    save(figure, path)


def _middle(names: list[str]) -> str:
    return names[len(names) // 2]
