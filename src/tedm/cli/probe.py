"""tedm-probe: which timesteps and levels are worth what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tedm.cli import options
from tedm.cli.running import command_line, plain_errors, progress, say

if TYPE_CHECKING:
    from tedm.heads import Findings
    from tedm.heads.metrics.summary import EmptyTruth
    from tedm.store import FeatureStore


@click.command()
@click.argument("store", type=options.STORE)
@click.option("--out", type=options.PATH, default=None, help="Write tables, figures and result.json to this new folder.")
@click.option(
    "--sizes",
    type=options.Sizes(),
    default=None,
    help="Numbers of training images; all has one repeat. Default: 1,3,6,12,all, as far as there are so many.",
)
@click.option("--repeats", type=int, default=5, show_default=True, help="Random training subsets of each size.")
@click.option(
    "--by",
    type=click.Choice(["timestep", "level", "timestep,level"]),
    default="timestep",
    show_default=True,
    help="What a probe sees; timestep,level is both, and each level at each timestep.",
)
@click.option("--domain", default=None, help="Where training and val images are from. Default: anywhere.")
@click.option("--split", default="train", show_default=True, help="Images to learn from.")
@click.option("--test", default="test", show_default=True, help="Images to be scored on, in every domain.")
@click.option("--ridge", type=options.Ridge(), default=None, help="Penalties to choose from. Default: 1, 10, 100, 1000, 10000.")
@options.EMPTY_TRUTH
@options.MEMORY
@click.option("--processes", type=int, default=None, help="Probes that are computed at once. Default: one for each core.")
@options.VERSION
@plain_errors
def main(
    store: Path | str,
    out: Path | None,
    sizes: tuple[int | None, ...] | None,
    repeats: int,
    by: Any,
    domain: str | None,
    split: str,
    test: str,
    ridge: Any,
    empty_truth: EmptyTruth,
    memory: int | None,
    processes: int | None,
) -> None:
    """Fit a small ridge logistic regression on each timestep (or level) of STORE and see which are worth what.

    Each is fitted on random subsets of the training images of several sizes and scored on the test images of every domain
    (arXiv:2311.07421, appendix B). Which timesteps vote best together is chosen on the val split and reported on the test
    split. Prints the scores and a recommendation; --out also keeps the scores of every fit and image, every number with its
    interval, and the figures. A run with --out that was stopped goes on where it was when the same command is run again.
    """
    import shutil

    import torch

    from tedm.files import require_new
    from tedm.heads import advice, probe
    from tedm.heads.probing.plan import STRENGTHS
    from tedm.store import FeatureStore

    kept, cores = None, torch.get_num_threads()
    if out is not None:
        require_new(out)
        kept = out.with_name(f".{out.name}.probes")
    features = FeatureStore.open(store)
    strengths = STRENGTHS if ridge is None or ridge == "auto" else [ridge] if isinstance(ridge, float) else ridge
    asked: dict[str, Any] = {"sizes": sizes, "repeats": repeats, "by": by, "domain": domain, "train": split, "test": test}
    with progress("probing") as show:
        findings = probe(
            features,
            **asked,
            ridge=strengths,
            memory=memory,
            processes=cores if processes is None else processes,
            kept=kept,
            progress=show,
            empty=empty_truth,
        )
    say("scores are Dice x 100: mean [95 % interval] over repeats and images")
    click.echo(_text(findings))
    words = advice(findings)
    for paragraph in words:
        click.echo(f"\n{paragraph}")
    if out is not None and kept is not None:
        from tedm.cli._probe_result import write_findings

        write_findings(out, findings, words, _about(features, store, findings), by=by)
        shutil.rmtree(kept, ignore_errors=True)
        click.echo(f"\n{out}: scores.csv.gz, points.csv, votes.csv, figures; tedm-report {out} shows them")


def _text(findings: Findings) -> str:
    """The Dice of every probe on test images, a block for each domain, a column for each size."""
    from tedm.heads.evaluation.render import images_in_words
    from tedm.text import columns

    sizes = findings.plan.sizes
    blocks = []
    for domain, split in findings.places():
        if split == "val":
            continue
        rows = [["", *(f"n = {n}" for n in sizes)]]
        points = [p for p in findings.points if (p.domain, p.split, p.metric) == (domain, split, "dice")]
        for name in dict.fromkeys(point.probe for point in points):
            of_size = {
                point.n: f"{point.mean:.1f} [{point.low:.1f}, {point.high:.1f}]" for point in points if point.probe == name
            }
            rows.append([name, *(of_size[n] for n in sizes)])
        absent = findings.without_class(domain, split)
        images = images_in_words(points[0].images, points[0].left_out, absent, 0, findings.empty)
        blocks.append("\n".join([f"{domain or 'all'} ({split}), {images}", *columns(rows)]))
    return "\n\n".join(blocks)


def _about(features: FeatureStore, store: Path | str, findings: Findings) -> list[tuple[str, str]]:
    """Where the numbers come from."""
    from tedm.heads.metrics.summary import CONVENTIONS

    settings, plan = features.settings, findings.plan
    training = {name for subset in plan.subsets for name in subset.images}
    return [
        ("store", Path(str(store)).name),
        ("images", features.labels.summary()),
        ("backbone", f"{settings.checkpoint_sha256[:12]}..., {settings.image_size} x {settings.image_size} pixels"),
        ("timesteps", ", ".join(map(str, settings.timesteps))),
        ("levels", ", ".join(f"{level.name} ({level.channels} channels, stride {level.stride})" for level in settings.levels)),
        ("training images", f"{len(training)} at most, of sizes {', '.join(map(str, plan.sizes))}"),
        ("labels used", f"n for every fit, and {plan.val} of val for what is chosen"),
        ("empty truth", f"{findings.empty}: {CONVENTIONS[findings.empty]}"),
        ("command", command_line("tedm-probe")),
    ]
