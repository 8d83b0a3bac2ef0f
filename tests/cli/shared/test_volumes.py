"""The options of volumes, the values that they become, and patients from files to a backbone and a store."""

from __future__ import annotations

import click
import numpy as np
import pytest
from click.testing import CliRunner
from volume_files import head, save, write_patients

from tedm.cli import extract, pretrain, verify
from tedm.cli.shared import volumes
from tedm.extract.backbones import load_backbone
from tedm.extract.images import VolumeOptions
from tedm.store import FeatureStore
from tedm.store.volumes.normalisation import Normalisation


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (volumes.Names(), "flair, t1gd", ("flair", "t1gd")),
        (volumes.NumberOrNames(), "4", 4),
        (volumes.NumberOrNames(), "flair,t1gd", ("flair", "t1gd")),
        (volumes.NumberOrNames(), "t1", ("t1",)),
        (volumes.CropSize(), "176", 176),
        (volumes.CropSize(), "brain", "brain"),
        (volumes.ClassNames(), "0=background, 255 = left lung", {0: "background", 255: "left lung"}),
    ],
)
def test_values_are_parsed(kind, text, value):
    assert kind.convert(text, None, None) == value
    assert kind.convert(value, None, None) == value


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (volumes.Names(), "flair,,t1", "names nothing, or something twice"),
        (volumes.Names(), "t1,t1", "names nothing, or something twice"),
        (volumes.NumberOrNames(), "0", "an image has 1 channel or more"),
        (volumes.CropSize(), "0", "is no part of a slice; write a number of voxels, 176 say, or brain"),
        (volumes.CropSize(), "-3", "is no part of a slice"),
        (volumes.CropSize(), "nonzero", "is no part of a slice"),
        (volumes.ClassNames(), "lung", "names no class; write 0=background,1=lung, each value once"),
        (volumes.ClassNames(), "1=", "names no class"),
        (volumes.ClassNames(), "1=a,1=b", "names no class"),
    ],
)
def test_what_cannot_be_parsed_says_how_to_write_it(kind, text, said):
    with pytest.raises(click.BadParameter) as refused:
        kind.convert(text, None, None)
    assert said in str(refused.value)


@click.command()
@volumes.CHANNELS
@volumes.volume_options
@volumes.choices
def show(volume_choices, normalisation):
    click.echo(repr((volume_choices, normalisation)))


def said(*arguments, code=0):
    result = CliRunner().invoke(show, list(arguments))
    assert result.exit_code == code, result.output
    return result.output.strip()


@pytest.mark.parametrize(
    ("arguments", "options", "normalisation"),
    [
        ([], VolumeOptions(), None),
        (["--channels", "flair,t1"], VolumeOptions(channels=("flair", "t1")), None),
        (["--axis", "1", "--crop", "9", "--channels-in-file"], VolumeOptions("1", channels_in_file=True, crop=9), None),
        (["--crop", "brain", "--brain", "nonzero"], VolumeOptions(brain="nonzero", crop="brain"), None),
        (["--normalise", "quantile"], VolumeOptions(), Normalisation("quantile")),
        (
            ["--normalise", "quantile", "--percentiles", "0.5,95"],
            VolumeOptions(),
            Normalisation("quantile", low=0.005, high=0.95),
        ),
        (
            ["--normalise", "zscore", "--deviations", "2", "--brain", "mask"],
            VolumeOptions(brain="mask"),
            Normalisation("zscore", "mask", reach=2.0),
        ),
    ],
)
def test_options_become_two_values(arguments, options, normalisation):
    assert said(*arguments) == repr((options, normalisation))


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (["--percentiles", "5,95"], "--percentiles is for --normalise quantile; add that, or leave it out"),
        (["--normalise", "zscore", "--percentiles", "5,95"], "--percentiles is for --normalise quantile"),
        (["--deviations", "2"], "--deviations is for --normalise zscore; add that, or leave it out"),
        (["--normalise", "quantile", "--deviations", "2"], "--deviations is for --normalise zscore"),
        (["--normalise", "quantile", "--percentiles", "5,101"], "--percentiles 5,101: they lie from 0 to 100"),
        (["--brain", "nonzero"], "--brain says where --normalise and --crop brain find the brain; add one of them"),
        (["--brain", "mask", "--crop", "9"], "--brain says where --normalise and --crop brain find the brain; add one of them"),
        (["--axis", "3"], "Invalid value for '--axis'"),
    ],
)
def test_an_option_that_would_do_nothing_is_wrong_usage(arguments, refusal):
    assert refusal in said(*arguments, code=2)


@pytest.mark.parametrize("command", [extract.main, pretrain.main])
def test_both_commands_take_them(command):
    text = CliRunner().invoke(command, ["--help"]).output
    for option in ("--axis", "--brain", "--crop", "--normalise", "--percentiles", "--deviations", "--channels-in-file"):
        assert option in text


def test_names_of_classes_become_a_legend():
    assert volumes.legend_of({0: "background", 3: "left"}).names == {0: "background", 3: "left"}
    assert not volumes.legend_of(None).names


