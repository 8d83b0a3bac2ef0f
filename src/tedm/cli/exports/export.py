"""tedm-export: a head as a model folder that travels."""

from __future__ import annotations

from pathlib import Path

import click

from tedm.cli.shared import backbones, options, places
from tedm.cli.shared.running import Command, plain_errors, progress, say
from tedm.errors import TedmError
from tedm.files import place_of
from tedm.text import counted, size


@click.command(cls=Command)
@click.argument("head", type=options.PATH)
@click.argument("folder", type=options.PATH)
@backbones.backbone_options("The head's backbone, for --onnx and --with-backbone.")
@click.option("--with-backbone", is_flag=True, help="Also copy the backbone's checkpoint into it.")
@click.option(
    "--onnx", is_flag=True, help="Also write model.onnx, from an image and noise to probabilities (mlp and logistic)."
)
@click.option("--scores", type=options.PATH, default=None, help="A folder of tedm-evaluate --folder, for the card.")
@click.option(
    "--licence", default=None, help="As the hub calls it, cc-by-4.0 say. Default: the card says that none was chosen."
)
@click.option("--with-names", is_flag=True, help="Leave the names of training images and their groups in the head.")
@options.VERSION
@plain_errors
def main(
    head: Path,
    folder: Path,
    checkpoint: Path | None,
    backbone: str | None,
    backbone_config: Path | None,
    with_backbone: bool,
    onnx: bool,
    scores: Path | None,
    licence: str | None,
    with_names: bool,
) -> None:
    """Write HEAD to FOLDER as a model that others can use, laid out as the Hugging Face hub expects.

    FOLDER is a head again (tedm predict IMAGES FOLDER masks), with config.json and a model card, README.md. Names of training
    images and patients are withheld. With --onnx, one ONNX file does all of it without tedm; onnxruntime has to come to the
    same probabilities within 0.0001 before anything is put in place, and README.md says how to use it.
    """
    from tedm.heads import load_head
    from tedm.study import export_model

    places.require_order("export", head, folder, is_read=lambda place: places.what_is(place) == "head")
    if place_of(head) in place_of(folder).parents:
        raise TedmError(f"{folder} is inside of {head}; name a folder beside it")
    fitted = load_head(head)
    done = export_model(
        fitted,
        folder,
        backbone=backbones.load(checkpoint, backbone, backbone_config),
        checkpoint=checkpoint,
        backbone_config=backbone_config,
        with_backbone=with_backbone,
        onnx=onnx,
        scores=scores,
        licence=licence,
        with_names=with_names,
        head_name=str(head),
        progress=progress,
        log=say,
    )
    text = f"{folder}: {counted(len(done.files), 'file')}, {size(sum(done.files.values()))}"
    if done.agreement is not None:
        text += f"; model.onnx and the head agree within {max(done.agreement.opinions, done.agreement.probabilities):.1g}"
    click.echo(text)


if __name__ == "__main__":
    main()
