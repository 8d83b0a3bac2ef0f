"""What commands ask about volumes: options that several share, and the two values that they become."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from tedm.cli.shared import options
from tedm.text import from_entry

if TYPE_CHECKING:
    from tedm.store.settings import Axis, Crop
    from tedm.store.volumes.normalisation import Brain, Normalisation

FC = TypeVar("FC", bound=Callable[..., object])
R = TypeVar("R")
AXES = ("axial", "coronal", "sagittal", "0", "1", "2")


class Names(click.ParamType):  # type: ignore[type-arg]
    """`flair,t1gd` as a tuple of texts."""

    name = "name,name,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Parse, or say what is wrong with it."""
        if isinstance(value, tuple):
            return value
        names = tuple(part.strip() for part in str(value).split(","))
        if not all(names) or len(set(names)) < len(names):
            self.fail(f"{value!r} names nothing, or something twice; write names with commas between: flair,t1gd", param, ctx)
        return names


class NumberOrNames(click.ParamType):  # type: ignore[type-arg]
    """`4` as a number, `flair,t1gd` as a tuple of texts."""

    name = "n|name,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | tuple[str, ...]:
        """Parse, or say what is wrong with it."""
        if isinstance(value, int | tuple):
            return value
        if not str(value).isdecimal():
            return Names().convert(value, param, ctx)
        if int(value) < 1:
            self.fail(f"{value!r}; an image has 1 channel or more", param, ctx)
        return int(value)


class CropSize(click.ParamType):  # type: ignore[type-arg]
    """`176` or `brain`."""

    name = "n|brain"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Crop:
        """Parse, or say what is wrong with it."""
        if value == "brain" or isinstance(value, int):
            return value  # type: ignore[no-any-return]
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"{value!r} is no part of a slice; write a number of voxels, 176 say, or brain", param, ctx)
        return int(value)


class ClassNames(click.ParamType):  # type: ignore[type-arg]
    """`0=background,1=left lung` as a mapping."""

    name = "value=name,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[int, str]:
        """Parse, or say what is wrong with it."""
        if isinstance(value, dict):
            return value
        found: dict[int, str] = {}
        for part in str(value).split(","):
            number, equals, name = part.partition("=")
            if not equals or not name.strip() or not number.strip().lstrip("-").isdecimal() or int(number) in found:
                self.fail(f"{part!r} names no class; write 0=background,1=lung, each value once", param, ctx)
            found[int(number)] = from_entry(name.strip())
        return found


CHANNELS = click.option(
    "--channels",
    "channel_columns",
    type=Names(),
    default=None,
    show_default=False,
    help="Columns (or modalities of a data set) that are the channels of an image: flair,t1gd say. Default: the column image.",
)
AXIS = click.option(
    "--axis",
    type=click.Choice(AXES),
    default="axial",
    show_default=True,
    help="How volumes are cut into slices: by their affine, or along an axis of their file.",
)
BRAIN = click.option(
    "--brain",
    type=click.Choice(["mask", "nonzero", "all"]),
    default=None,
    show_default=False,
    help="Which voxels are brain: a mask in the column brainmask, those that are not 0, or all. Default: the mask if "
    "there is one, else all.",
)
CLASS_NAMES = click.option(
    "--class-names",
    type=ClassNames(),
    default=None,
    show_default=False,
    help="What classes are called: 0=background,1=lung say. Default: classes.csv beside the images, or the data set's own.",
)


def volume_options(command: FC) -> FC:
    """Add what `choices` takes."""
    for option in (
        click.option(
            "--deviations",
            type=click.FloatRange(min=0, min_open=True),
            default=None,
            show_default=False,
            help="Of --normalise zscore: standard deviations from the mean to black and to white. Default: 3.",
        ),
        click.option(
            "--percentiles",
            type=options.Range(),
            default=None,
            show_default=False,
            help="Of --normalise quantile: what becomes black and white. Default: 1,99.",
        ),
        click.option(
            "--normalise",
            type=click.Choice(["quantile", "zscore"]),
            default=None,
            show_default=False,
            help="How numbers of volumes become intensities: by percentiles of each volume's brain, or by mean and deviation "
            "of the training patients' brains, each modality by itself; what is not brain is black. "
            "Default: --intensity-range.",
        ),
        BRAIN,
        click.option(
            "--crop",
            type=CropSize(),
            default=None,
            show_default=False,
            help="Show a part of each slice: 176 voxels around its centre say, or the box around the brain. Default: all.",
        ),
        click.option("--channels-in-file", is_flag=True, help="Take the volumes of a 4D file as channels."),
        AXIS,
    ):
        command = option(command)
    return command


def choices(function: Callable[..., R]) -> Callable[..., R]:
    """Hand the options of `volume_options` to a command as two values, `volume_choices` and `normalisation`."""

    @functools.wraps(function)
    def with_choices(
        *args: object,
        channel_columns: tuple[str, ...] | None = None,
        axis: Axis,
        channels_in_file: bool,
        crop: Crop | None,
        brain: Brain | None,
        normalise: Literal["quantile", "zscore"] | None,
        percentiles: tuple[float, float] | None,
        deviations: float | None,
        drop_empty: Literal["train"] | None = None,
        **others: object,
    ) -> R:
        from tedm.extract.images import VolumeOptions

        if brain is not None and normalise is None and crop != "brain":
            raise click.UsageError("--brain says where --normalise and --crop brain find the brain; add one of them")
        volumes = VolumeOptions(
            axis=axis,
            channels=channel_columns or (),
            channels_in_file=channels_in_file,
            brain=brain,
            crop=crop,
            drop_empty=drop_empty,
        )
        return function(
            *args, volume_choices=volumes, normalisation=_normalisation(normalise, brain, percentiles, deviations), **others
        )

    return with_choices


def _normalisation(
    method: Literal["quantile", "zscore"] | None,
    brain: Brain | None,
    percentiles: tuple[float, float] | None,
    deviations: float | None,
) -> Normalisation | None:
    from tedm.store.volumes.normalisation import Normalisation

    if percentiles is not None and method != "quantile":
        raise click.UsageError("--percentiles is for --normalise quantile; add that, or leave it out")
    if deviations is not None and method != "zscore":
        raise click.UsageError("--deviations is for --normalise zscore; add that, or leave it out")
    if method is None:
        return None
    low, high = percentiles or (1.0, 99.0)
    if not 0 <= low < high <= 100:
        raise click.UsageError(f"--percentiles {low:g},{high:g}: they lie from 0 to 100")
    return Normalisation(method, brain or "all", round(low / 100, 9), round(high / 100, 9), deviations or 3.0)


def legend_of(class_names: dict[int, str] | None) -> Any:
    """Return the legend that was written on the command line; an empty one if none was."""
    from tedm.extract.images import Legend

    return Legend(class_names or {}, {}, "--class-names") if class_names else Legend()
