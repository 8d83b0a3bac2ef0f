"""tedm-export-nnunet, from a store to a data set and back."""

from __future__ import annotations

import json
import shutil

from click.testing import CliRunner

from tedm.cli import label
from tedm.cli.exports import export_nnunet
from tedm.extract import read_manifest


def run(command, *arguments):
    return CliRunner().invoke(command.main, [str(argument) for argument in arguments])


def test_a_store_becomes_a_data_set_that_tedm_reads(extracted, tmp_path):
    out = tmp_path / "Dataset501_Blobs"
    done = run(export_nnunet, extracted, out)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{out}: 4 train cases, 0 val cases, 3 test cases; labels 0 background, 1 class 255\n"
    assert len(read_manifest(out).entries) == 7


def test_another_name_and_a_place_without_a_store_are_refused_in_one_line(extracted, tmp_path):
    for store, out, message in (
        (extracted, "lungs", "lungs: nnU-Net knows data sets by names like Dataset501_Lungs"),
        (tmp_path / "gone", "Dataset501_A", "gone does not exist; make one with tedm-extract"),
    ):
        done = run(export_nnunet, store, tmp_path / out)
        assert done.exit_code == 1
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not (tmp_path / out).exists()


def test_folds_are_said_with_where_they_belong(dataset, extracted, tmp_path):
    """The third and the fourth image are moved to the split val, of which there is one fold."""
    shutil.copytree(extracted, tmp_path / "store")
    lines = dataset.read_text().splitlines()
    moved = [line.replace(",train,", ",val,").replace("images/", f"{dataset.parent}/images/") for line in lines[3:5]]
    table = [lines[0], *(line.replace("masks/", f"{dataset.parent}/masks/") for line in moved)]
    (tmp_path / "moved.csv").write_text("\n".join(table) + "\n")
    assert run(label, tmp_path / "store", tmp_path / "moved.csv", "--class-names", "0=background,255=blob").exit_code == 0
    out = tmp_path / "Dataset502_Blobs"
    done = run(export_nnunet, tmp_path / "store", out)
    assert done.stdout == f"{out}: 2 train cases, 2 val cases, 3 test cases; labels 0 background, 1 blob\n"
    assert (
        "1 fold in splits_final.json: after nnUNetv2_plan_and_preprocess, copy it to nnUNet_preprocessed/Dataset502_Blobs"
        in (done.stderr)
    )
    (fold,) = json.loads((out / "splits_final.json").read_text())
    assert fold == {"train": ["scan 0", "scan 1"], "val": ["scan 2", "scan 3"]}
