"""tedm-fit: a head from a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tedm.cli import options
from tedm.cli.running import plain_errors, progress, say
from tedm.text import counted

if TYPE_CHECKING:
    from tedm.heads import Segmenter


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
    name: str | None,
    kind: str | None,
    timesteps: tuple[int, ...] | None,
    rows: Any,
    members: int | None,
    vote: Any,
    split: str,
    domain: str | None,
    images: int | None,
    pixels_per_image: int | None,
    sampling: Any,
    class_weight: Any,
    iterations: int | None,
    learning_rate: float | None,
    batch: Any,
    pixels_per_batch: int | None,
    images_per_batch: int | None,
    ridge: Any,
    select: Any,
    patience: int | None,
    calibrate: bool,
    params: Any,
    seed: int,
    memory: int | None,
    scheduler: str | None,
    device: str,
) -> None:
    """Fit a head on the labelled images of STORE and write it to the folder HEAD.

    A long fit of an MLP that was stopped goes on where it was when the same command is run again.
    """
    from tedm.devices import choose_device
    from tedm.files import require_new
    from tedm.heads import connect, fit, method_named, save_head
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
            name=name,
            split=split,
            domain=domain,
            images=images,
            pixels_per_image=pixels_per_image,
            sampling=sampling,
            iterations=iterations,
            learning_rate=learning_rate,
            batch=batch,
            pixels_per_batch=pixels_per_batch,
            images_per_batch=images_per_batch,
            ridge=ridge,
            select=select,
            patience=patience,
            class_weight=class_weight,
            params=params,
            calibrate=calibrate,
            seed=seed,
            device=choose_device(device),
            memory=memory,
            workers=workers,
            checkpoint=checkpoint,
            progress=show,
        )
    save_head(fitted, head)
    checkpoint.unlink(missing_ok=True)
    for remark in _remarks(fitted):
        say(remark)
    click.echo(f"{head}: {_summary(fitted)}")


def course(fall: float) -> str:
    """Say in words how a loss went, from its relative fall, which is negative where it rose.

    Examples
    --------
    >>> course(0.031), course(-0.8), course(-0.0004)
    ('falling by 3.1 %', 'rising by 80.0 %', 'unchanged')
    """
    percent = f"{100 * abs(fall):.1f}"
    return "unchanged" if percent == "0.0" else f"{'falling' if fall > 0 else 'rising'} by {percent} %"


def _remarks(head: Segmenter) -> list[str]:
    """Return what is said beside the result: what the head itself tells, and what weights and temperature were worth."""
    provenance, remarks = head.provenance, head.estimator.remarks()
    val = f"{counted(len(provenance.chosen_on), 'image')} of the val split"
    if provenance.learned_weights is not None:
        worth = provenance.learned_weights
        remarks.append(f"weights learned on {val}: cross-entropy {worth.after:.4f}, with equal weights {worth.before:.4f}")
    if head.calibration is not None and provenance.calibration is not None:
        worth = provenance.calibration
        remarks.append(
            f"temperature {head.calibration.temperature:.3f}, fitted on {val}: cross-entropy {worth.after:.4f}, "
            f"before {worth.before:.4f}"
        )
    return remarks


def _summary(head: Segmenter) -> str:
    """Return the line of result."""
    method, report = head.method, head.provenance.report
    called = head.label if head.label == method.name else f"{head.label}, {method.name}"
    iterations = "" if report.iterations is None else f", {counted(report.iterations, 'iteration')}"
    loss = "" if report.fall is None else f", loss {report.loss_curve[-1]:.4f} ({course(report.fall)} in its last tenth)"
    return (
        f"{called} ({method.head}, rows {method.rows}, {counted(len(method.timesteps), 'timestep')}) from "
        f"{counted(len(head.provenance.images), 'image')}{iterations}{loss}"
    )
