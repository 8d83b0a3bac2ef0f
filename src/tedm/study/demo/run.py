"""The main job on real input: heads from 1 to 6 axial slices, tested on other slices, other planes and changed contrast.

A small DDPM that comes with tedm, pre-trained with tedm-pretrain on axial slices of the MNI152 T1 template, segments grey and
white matter in slices of that template. docs/results/demo.md says how the DDPM was made.
"""

from __future__ import annotations

from pathlib import Path

from tedm.files import filled_folder, write_whole
from tedm.heads import (
    DEFAULT,
    Cell,
    Segmenter,
    Table,
    evaluate,
    fit,
    method_named,
    predict,
    save_head,
    score,
    summarise,
    write_records,
)
from tedm.jsons import JsonValue
from tedm.show.figures import overlay_figure, save
from tedm.store import FeatureStore
from tedm.study.demo.template import TIMESTEPS as PROBED
from tedm.study.demo.template import template_store
from tedm.study.fit import with_views_there
from tedm.study.report.evaluation import write_evaluation
from tedm.study.report.report import write_report
from tedm.study.stages import Log, Stages, mute, silent

CAUTION = "These are slices of one brain, neighbours of each other: an illustration of the method and no evaluation of it."
SIZES = (1, 3, 6)
METHODS = ("jury", "tedm", "ledm", "ledme")
BASELINE = "unet"
VIEWS = 8
TIMESTEPS = (1, 10, 25, 50, 150, 200, 250, 400, 600, 800)
# A demonstration: enough for the loss to have nearly stopped falling.
ITERATIONS = 400
PROBE_ITERATIONS = 100
# The default has a network, whose steps take longer.
DEFAULT_ITERATIONS = 120
# A small network that sees few batches: as much as fits into a demonstration.
BASELINE_ITERATIONS = 150
BASELINE_SETTINGS: dict[str, JsonValue] = {"width": 8, "images_per_batch": 4}


def run_demo(folder: Path, *, command: str = "", progress: Stages = silent, log: Log = mute) -> Table:
    """Extract, fit, vote, score and draw on slices of a brain template.

    Parameters
    ----------
    folder : Path
        Not there yet, or empty. It gets report.html, overlays.png, table.md, records.csv, evaluation/, heads/, slices/ and
        store/.
    command : str
        What the report says of how it was made.
    progress, log
        See `tedm.study.stages`.

    Returns
    -------
    Table
        Dice of all methods, training sizes and domains.

    Raises
    ------
    TedmError
        If nilearn is not installed, or the folder is taken or cannot be written.
    """
    with filled_folder(folder):
        with progress("extracting") as show:
            store = template_store(folder, timesteps=TIMESTEPS, views=VIEWS, progress=show)
        log(f"extracted {len(store.labels)} slices at {len(TIMESTEPS)} timesteps, and {VIEWS} views of those to train on")
        heads: dict[str, Segmenter] = {}
        methods = (*METHODS, BASELINE)
        jobs = [(name, n) for n in SIZES for name in (*methods, *(f"timestep:{t}" for t in PROBED))]
        with progress("fitting") as show:
            for number, (name, n) in enumerate(jobs, 1):
                iterations, params = ITERATIONS if name in METHODS else PROBE_ITERATIONS, None
                if name == DEFAULT:
                    iterations = DEFAULT_ITERATIONS
                if name == BASELINE:
                    iterations, params = BASELINE_ITERATIONS, BASELINE_SETTINGS
                key = f"{name.replace(':', '')}-{n}"
                method = with_views_there(store, method_named(name))
                heads[key] = fit(store, method, images=n, iterations=iterations, params=params)
                save_head(heads[key], folder / "heads" / key)
                show(number, len(jobs))
        with progress("evaluating") as show:
            records = evaluate(store, heads, progress=show)
        write_records(records, folder / "records.csv")
        table = summarise(records)
        words = [CAUTION, won(table)]
        text = f"{table.to_markdown()}\n{CAUTION}\n\n{won(table)}\n"
        write_whole(folder / "table.md", text.encode(), remedy="name another folder")
        _draw(store, {name: heads[f"{name}-{SIZES[-1]}"] for name in methods}, folder / "overlays.png")
        largest = [f"{name}-{SIZES[-1]}" for name in methods]
        write_evaluation(
            folder / "evaluation",
            store,
            heads,
            records,
            title="tedm-demo: grey and white matter in slices of a brain template",
            command=command,
            words=words,
            shown=[*largest, f"timestep1-{SIZES[-1]}"],
            ranked_by=largest[0],
            what="the store of the demo",
        )
        write_report([folder / "evaluation"], folder / "report.html")
    return table


def won(table: Table) -> str:
    """Say which method was best in each domain at the largest size, and how far behind the baseline and the default were."""
    n = max(cell.n for cell in table.cells)
    by_domain: dict[str, list[Cell]] = {}
    for cell in table.cells:
        if cell.n == n:
            by_domain.setdefault(cell.domain, []).append(cell)
    parts, behind_best = [], []
    for domain, cells in by_domain.items():
        best = max(cells, key=lambda cell: cell.mean)
        baseline = next((cell for cell in cells if cell.method == BASELINE and cell is not best), None)
        behind = "" if baseline is None else f", {best.mean - baseline.mean:.1f} before {BASELINE}"
        parts.append(f"{domain} {best.method} ({best.mean:.1f}{behind})")
        usual = next((cell for cell in cells if cell.method == DEFAULT and cell is not best), None)
        if usual is not None:
            behind_best.append(f"{domain} ({usual.mean:.1f}, {best.mean - usual.mean:.1f} behind)")
    default = f" The default of tedm-fit, {DEFAULT}, was not the best on {', '.join(behind_best)}." if behind_best else ""
    return f"Best with n = {n}, by mean Dice: {'; '.join(parts)}.{default}"


def _draw(store: FeatureStore, heads: dict[str, Segmenter], path: Path) -> None:
    """Draw one slice of each domain, its truth and what the heads make of it."""
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
