"""The types of the options of volumes, and the values that they become."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from tedm.cli import extract, pretrain
from tedm.cli.shared import volumes
from tedm.extract.images import VolumeOptions
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
