"""tedm-verify: every file of a store read again."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tedm.cli.shared import backbones, options
from tedm.cli.shared.running import Command, plain_errors, progress, say
from tedm.text import counted


@click.command(cls=Command)
@click.argument("store", type=options.STORE)
@click.option("--repair", is_flag=True, help="Remove what is damaged, so that the same tedm-extract computes it again.")
@click.option("--recompute", type=click.IntRange(min=1), default=None, help="Compute this many images again, compare bits.")
@backbones.backbone_options("The DDPM, for --recompute.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which images --recompute takes.")
@click.option("--images", type=options.PATH, default=None, help="Compare the files of a manifest or folder with STORE.")
@options.IGNORE
@options.THRESHOLD
@options.JSON
@options.VERSION
@plain_errors
def main(
    store: Path | str,
    repair: bool,
    recompute: int | None,
    checkpoint: Path | None,
    backbone: str | None,
    backbone_config: Path | None,
    seed: int,
    images: Path | None,
    ignore: int | None,
    threshold: int | None,
    as_json: bool,
) -> None:
    """Read all of STORE again: checksums, absent and stray files, finite values. Exit code 1 unless it is whole.

    --repair removes the activations of damaged images; then run the same tedm-extract again, which computes these only. Masks
    cannot be computed: tedm-label writes them anew. With --images every file is read, whatever its size and time say.
    """
    from tedm.store import FeatureStore
    from tedm.store.place import inside
    from tedm.study import verify_store
    from tedm.views import VIEWS

    if (recompute is None) != (checkpoint is None and backbone is None):
        raise click.UsageError("--recompute K and --checkpoint FILE (or --backbone MODULE:FUNCTION) go together")
    done = verify_store(
        FeatureStore.open(store),
        backbone=backbones.load(checkpoint, backbone, backbone_config),
        recompute=recompute,
        seed=seed,
        repair=repair,
        images=images,
        ignore=ignore,
        threshold=threshold,
        progress=progress,
    )
    if as_json:
        click.echo(json.dumps({"store": str(store), **done.to_json()}, indent=1))
    else:
        for each in done.damage:
            click.echo(str(each))
        for line in done.differences:
            click.echo(line)
        again = f", {counted(len(done.recomputed), 'image')} computed again" if done.recomputed else ""
        counts = f"{len(done.missing)} missing, {len(done.damage)} damaged"
        counts += "" if images is None else f", {len(done.differences)} different from {images}"
        click.echo(f"{store}: {counted(done.images, 'image')} read{again}, {counts}")
        if done.views is not None:
            for each in done.views.damage:
                click.echo(f"view: {each}")
            counts = f"{len(done.views.missing)} missing, {len(done.views.damage)} damaged"
            click.echo(f"{inside(store, VIEWS)}: {counted(done.views.images, 'view')} read, {counts}")
    lost = [*done.lost, *(done.views.lost if done.views is not None else ())]
    if repair and lost:
        say(f"the activations of {counted(len(lost), 'image')} were removed")
    if done.damaged_masks:
        say(f"damaged masks: run tedm-label {store} MANIFEST, it writes them anew")
    if done.missing or lost or (done.views is not None and done.views.missing):
        say(f"{'' if repair or not lost else f'run tedm-verify {store} --repair, and then '}run the same tedm-extract again")
    if done.differences:
        say("tedm-extract --update takes images and masks as they are now; tedm-label takes masks alone")
    if not done.whole:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
