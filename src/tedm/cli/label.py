"""tedm-label: masks, splits, groups and domains into a store that is there."""

from __future__ import annotations

from pathlib import Path

import click

from tedm.cli.shared import options, volumes
from tedm.cli.shared.running import Command, plain_errors, say
from tedm.text import counted


@click.command(cls=Command)
@click.argument("store", type=options.STORE)
@click.argument("manifest", type=options.PATH)
@options.CLASSES
@options.IGNORE
@options.THRESHOLD
@options.STRICT
@volumes.CLASS_NAMES
@options.VERSION
@plain_errors
def main(
    store: Path | str,
    manifest: Path,
    classes: tuple[int, ...] | None,
    ignore: int | None,
    threshold: int | None,
    strict: bool,
    class_names: dict[int, str] | None,
) -> None:
    """Add or replace the masks, splits, groups and domains of images in STORE; the activations stay as they are.

    MANIFEST is what tedm-extract takes, or what tedm-rank wrote, with the masks' files filled in; images themselves are not
    opened again. Images of the store that it does not name keep what they have.
    """
    from tedm.extract import relabel, tells_something
    from tedm.store import FeatureStore

    features = FeatureStore.open(store)
    new = relabel(
        features,
        manifest,
        classes=classes,
        ignore=ignore,
        threshold=threshold,
        strict=strict,
        legend=volumes.legend_of(class_names),
    )
    for line in new.sentences():
        say(line)
    count = sum(map(tells_something, new.entries))
    click.echo(f"{store}: {counted(count, 'image')} relabelled; {features.labels.summary()}")


if __name__ == "__main__":
    main()
