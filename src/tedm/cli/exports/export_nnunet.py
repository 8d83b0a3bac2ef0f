"""tedm-export-nnunet: a store as a raw data set of nnU-Net."""

from __future__ import annotations

from pathlib import Path

import click

from tedm.cli.shared import options
from tedm.cli.shared.running import Command, plain_errors, progress, say
from tedm.text import counted


@click.command(cls=Command)
@click.argument("store", type=options.STORE)
@click.argument("out_folder", type=options.PATH)
@options.VERSION
@plain_errors
def main(store: Path | str, out_folder: Path) -> None:
    """Write the images, masks and splits of STORE to OUT_FOLDER, DatasetNNN_NAME, as a raw data set of nnU-Net (version 2).

    nnU-Net then learns from the same pixels as a head: the store's images at feature resolution, without padding. Pictures
    become PNG files of 16 bits, volumes NIfTI files that lie where their own files do. Images of the splits train and val are
    training cases, those of test lie in imagesTs and labelsTs. splits_final.json has the split of train and val, or folds that
    keep groups together; tedm.json says which label is which class, and which case which image.
    """
    from tedm.store import FeatureStore
    from tedm.study import export_nnunet

    done = export_nnunet(FeatureStore.open(store), out_folder, progress=progress, log=say)
    names = ", ".join(f"{label} {name}" for label, name in enumerate(done.labels))
    counts = ", ".join(counted(count, f"{split} case") for split, count in done.cases.items())
    click.echo(f"{out_folder}: {counts}; labels {names}")
    if done.folds:
        say(
            f"{counted(done.folds, 'fold')} in splits_final.json: after nnUNetv2_plan_and_preprocess, copy it to "
            f"nnUNet_preprocessed/{out_folder.name}"
        )


if __name__ == "__main__":
    main()
