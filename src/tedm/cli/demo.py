"""tedm-demo: the main job on real input, with nothing to download.

A small DDPM that comes with tedm, pre-trained with tedm-pretrain on axial slices of the MNI152 T1 template, segments grey and
white matter in slices of that template: heads from 1 to 6 axial slices, tested on other axial slices, on other planes and
on changed contrast. docs/results/demo.md says how the DDPM was made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tedm.cli import options
from tedm.cli.running import command_line, plain_errors, progress, say

if TYPE_CHECKING:
    from tedm.extract import Backbone
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
    from tedm.files import require_new
    from tedm.heads import evaluate, fit, method_named, save_head, summarise, write_records
    from tedm.heads.evaluation.folder import write_evaluation

    started = time.monotonic()
    require_new(out_folder)
    with progress("extracting") as show:
        store = template_store(out_folder, timesteps=TIMESTEPS, progress=show)
    say(f"extracted {len(store.labels)} slices at {len(TIMESTEPS)} timesteps")
    heads: dict[str, Segmenter] = {}
    jobs = [(name, n) for n in SIZES for name in (*METHODS, *(f"timestep:{t}" for t in PROBED))]
    with progress("fitting") as show:
        for number, (name, n) in enumerate(jobs, 1):
            iterations = ITERATIONS if name in METHODS else PROBE_ITERATIONS
            key = f"{name.replace(':', '')}-{n}"
            heads[key] = fit(store, method_named(name), images=n, iterations=iterations)
            save_head(heads[key], out_folder / "heads" / key)
            show(number, len(jobs))
    with progress("evaluating") as show:
        records = evaluate(store, heads, progress=show)
    write_records(records, out_folder / "records.csv")
    table = summarise(records)
    (out_folder / "table.md").write_text(f"{table.to_markdown()}\n{CAUTION}\n", encoding="utf-8")
    _draw(store, {name: heads[f"{name}-{SIZES[-1]}"] for name in METHODS}, out_folder / "overlays.png")
    largest = [f"{name}-{SIZES[-1]}" for name in METHODS]
    write_evaluation(
        out_folder / "evaluation",
        store,
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


def template_store(
    folder: Path,
    *,
    timesteps: Sequence[int] = PROBED,
    draws: int = 1,
    domains: Sequence[str] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> FeatureStore:
    """The demo's slices as features: what the notebooks begin with.

    Parameters
    ----------
    folder : Path
        Slices are written to `slices` in it and features to `store`. What is there already is not made again.
    timesteps, draws
        See `tedm.extract.extract`; as they were made, if the store is there.
    domains : sequence of str or None
        Some of "axial", "coronal", "sagittal" and "contrast+noise"; None takes all.
    progress : callable (done, all, pace) or None
        See `tedm.extract.extract`.

    Returns
    -------
    FeatureStore
        Layout `native`; six axial slices to train on, ten of each domain to test on.

    Raises
    ------
    TedmError
        If nilearn is not installed, or the store that is there was made with other settings.
    """
    from tedm.extract import Manifest, extract, read_manifest

    manifest = read_manifest(template_slices(folder / "slices"))
    if domains is not None:
        kept = [at for at, entry in enumerate(manifest.entries) if entry.domain in domains]
        entries, headers = tuple(manifest.entries[at] for at in kept), tuple(manifest.headers[at] for at in kept)
        manifest = Manifest(entries, manifest.classes, manifest.ignore, headers)
    done = extract(
        manifest,
        folder / "store",
        template_backbone(),
        timesteps=timesteps,
        draws=draws,
        layout="native",
        device="cpu",
        precision="float32",
        progress=progress,
    )
    return done.store


def template_slices(folder: Path) -> Path:
    """The manifest of the demo's slices, which are written if it is not there.

    Returns
    -------
    Path
        `manifest.csv` in the folder, beside `images/` and `masks/`: 6 axial slices to train on, and 10 to test on of each
        domain: axial, coronal, sagittal, contrast+noise. Masks hold 0 for background, 1 for grey and 2 for white matter.

    Raises
    ------
    TedmError
        If nilearn is not installed.
    """
    from tedm.cli._slices import write_template_slices

    manifest = folder / "manifest.csv"  # written last
    return manifest if manifest.exists() else write_template_slices(folder)


def template_backbone() -> Backbone:
    """The demo's small DDPM, pre-trained on axial slices: docs/results/demo.md."""
    from tedm.extract import load_backbone

    return load_backbone(Path(__file__).with_name("demo.safetensors"))


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
