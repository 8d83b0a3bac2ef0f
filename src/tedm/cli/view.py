"""tedm-view: napari with a widget that learns from strokes."""

from __future__ import annotations

from pathlib import Path

import click

from tedm.cli.shared import options
from tedm.cli.shared.running import Command, plain_errors
from tedm.errors import TedmError


@click.command(cls=Command)
@click.argument("source", metavar="[STORE_OR_IMAGES]", type=options.STORE, required=False)
@click.argument("head", type=options.PATH, required=False)
@click.option("--checkpoint", type=options.PATH, default=None, help="The DDPM, where images and not a store are given.")
@click.option(
    "--images", type=options.PATH, default=None, help="The folder or manifest of the store's images, to see them sharply."
)
@click.option(
    "--strokes",
    type=options.PATH,
    default=None,
    help="The folder in which strokes are kept. Default: STORE-strokes beside the store.",
)
@options.VERSION
@plain_errors
def main(
    source: Path | str | None, head: Path | None, checkpoint: Path | None, images: Path | None, strokes: Path | None
) -> None:
    """Start napari on the images of a feature store, or on a picture or volume, to paint strokes and to learn from them.

    Paint a stroke of each class, press Fit, and see the mask and where it is unsure; paint where it is wrong, and fit again.
    With HEAD, its mask is there before the first stroke, and its classes are painted with. Strokes are written to a folder
    before each fit and come back the next time. "Save corrections" writes masks with a manifest that tedm-label takes.

    It takes the plugin napari-tedm: pip install 'napari-tedm[qt]'.
    """
    try:
        from napari_tedm.start import view
    except ModuleNotFoundError as error:
        raise TedmError(
            f"tedm view needs a package that is not installed ({error.name}): pip install 'napari-tedm[qt]', or from this "
            "repository pip install './plugins/napari[qt]'"
        ) from error
    if source is not None and not isinstance(source, str) and not source.exists():
        raise TedmError(f"{source} does not exist; name a feature store, a picture, a volume or a folder of these")
    view(source, head=head, checkpoint=checkpoint, images=images, strokes=strokes)


if __name__ == "__main__":
    main()
