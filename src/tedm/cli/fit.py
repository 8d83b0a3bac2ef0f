"""tedm-fit: a head from a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tedm.cli import options
from tedm.cli.running import counted, plain_errors, progress, say


@click.command()
@click.argument("store", type=options.PATH)
@click.argument("head", type=options.PATH)
@click.option("--method", default="tedm", show_default=True, help="tedm, ledm, ledme or timestep:T; other options override it.")
@click.option(
    "--head", "kind", type=click.Choice(["mlp", "logistic"]), default=None, help="The classifier. Default: the method's."
)
@options.TIMESTEPS
@click.option(
    "--rows",
    type=click.Choice(["share", "concatenate"]),
    default=None,
    help="How timesteps become rows. Default: the method's.",
)
@click.option("--members", type=int, default=None, help="Size of the ensemble. Default: the method's.")
@options.VOTE
@click.option("--split", default="train", show_default=True, help="Images to learn from.")
@options.DOMAIN
@click.option("--images", type=int, default=None, help="Number of training images, drawn by --seed. Default: all.")
@click.option("--pixels-per-image", type=int, default=None, help="Labelled pixels used of each image. Default: all.")
@click.option("--iterations", type=int, default=None, help="Optimiser steps of an MLP (2000), or the solver's limit (1000).")
@click.option("--learning-rate", type=float, default=None, help="Adam's. Default: 0.001.")
@click.option(
    "--batch", type=click.Choice(["pixels", "images"]), default=None, help="Random pixels (default), or 16 whole images."
)
@click.option("--pixels-per-batch", type=int, default=None, help="Of random pixels. Default: the method's.")
@click.option("--ridge", type=float, default=None, help="Penalty of a logistic regression. Default: 1.")
@click.option("--patience", type=int, default=None, help="Stop an MLP early by the val split. Default: never.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the training images, the weights and the batches.")
@options.DEVICE
@options.VERSION
@plain_errors
def main(
    store: Path,
    head: Path,
    method: str,
    kind: Any,
    timesteps: Any,
    rows: Any,
    members: Any,
    vote: Any,
    device: str,
    **of_fit: Any,
) -> None:
    """Fit a head on the labelled images of STORE and write it to the folder HEAD."""
    from tedm.devices import choose_device
    from tedm.heads import fit, method_named, save_head
    from tedm.heads.saved import require_new
    from tedm.store import FeatureStore

    require_new(head)
    features = FeatureStore.open(store)
    chosen = method_named(method, timesteps=timesteps, rows=rows, head=kind, members=members, vote=vote)
    with progress("fitting") as show:
        fitted = fit(features, chosen, device=choose_device(device), progress=show, **of_fit)
    save_head(fitted, head)
    about = fitted.provenance
    if about.get("converged") is False:
        say(f"tedm: the solver stopped after {about['iterations']} iterations before it had converged; raise --iterations")
    fall = about.get("relative_fall_of_the_loss_in_its_last_tenth")
    loss = "" if fall is None else f", loss {about['loss_curve'][-1]:.4f} (falling by {100 * fall:.1f} % in its last tenth)"
    click.echo(
        f"{head}: {chosen.name} ({chosen.head}, rows {chosen.rows}, {counted(len(chosen.timesteps), 'timestep')}) from "
        f"{counted(len(about['images']), 'image')}, {counted(about['iterations'], 'iteration')}{loss}"
    )
