"""tedm-predict: masks from a head."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tedm.cli import backbones, options
from tedm.cli.running import counted, plain_errors, progress, say, say_what_differs, say_what_is_not_applied
from tedm.errors import TedmError

if TYPE_CHECKING:
    from tedm.extract import Backbone
    from tedm.heads import Segmenter
    from tedm.store import Features


@click.command()
@click.argument("head", type=options.PATH)
@click.argument("source", metavar="STORE_OR_IMAGES", type=options.STORE)
@click.argument("out_folder", type=options.PATH)
@backbones.backbone_options("The DDPM, where images and not a store are given.")
@options.VOTE
@options.TIMESTEPS
@options.cleaning_options
@click.option("--split", default=None, help='Which images. Default: "test" if there are any, else all.')
@options.DOMAIN
@click.option("--probabilities", is_flag=True, help="Also write the class probabilities as NumPy arrays.")
@click.option(
    "--uncertainty", is_flag=True, help="Also write how unsure the vote is and how far the voters are apart, as pictures."
)
@options.SCHEDULER
@options.DEVICE
@options.VERSION
@plain_errors
def main(
    head: Path,
    source: Path | str,
    out_folder: Path,
    checkpoint: Path | None,
    backbone: str | None,
    backbone_config: Path | None,
    vote: Any,
    timesteps: Any,
    largest: int | None,
    fill_holes: bool,
    min_area: int | None,
    split: str | None,
    domain: str | None,
    probabilities: bool,
    uncertainty: bool,
    device: Any,
    scheduler: str | None,
) -> None:
    """Segment with HEAD the images of a feature store, or of a manifest or folder of images, and write masks to OUT_FOLDER.

    Masks are PNG files at the images' own size, with the values of the masks that the head was trained on. From images, the
    backbone runs for the head's timesteps only, with the settings that the head has recorded.

    --largest, --fill-holes and --min-area clean the masks, at the images' own size; a pixel of --min-area is one at feature
    resolution, so that it means the same for images of all sizes and in tedm-evaluate. Probabilities stay as they are.

    With --uncertainty, NAME-entropy.png is the entropy of the vote (black: sure, white: a guess), NAME-disagreement.png the
    Jensen-Shannon divergence of the voters (black: alike), and uncertainty.csv has the mean of both over each image.
    """
    from tedm.devices import choose_device
    from tedm.extract.images import write_prediction, write_uncertainty
    from tedm.files import require_new
    from tedm.heads import load_head, predict
    from tedm.heads.runtime.workers import connect
    from tedm.heads.segmenter.postprocess import Cleaning
    from tedm.store import FeatureStore

    require_new(out_folder)
    cleaning = Cleaning(largest, fill_holes, min_area or 0)
    segmenter = load_head(head, device=choose_device(device))
    features: Features
    if FeatureStore.is_store(source):
        if checkpoint is not None or backbone is not None:
            raise TedmError(f"{source} is a feature store: --checkpoint and --backbone are for images; leave them out")
        features = FeatureStore.open(source)
        say_what_differs(features, [segmenter])
    else:
        if scheduler is not None:
            raise TedmError("--scheduler is for a feature store; images are computed here, by the backbone")
        loaded = backbones.load(checkpoint, backbone, backbone_config)
        if loaded is None:
            raise TedmError(f"{source} is no feature store; to predict from images, name the backbone with --checkpoint FILE")
        features = _live(segmenter, source, loaded, str(checkpoint or backbone), timesteps, device)
    if split is None and "test" in features.labels.splits:
        split = "test"
    names = features.labels.select(split=split, domain=domain)
    segmenter.require(features, segmenter.vote(vote, timesteps).timesteps, what=str(source))
    say_what_is_not_applied({str(head): segmenter}, vote, timesteps)
    out_folder.mkdir(parents=True, exist_ok=True)
    sizes = dict(zip(features.labels.names, features.labels.original_sizes, strict=True))
    with connect(scheduler) as workers, progress("predicting") as show:
        predictions = predict(
            features,
            {"head": segmenter},
            names,
            rule=vote,
            timesteps=timesteps,
            workers=workers,
            what=str(source),
            uncertainty=uncertainty,
        )
        means = []
        for number, prediction in enumerate(predictions, 1):
            write_prediction(
                out_folder,
                prediction.name,
                prediction.probabilities,
                original_size=sizes[prediction.name],
                geometry=features.settings.geometry,
                classes=segmenter.classes,
                keep_probabilities=probabilities,
                cleaning=cleaning,
                uncalibrated=prediction.uncalibrated,
            )
            if prediction.entropy is not None and prediction.disagreement is not None:
                maps = {"entropy": prediction.entropy, "disagreement": prediction.disagreement}
                place = {"original_size": sizes[prediction.name], "geometry": features.settings.geometry}
                write_uncertainty(out_folder, prediction.name, maps, **place)  # type: ignore[arg-type]
                means.append([prediction.name, *(f"{values.mean():.6f}" for values in maps.values())])
            show(number, len(names))
    if uncertainty:
        with (out_folder / "uncertainty.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["image", "entropy", "disagreement"], *means])
    click.echo(
        f"{out_folder}: {counted(len(names), 'mask')} by {segmenter.method.name} ({vote or segmenter.method.vote} vote)"
        + (f", cleaned: {cleaning}" if cleaning else "")
    )


def _live(segmenter: Segmenter, source: Path | str, backbone: Backbone, named: str, timesteps: Any, device: Any) -> Features:
    """Features computed on the fly with the head's settings, in its arithmetic as far as this machine has it."""
    import dataclasses

    from tedm.extract import LiveFeatures, read_manifest
    from tedm.extract.arithmetic import FIELDS, on_this_machine
    from tedm.store.settings import differences

    manifest = read_manifest(Path(source))
    manifest.require_intensity_range(segmenter.settings.intensity_range)
    expected = segmenter.settings.checkpoint_sha256
    if backbone.sha256 != expected:
        raise TedmError(
            f"{named} is not the backbone of this head\n"
            f"  SHA-256: the head's {expected[:12]}..., this one's {backbone.sha256[:12]}...\n"
            "Name the checkpoint that its store was extracted with, and the same --backbone-config if there was one."
        )
    backbone = backbone.with_levels([level.name for level in segmenter.settings.levels])
    arithmetic = on_this_machine(segmenter.arithmetic, device)
    for line in differences(segmenter.arithmetic, arithmetic, FIELDS, us="the head's store", them="this machine"):
        say(f"the last bits may differ: {line}")
    wanted = segmenter.timesteps(timesteps)
    backbone.schedule.require(wanted)
    settings = dataclasses.replace(segmenter.settings, timesteps=wanted)
    return LiveFeatures(manifest, backbone, settings, arithmetic, segmenter.storage)
