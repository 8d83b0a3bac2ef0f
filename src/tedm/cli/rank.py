"""tedm-rank: which image to annotate next."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tedm.cli import options
from tedm.cli.running import plain_errors, progress, say_what_differs
from tedm.errors import TedmError

if TYPE_CHECKING:
    from tedm.heads import Ranked, Segmenter
    from tedm.store import FeatureStore

FIRST = 10  # chosen, drawn and printed, where there are as many
REMEDY = "make room, and run the same command again"


@click.command()
@click.argument("store", type=options.STORE)
@click.argument("head", type=options.PATH)
@click.option(
    "--by",
    type=click.Choice(["entropy", "disagreement", "peak", "border", "elsewhere", "distance", "cover"]),
    default="cover",
    show_default=True,
    help="What makes an image worth annotating; see docs/annotating.md.",
)
@click.option(
    "--top", metavar="K", type=click.IntRange(min=1), default=None, help=f"How many to choose and draw. Default: {FIRST}."
)
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
    by: Any,
    top: int | None,
    diverse: bool,
    split: str | None,
    domain: str | None,
    labelled: bool,
    images: Path | None,
    out: Path | None,
    vote: Any,
    timesteps: Any,
    memory: int | None,
    device: str,
) -> None:
    """Order the images of STORE that have no mask by what would teach HEAD most, and print the first K.

    The folder --out gets ranking.csv, all images with all scores; ranking.png, the first K with their predictions and what is
    unsure in them; and annotate-next.csv, the first K as a manifest. Fill in its column mask and give it to tedm-label.
    """
    from tedm.devices import choose_device
    from tedm.files import require_new
    from tedm.heads import candidates, load_head, rank
    from tedm.store import FeatureStore

    if out is not None:
        require_new(out)
    elif images is not None:
        raise TedmError("--images is for annotate-next.csv; name a folder for it with --out")
    segmenter = load_head(head, device=choose_device(device))
    features = FeatureStore.open(store)
    say_what_differs(features, [segmenter])
    paths = _paths(images, features) if images is not None else {}
    names = candidates(features, segmenter, split=split, domain=domain, labelled=labelled)
    if top is not None and top > len(names):
        raise TedmError(f"--top {top} is above the {len(names)} images that there are to rank; ask for at most {len(names)}")
    top = min(FIRST, len(names)) if top is None else top
    asked: dict[str, Any] = {"rule": vote, "timesteps": timesteps, "memory": memory}
    with progress("ranking") as show:
        ranking = rank(features, segmenter, names, by=by, diverse=diverse, top=top, what=str(store), progress=show, **asked)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        _write_csv(out / "ranking.csv", [["rank", *_columns()], *([n, *_cells(each)] for n, each in enumerate(ranking, 1))])
        _draw(out / "ranking.png", features, segmenter, ranking[:top], by, asked)
        _write_csv(out / "annotate-next.csv", _template(out, ranking[:top], paths))
    click.echo(f"{store}: {len(ranking)} images ranked by {by}{', diverse' if diverse else ''}; the first {top}:")
    width = max(len(each.name) for each in ranking[:top])
    for number, each in enumerate(ranking[:top], 1):
        scores = "  ".join(f"{score} {getattr(each, score):.3f}" for score in _shown(by))
        click.echo(f"{number:4}  {each.name:{width}}  {scores}")
    if out is not None:
        click.echo(f"{out}: ranking.csv, ranking.png, annotate-next.csv; fill in its masks for tedm-label")


def _shown(by: str) -> list[str]:
    """The scores that are printed and drawn: the one that the ranking is by, and those that everybody asks for."""
    return list(dict.fromkeys([by, "entropy", "disagreement", "cover"]))[:3]


def _columns() -> list[str]:
    from tedm.heads import Ranked

    return ["image" if field.name == "name" else field.name for field in fields(Ranked)]


def _cells(ranked: Ranked) -> list[str]:
    return [f"{value:.6f}" if isinstance(value, float) else str(value) for value in astuple(ranked)]


def _template(out: Path, chosen: list[Ranked], paths: dict[str, Path]) -> list[list[str]]:
    """A manifest that lacks nothing but masks."""
    rows = [["name", "image", "mask", "split", "group", "domain"]]
    for each in chosen:
        image = os.path.relpath(paths[each.name].resolve(), out.resolve()) if each.name in paths else each.name
        rows.append([each.name, image, "", each.split or "train", each.group, each.domain])
    return rows


def _paths(images: Path, features: FeatureStore) -> dict[str, Path]:
    from tedm.extract import read_manifest

    return {entry.name: entry.image for entry in read_manifest(images, known=features.labels).entries}


def _draw(
    path: Path, features: FeatureStore, segmenter: Segmenter, chosen: list[Ranked], by: str, asked: dict[str, Any]
) -> None:
    """The sheet: the chosen images are predicted once more, so that no picture is kept of those that are not drawn."""
    from tedm.heads import predict
    from tedm.show import ranking_sheet, save

    drawn = list(predict(features, {"head": segmenter}, [each.name for each in chosen], uncertainty=True, **asked))
    images = [features.image(each.name) for each in chosen]
    figure = ranking_sheet(
        [image[..., 0] if image.shape[-1] == 1 else image for image in images],
        [each.mask for each in drawn],
        [each.entropy for each in drawn if each.entropy is not None],
        [each.name for each in chosen],
        segmenter.classes,
        captions=[", ".join(f"{name} {getattr(each, name):.2f}" for name in _shown(by)) for each in chosen],
    )
    save(figure, path)


def _write_csv(path: Path, rows: list[list[Any]]) -> None:
    from tedm.files import write_whole

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_whole(path, text.getvalue().encode(), remedy=REMEDY)
