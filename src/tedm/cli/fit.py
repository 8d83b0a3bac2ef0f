"""tedm-fit: a head from a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tedm.cli import options
from tedm.cli.running import counted, plain_errors, progress, say


def course(fall: float) -> str:
    """Say in words how a loss went, from its relative fall, which is negative where it rose.

    Examples
    --------
    >>> course(0.031), course(-0.8), course(-0.0004)
    ('falling by 3.1 %', 'rising by 80.0 %', 'unchanged')
    """
    percent = f"{100 * abs(fall):.1f}"
    return "unchanged" if percent == "0.0" else f"{'falling' if fall > 0 else 'rising'} by {percent} %"


@click.command()
@click.argument("store", type=options.STORE)
@click.argument("head", type=options.PATH)
@click.option("--method", default="tedm", show_default=True, help="tedm, ledm, ledme or timestep:T; other options override it.")
@click.option("--name", default=None, help="What tables call the head. Default: as its method is called.")
@click.option(
    "--head",
    "kind",
    default=None,
    help="The classifier: mlp, logistic, xgboost or sklearn:module.Class (sklearn:ensemble.RandomForestClassifier say). "
    "Default: the method's.",
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
@click.option(
    "--sampling",
    type=click.Choice(["uniform", "balanced", "boundary"]),
    default="uniform",
    show_default=True,
    help="How pixels are drawn, where they are: alike, every class alike, or near borders.",
)
@click.option("--class-weight", type=options.ClassWeights(), default=None, help="What a class counts. Default: all 1.")
@click.option(
    "--iterations",
    type=int,
    default=None,
    help="Optimiser steps (MLP, 2000), the solver's limit (1000), or rounds (XGBoost, 100).",
)
@click.option("--learning-rate", type=float, default=None, help="Default: 0.001 for an MLP, 0.3 for XGBoost.")
@click.option(
    "--batch", type=click.Choice(["pixels", "images"]), default=None, help="Random pixels (default), or 16 whole images."
)
@click.option("--pixels-per-batch", type=int, default=None, help="Of random pixels. Default: the method's.")
@click.option("--images-per-batch", type=int, default=None, help="Of whole images. Default: 16.")
@click.option(
    "--ridge", type=options.Ridge(), default=None, help="Penalty of a logistic regression; of several, the best. Default: 1."
)
@click.option(
    "--select",
    type=click.Choice(["cv", "val"]),
    default=None,
    help="What chooses among several penalties: cross-validation by group (default), or the val split.",
)
@click.option("--patience", type=int, default=None, help="Stop an MLP or XGBoost early by the val split. Default: never.")
@click.option(
    "--calibrate", is_flag=True, help="Make probabilities as sure as they are right: fit a temperature on the val split."
)
@click.option("--params", type=options.Json(), default=None, help="More arguments of the classifier, by their own names.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the training images, the weights and the batches.")
@options.MEMORY
@options.SCHEDULER
@options.DEVICE
@options.VERSION
@plain_errors
def main(
    store: Path | str,
    head: Path,
    method: str,
    kind: Any,
    timesteps: Any,
    rows: Any,
    members: Any,
    vote: Any,
    device: str,
    scheduler: str | None,
    **of_fit: Any,
) -> None:
    """Fit a head on the labelled images of STORE and write it to the folder HEAD.

    A long fit of an MLP that was stopped goes on where it was when the same command is run again.
    """
    from tedm.devices import choose_device
    from tedm.heads import fit, method_named, save_head
    from tedm.heads.runtime.workers import connect
    from tedm.heads.segmenter.folder import require_new
    from tedm.store import FeatureStore

    require_new(head)
    features = FeatureStore.open(store)
    chosen = method_named(method, timesteps=timesteps, rows=rows, head=kind, members=members, vote=vote)
    head.parent.mkdir(parents=True, exist_ok=True)
    checkpoint = head.with_name(f".{head.name}.fit")
    with connect(scheduler) as workers, progress("fitting") as show:
        fitted = fit(
            features,
            chosen,
            device=choose_device(device),
            progress=show,
            workers=workers,
            checkpoint=checkpoint if chosen.head == "mlp" else None,
            **of_fit,
        )
    save_head(fitted, head)
    checkpoint.unlink(missing_ok=True)
    about = fitted.provenance
    if about.get("converged") is False:
        say(f"tedm: the solver stopped after {about['iterations']} iterations before it had converged; raise --iterations")
    fall = about.get("relative_fall_of_the_loss_in_its_last_tenth")
    loss = "" if fall is None else f", loss {about['loss_curve'][-1]:.4f} ({course(fall)} in its last tenth)"
    if about.get("fitted") == "sampled":
        say(f"tedm: fitted on {about['rows_seen']} of {about['rows_there']} rows, the largest sample that the budget allows")
    if "ridge_chosen_by" in about:
        say(f"ridge {about['ridge']:g}, chosen by {about['ridge_chosen_by']}")
    if fitted.weights is not None:
        learned = about["learned_weights"]
        say(
            f"weights learned on {counted(len(about['validation_images']), 'image')} of the val split: cross-entropy "
            f"{learned['cross_entropy']:.4f}, with equal weights {learned['cross_entropy_of_equal_weights']:.4f}"
        )
    if fitted.calibration is not None:
        say(
            f"temperature {fitted.calibration.temperature:.3f}, fitted on "
            f"{counted(len(about['validation_images']), 'image')} of the val split: cross-entropy "
            f"{about['calibration']['cross_entropy_after']:.4f}, before {about['calibration']['cross_entropy_before']:.4f}"
        )
    iterations = f", {counted(about['iterations'], 'iteration')}" if "iterations" in about else ""
    called = fitted.label if fitted.label == chosen.name else f"{fitted.label}, {chosen.name}"
    click.echo(
        f"{head}: {called} ({chosen.head}, rows {chosen.rows}, {counted(len(chosen.timesteps), 'timestep')}) from "
        f"{counted(len(about['images']), 'image')}{iterations}{loss}"
    )