def run(main, *arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


TINY = ["--image-size", 16, "--width", 8, "--multipliers", "1,2", "--timesteps-total", 50, "--device", "cpu", "--samples", 1]
LEARN = [*TINY, "--iterations", 2, "--batch-size", 2, "--report-every", 2, "--normalise", "quantile"]
EXTRACT = ["--timesteps", "1", "--layout", "native", "--precision", "float32", "--threads", 1, "--device", "cpu"]


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Patients with two modalities, and a backbone that was pre-trained on them."""
    folder = tmp_path_factory.mktemp("modalities")
    source = write_patients(folder / "data", columns=["flair", "t1gd"])
    said = run(pretrain.main, source, folder / "unet.safetensors", "--channels", "flair,t1gd", *LEARN)
    assert "5 images of the split test left out" in said.stderr
    assert "learning from 10 images, 5 held out" in said.stderr
    return source, folder / "unet.safetensors"


def test_a_backbone_of_two_modalities_is_made_and_extracted_with(learned, tmp_path):
    source, checkpoint = learned
    assert load_backbone(checkpoint).image_channels == 2
    options = ["--checkpoint", checkpoint, *EXTRACT, "--channels", "flair,t1gd", "--normalise", "quantile"]
    for part in ("1/2", "0/2"):
        assert (
            "10 images extracted, 0 were there" in run(extract.main, source, tmp_path / "s", *options, "--shard", part).stdout
        )
    store = FeatureStore.open(tmp_path / "s")
    assert store.missing() == []
    assert store.image("p0_003").shape == (16, 16, 2)
    assert store.settings.channel_names == ("flair", "t1gd")
    assert "0 different" in run(verify.main, tmp_path / "s", "--images", source).stdout
    for channels in ("flair", "t1gd,flair"):
        refused = run(
            extract.main, source, tmp_path / "t", "--checkpoint", checkpoint, *EXTRACT, "--channels", channels, code=1
        )
        assert (
            "the backbone was trained on the channels flair, t1gd, in this order, and "
            f"--channels {channels} are others: give --channels flair,t1gd" in refused.stderr
        )
        assert not (tmp_path / "t").exists()
    assert load_backbone(checkpoint).remarks == ("its images have the channels flair, t1gd, in this order",)


def test_intensities_that_are_made_otherwise_than_in_training_are_said(learned, tmp_path):
    source, checkpoint = learned
    options = ["--checkpoint", checkpoint, *EXTRACT, "--channels", "flair,t1gd", "--brain", "all"]
    said = "note: the backbone was trained with --normalise quantile, and these images have"
    assert f"{said} zscore" in run(extract.main, source, tmp_path / "z", *options, "--normalise", "zscore").stderr
    assert said not in run(extract.main, source, tmp_path / "q", *options, "--normalise", "quantile").stderr
    dry = run(extract.main, source, tmp_path / "n", *options, "--normalise", "zscore", "--dry-run")
    assert f"{said} zscore" in dry.stderr


def test_a_number_of_channels_is_that_of_the_volumes_in_a_file(tmp_path, rng):
    for number in range(2):
        save(tmp_path / f"p{number}.nii.gz", np.stack([head(rng), head(rng, level=900)], axis=-1))
    target = tmp_path / "unet.safetensors"
    assert "4D file of 2 volumes" in run(pretrain.main, tmp_path, target, "--channels", 2, *LEARN, code=1).stderr
    refused = run(pretrain.main, tmp_path, target, "--channels", 3, "--channels-in-file", *LEARN, code=1)
    assert "2 channels, and the backbone takes 3" in refused.stderr
    assert not target.exists()
    run(pretrain.main, tmp_path, target, "--channels", 2, "--channels-in-file", *LEARN)
    assert load_backbone(target).image_channels == 2


def test_a_dry_run_of_volumes_writes_nothing_and_takes_the_numbers_of_the_store(tmp_path, checkpoint):
    source = write_patients(tmp_path / "data")
    lines = source.read_text().splitlines()
    few = source.with_name("few.csv")
    few.write_text("\n".join([*lines[:2], ""]))
    options = ["--checkpoint", checkpoint, *EXTRACT, "--normalise", "zscore"]
    assert "20 images to extract" in run(extract.main, source, tmp_path / "s", *options, "--dry-run").stdout
    assert not (tmp_path / "s").exists()
    run(extract.main, few, tmp_path / "s", *options)
    before = FeatureStore.open(tmp_path / "s").files()
    tests = source.with_name("tests.csv")
    tests.write_text("\n".join([lines[0], lines[4], ""]))  # no training patient: what the store has is taken
    assert "5 images to extract" in run(extract.main, tests, tmp_path / "s", *options, "--dry-run").stdout
    assert FeatureStore.open(tmp_path / "s").files() == before
    assert "5 images extracted, 0 were there" in run(extract.main, tests, tmp_path / "s", *options).stdout


def test_a_verification_reads_volumes_again(tmp_path, checkpoint):
    source = write_patients(tmp_path / "data", splits=["train", "test"])
    options = ["--checkpoint", checkpoint, *EXTRACT, "--normalise", "quantile"]
    run(extract.main, source, tmp_path / "s", *options)
    assert "0 different" in run(verify.main, tmp_path / "s", "--images", source).stdout
    save(tmp_path / "data" / "p1" / "image.nii.gz", head(np.random.default_rng(9)))
    told = run(verify.main, tmp_path / "s", "--images", source, code=1)
    assert told.stdout.count("image p1_00") == 4  # its first slice is not brain
    assert "image p0_" not in told.stdout
    assert "--update computes them anew" in run(extract.main, source, tmp_path / "s", *options, code=1).stderr
    assert "4 images extracted, 6 were there" in run(extract.main, source, tmp_path / "s", *options, "--update").stdout
    assert "0 different" in run(verify.main, tmp_path / "s", "--images", source).stdout
