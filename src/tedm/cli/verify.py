"""tedm-verify: every file of a store read again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from tedm.cli import backbones, options
from tedm.cli.running import counted, plain_errors, progress, say


@click.command()
@click.argument("store", type=options.STORE)
@click.option("--repair", is_flag=True, help="Remove what is damaged, so that the same tedm-extract computes it again.")
@click.option("--recompute", type=click.IntRange(min=1), default=None, help="Compute this many images again, compare bits.")
@backbones.backbone_options("The DDPM, for --recompute.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which images --recompute takes.")
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
    as_json: bool,
) -> None:
    """Read all of STORE again: checksums, absent and stray files, finite values. Exit code 1 unless it is whole.

    --repair removes the activations of damaged images; then run the same tedm-extract again, which computes these only. Masks
    cannot be computed: tedm-label writes them anew.
    """
    from tedm.store import FeatureStore, verify
    from tedm.store.verification import to_recompute

    if (recompute is None) != (checkpoint is None and backbone is None):
        raise click.UsageError("--recompute K and --checkpoint FILE (or --backbone MODULE:FUNCTION) go together")
    features = FeatureStore.open(store)
    with progress("reading") as show:
        damage = verify(features, progress=show)
    missing = features.missing()
    sound = [name for name in features.labels.names if name not in {each.image for each in damage} | set(missing)]
    chosen: list[str] = []
    loaded = backbones.load(checkpoint, backbone, backbone_config)
    if recompute is not None and loaded is not None:
        import numpy as np

        from tedm.extract.recompute import recompute as compute_again

        chosen = [sound[index] for index in np.random.default_rng(seed).permutation(len(sound))[:recompute]]
        with progress("computing again") as show:
            damage += compute_again(features, loaded, chosen, progress=show)
    if as_json:
        about = {
            "store": str(store),
            "images": len(features.labels),
            "damage": [asdict(each) for each in damage],
            "missing": missing,
            "recomputed": chosen,
        }
        click.echo(json.dumps(about, indent=1))
    else:
        for each in damage:
            click.echo(str(each))
        again = f", {counted(len(chosen), 'image')} computed again" if chosen else ""
        click.echo(
            f"{store}: {counted(len(features.labels), 'image')} read{again}, {len(missing)} missing, {len(damage)} damaged"
        )
    lost = to_recompute(damage)
    if repair:
        features.discard(lost)
        features.remove_partial_files()
        if lost:
            say(f"the activations of {counted(len(lost), 'image')} were removed")
    if any(each.image and each.array == "mask" for each in damage):
        say(f"damaged masks: run tedm-label {store} MANIFEST, it writes them anew")
    if missing or lost:
        say(f"{'' if repair or not lost else f'run tedm-verify {store} --repair, and then '}run the same tedm-extract again")
    if damage or missing:
        raise SystemExit(1)
