"""tedm-probe: which timesteps and levels are worth what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from tedm.cli.shared import options
from tedm.cli.shared.running import Command, command_line, plain_errors, progress, say

if TYPE_CHECKING:
    from tedm.heads import By, EmptyTruth, Order


@click.command(cls=Command)
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
    "--order",
    type=click.Choice(["seed", "manifest"]),
    default="seed",
    show_default=True,
    help="Whether subsets are random, or the first images of the store's own list: one for each size.",
)
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
    order: Order,
    by: By,
    domain: str | None,
    split: str,
    test: str,
    ridge: float | list[float] | Literal["auto"] | None,
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
    from tedm.heads import STRENGTHS
    from tedm.store import FeatureStore
    from tedm.study import probe_store
    from tedm.study.report.probe import findings_text

    probed = probe_store(
        FeatureStore.open(store),
        folder=out,
        sizes=sizes,
        repeats=repeats,
        by=by,
        domain=domain,
        train=split,
        test=test,
        ridge=STRENGTHS if ridge is None or ridge == "auto" else [ridge] if isinstance(ridge, float) else ridge,
        memory=memory,
        processes=processes,
        empty=empty_truth,
        order=order,
        what=Path(str(store)).name,
        command=command_line("tedm-probe"),
        progress=progress,
    )
    say("scores are Dice x 100: mean [95 % interval] over repeats and images")
    click.echo(findings_text(probed.findings))
    for paragraph in probed.advice:
        click.echo(f"\n{paragraph}")
    if out is not None:
        click.echo(f"\n{out}: scores.csv.gz, points.csv, votes.csv, figures; tedm-report {out} shows them")


if __name__ == "__main__":
    main()
