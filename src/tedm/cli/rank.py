"""tedm-rank: which image to annotate next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tedm.cli.shared import options
from tedm.cli.shared.running import Command, plain_errors, progress, say
from tedm.text import shown

if TYPE_CHECKING:
    from tedm.heads import RankBy, VotingRule


@click.command(cls=Command)
@click.argument("store", type=options.STORE)
@click.argument("head", type=options.PATH)
@click.option(
    "--by",
    type=click.Choice(["entropy", "disagreement", "peak", "border", "elsewhere", "distance", "cover"]),
    default="cover",
    show_default=True,
    help="What makes an image worth annotating; see docs/annotating.md.",
)
@click.option("--top", metavar="K", type=click.IntRange(min=1), default=None, help="How many to choose and draw. Default: 10.")
@click.option(
    "--diverse/--no-diverse",
    default=True,
    show_default=True,
    help="Choose images that stand for many and not for each other; or the highest scores.",
)
@click.option("--split", default=None, help="Only images of this split. Default: train or none.")
@options.DOMAIN
@click.option("--all", "labelled", is_flag=True, help="Rank images with masks too, for a study.")
@click.option(
    "--images",
    type=options.PATH,
    default=None,
    help="Manifest or folder of the images: their paths go into annotate-next.csv.",
)
@click.option(
    "--out", type=options.PATH, default=None, help="Write ranking.csv, ranking.png and annotate-next.csv to this folder."
)
@options.VOTE
@options.TIMESTEPS
@options.MEMORY
@options.DEVICE
@options.VERSION
@plain_errors
def main(
    store: Path | str,
    head: Path,
    by: RankBy,
    top: int | None,
    diverse: bool,
    split: str | None,
    domain: str | None,
    labelled: bool,
    images: Path | None,
    out: Path | None,
    vote: VotingRule | None,
    timesteps: tuple[int, ...] | None,
    memory: int | None,
    device: str,
) -> None:
    """Order the images of STORE that have no mask by what would teach HEAD most, and print the first K.

    The folder --out gets ranking.csv, all images with all scores; ranking.png, the first K with their predictions and what is
    unsure in them; and annotate-next.csv, the first K as a manifest. Fill in its column mask and give it to tedm-label.
    """
    from tedm.devices import choose_device
    from tedm.heads import load_head
    from tedm.store import FeatureStore
    from tedm.study import choose_next, order_in_words, shown_scores

    segmenter = load_head(head, device=choose_device(device))
    chosen = choose_next(
        FeatureStore.open(store),
        segmenter,
        by=by,
        top=top,
        diverse=diverse,
        split=split,
        domain=domain,
        labelled=labelled,
        images=images,
        folder=out,
        rule=vote,
        timesteps=timesteps,
        memory=memory,
        what=str(store),
        progress=progress,
        log=say,
    )
    ranked = f"{len(chosen.ranking)} images ranked by {by}{', diverse' if diverse else ''}"
    click.echo(f"{store}: {ranked}; the first {chosen.top}:")
    click.echo(f"in this order: {order_in_words(by, diverse=diverse)}")
    width = max(len(shown(each.name)) for each in chosen.first)
    for number, each in enumerate(chosen.first, 1):
        scores = "  ".join(f"{score} {getattr(each, score):.3f}" for score in shown_scores(by))
        click.echo(f"{number:4}  {shown(each.name):{width}}  {scores}")
    if out is not None:
        click.echo(f"{out}: ranking.csv, ranking.png, annotate-next.csv; fill in its masks for tedm-label")
    else:
        click.echo("draw masks of these, the first first, and give them to tedm-label; --out FOLDER writes a manifest for that")


if __name__ == "__main__":
    main()
