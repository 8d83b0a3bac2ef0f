"""tedm-fit: a head from a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from tedm.cli.shared import options
from tedm.cli.shared.running import Command, plain_errors, progress, say

if TYPE_CHECKING:
    from tedm.heads import ClassWeight, Order, RowLayout, Sampling, VotingRule
    from tedm.jsons import JsonObject


@click.command(cls=Command)
@click.argument("store", type=options.STORE)
@click.argument("head", type=options.PATH)
@click.option(
    "--method",
    default=None,
    help="jury (ten MLPs, views, small classes more often, no specks), jury-fast (the same at timesteps 1 and 50), tedm, ledm, "
    "ledme, timestep:T, or a baseline that looks at images: unet, ddpm-finetune, global-cl, global-local-cl. Other options "
    "override it. Default: jury; tedm where other options say what the head is.",
)
@click.option(
    "--checkpoint",
    type=options.PATH,
    default=None,
    help="Weights that ddpm-finetune, global-cl and global-local-cl start from, made by tedm-pretrain.",
)
@click.option(
    "--as-published",
    is_flag=True,
    help="Fit as the code published with the paper does, where that is not what compares fairly (docs/methods.md): one MLP, "
    "20000 batches of 16 whole images, learning rate 0.0001, --order manifest, the best weights by the val split. Other "
    "options override it.",
)
@click.option("--name", default=None, help="What tables call the head. Default: as its method is called.")
@click.option(
    "--head",
    "kind",
    default=None,
    help="The classifier: mlp, logistic, xgboost, sklearn:module.Class (sklearn:ensemble.RandomForestClassifier say) or "
    "the name of another package's. Default: the method's.",
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
@click.option("--images", type=int, default=None, help="Number of training images: the first by --order. Default: all.")
@click.option(
    "--groups",
    type=int,
    default=None,
    help="Number of training groups (patients) with all their images: the first by --order; with --images, so many images of "
    "these, in turn. Default: all.",
)
@click.option(
    "--order",
    type=click.Choice(["seed", "manifest"]),
    default=None,
    help="Whose first images are learned from: those of a permutation by --seed (default), or of the store's own list.",
)
@click.option(
    "--views",
    type=int,
    default=None,
    help="Views of each training image to learn from besides it, made by tedm-extract --views; no further labels. Default: the "
    "method's.",
)
@click.option(
    "--smoothing",
    type=float,
    default=None,
    help="Smooth probabilities by a Gaussian of this standard deviation, in pixels at feature resolution. Default: the "
    "method's.",
)
@click.option(
    "--specks",
    type=float,
    default=None,
    help="Turn components into background that are smaller than this fraction of the smallest in the training labels. Default: "
    "the method's.",
)
@click.option("--pixels-per-image", type=int, default=None, help="Labelled pixels used of each image. Default: all.")
@click.option(
    "--sampling",
    type=click.Choice(["uniform", "balanced", "root", "boundary"]),
    default=None,
    help="How pixels are drawn, where they are: alike, every class alike, a class by the square root of its pixels, or near "
    "borders. Default: the method's.",
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
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default=None,
    help="Of an MLP's hidden layers, or a network's passes, in training; auto is bfloat16 on CPUs with AMX and on AMD's with "
    "AVX512-BF16, else float32, on GPUs too. Default: auto.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the training images, the weights and the batches.")
@options.MEMORY
@options.SCHEDULER
@options.DEVICE
@options.VERSION
@plain_errors
def main(
    store: Path | str,
    head: Path,
    method: str | None,
    checkpoint: Path | None,
    as_published: bool,
    name: str | None,
    kind: str | None,
    timesteps: tuple[int, ...] | None,
    rows: RowLayout | None,
    members: int | None,
    vote: VotingRule | None,
    split: str,
    domain: str | None,
    images: int | None,
    groups: int | None,
    order: Order | None,
    views: int | None,
    smoothing: float | None,
    specks: float | None,
    pixels_per_image: int | None,
    sampling: Sampling | None,
    class_weight: ClassWeight,
    iterations: int | None,
    learning_rate: float | None,
    batch: Literal["pixels", "images"] | None,
    pixels_per_batch: int | None,
    images_per_batch: int | None,
    ridge: float | list[float] | Literal["auto"] | None,
    select: Literal["cv", "val"] | None,
    patience: int | None,
    calibrate: bool,
    params: JsonObject | None,
    precision: Literal["auto", "float32", "bfloat16"] | None,
    seed: int,
    memory: int | None,
    scheduler: str | None,
    device: str,
) -> None:
    """Fit a head on the labelled images of STORE and write it to the folder HEAD.

    A long fit of an MLP that was stopped goes on where it was when the same command is run again.
    """
    from tedm.devices import choose_device
    from tedm.heads import HeadOptions, connect, default_method, method_named
    from tedm.store import FeatureStore
    from tedm.study import fit_folder
    from tedm.study.fit import (
        absent_classes,
        fit_remarks,
        fit_summary,
        method_remarks,
        published_remarks,
        training_remarks,
        with_views_there,
    )

    features = FeatureStore.open(store)
    asked = HeadOptions(
        iterations=iterations,
        learning_rate=learning_rate,
        batch=batch,
        pixels_per_batch=pixels_per_batch,
        images_per_batch=images_per_batch,
        ridge=ridge,
        select=select,
        patience=patience,
        class_weight=class_weight,
        precision=precision,
    )
    chosen = method_named(
        default_method(asked, kind, rows, members, vote, params, as_published) if method is None else method,
        timesteps=timesteps,
        rows=rows,
        head=kind,
        members=members,
        vote=vote,
        views=views,
        smoothing=smoothing,
        specks=specks,
        published=as_published,
    )
    if views is None:
        chosen = with_views_there(features, chosen, split=split, domain=domain)
    start = None
    if checkpoint is not None:
        from tedm.extract.pretrain import read_pretrained  # a fit without weights needs nothing of extraction

        start = read_pretrained(checkpoint)
    for remark in (
        *(method_remarks(chosen, asked, params, named=method is not None) if not as_published else ()),
        *(published_remarks(features, chosen, domain=domain) if as_published else ()),
        *training_remarks(
            features.labels,
            split=split,
            domain=domain,
            images=images,
            groups=groups,
            seed=seed,
            order=order,
            method=chosen,
        ),
    ):
        say(remark)
    with connect(scheduler) as workers, progress("fitting") as show:
        fitted = fit_folder(
            head,
            features,
            chosen,
            asked,
            name=name,
            split=split,
            domain=domain,
            images=images,
            groups=groups,
            order=order,
            pixels_per_image=pixels_per_image,
            sampling=sampling,
            params=params,
            start=start,
            calibrate=calibrate,
            seed=seed,
            device=choose_device(device),
            memory=memory,
            workers=workers,
            progress=show,
        )
    for remark in (*fit_remarks(fitted), *absent_classes(features, fitted)):
        say(remark)
    click.echo(f"{head}: {fit_summary(fitted)}")


if __name__ == "__main__":
    main()
