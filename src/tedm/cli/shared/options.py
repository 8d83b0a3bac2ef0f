"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from tedm.jsons import JsonValue

FC = TypeVar("FC", bound=Callable[..., object])


class IntegerList(click.ParamType):  # type: ignore[type-arg]
    """`1,50,200` as a tuple of integers."""

    name = "n,n,..."
    may_repeat = False

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Parse, or say what is wrong with it."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of whole numbers; write them with commas between: 1,50,200", param, ctx)
        if not self.may_repeat and len(set(numbers)) < len(numbers):
            self.fail(f"{value!r} names a number twice", param, ctx)
        return numbers


class Multipliers(IntegerList):
    """`1,2,2,4` as a tuple: numbers may repeat."""

    may_repeat = True


class Range(click.ParamType):  # type: ignore[type-arg]
    """`-1,1` as two floats, the lower first."""

    name = "low,high"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        """Parse, or say what is wrong with it."""
        if isinstance(value, tuple):
            return value
        try:
            low, high = (float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no range; write two numbers with a comma between: 0,1", param, ctx)
        if not math.isfinite(high - low):
            self.fail(f"{value!r}: both numbers must be finite, and what is between them", param, ctx)
        if not low < high:
            self.fail(f"{value!r}: the first number must be the lower one", param, ctx)
        return low, high


class Bytes(click.ParamType):  # type: ignore[type-arg]
    """`4GB` as a number of bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse, or say what is wrong with it."""
        from dask.utils import parse_bytes

        try:
            return int(parse_bytes(value))
        except ValueError:
            self.fail(f"{value!r} is no size; write a number and a unit: 4GB, 500MB, 4GiB", param, ctx)


class Sizes(click.ParamType):  # type: ignore[type-arg]
    """`1,3,all` as numbers of images; None is all."""

    name = "n,n,...,all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int | None, ...]:
        """Parse, or say what is wrong with it."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        if not all(part == "all" or (part.isdecimal() and int(part) > 0) for part in parts):
            self.fail(f"{value!r} are no numbers of images; write them with commas between, 1,3,6,all say", param, ctx)
        return tuple(None if part == "all" else int(part) for part in parts)


class Ridge(click.ParamType):  # type: ignore[type-arg]
    """`1`, `0.1,1,10` or `auto`."""

    name = "r[,r,...]|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | list[float] | Literal["auto"]:
        """Parse, or say what is wrong with it."""
        if value == "auto":
            return "auto"
        try:
            numbers = [float(part) for part in str(value).split(",")]
        except ValueError:
            self.fail(f"{value!r} is no strength; write a number, several with commas between, or auto", param, ctx)
        return numbers[0] if len(numbers) == 1 else numbers


class Shard(click.ParamType):  # type: ignore[type-arg]
    """`3/8` as two integers: part 3 of the parts 0 to 7."""

    name = "i/n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Parse, or say what is wrong with it."""
        if isinstance(value, tuple):
            return value
        try:
            part, parts = (int(number) for number in str(value).split("/"))
        except ValueError:
            self.fail(f"{value!r} is no shard; write i/n, 0/4 say", param, ctx)
        if not 0 <= part < parts:
            self.fail(f"{value!r}: of n shards the first is 0/n and the last n-1/n", param, ctx)
        return part, parts


class Json(click.ParamType):  # type: ignore[type-arg]
    """A JSON object."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, JsonValue]:
        """Parse, or say what is wrong with it."""
        import json

        try:
            parsed = json.loads(value)
        except ValueError as error:
            self.fail(f"{value!r} is no JSON ({error}); write it like '{{\"max_depth\": 4}}'", param, ctx)
        if not isinstance(parsed, dict):
            self.fail(f"{value!r} is no JSON object; write it like '{{\"max_depth\": 4}}'", param, ctx)
        return parsed


class ClassWeights(click.ParamType):  # type: ignore[type-arg]
    """`balanced`, or a JSON object from mask values to weights."""

    name = "balanced|json"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Literal["balanced"] | dict[str, JsonValue]:
        """Parse, or say what is wrong with it."""
        return "balanced" if value == "balanced" else Json().convert(value, param, ctx)


class Store(click.ParamType):  # type: ignore[type-arg]
    """A path, or a URL such as `s3://bucket/prefix`, which stays text: as a path it would lose a slash."""

    name = "path|url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        """Leave a URL as it is, and turn everything else into a path."""
        return value if isinstance(value, Path) or "://" in value else Path(value)


class Table(click.Path):
    """A file for a table, whose ending says how it is written; `tedm.study.evaluate` knows these endings."""

    endings = (".csv", ".md", ".tex", ".txt")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Take a path, or say which endings there are."""
        path = Path(value)
        if path.suffix not in self.endings:
            self.fail(f"{path}: the ending must be one of {', '.join(self.endings)}", param, ctx)
        return path


PATH = click.Path(path_type=Path)

TABLE = Table()

STORE = Store()

VERSION = click.version_option(package_name="tedm")

DEVICE = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help="Where torch computes."
)

TIMESTEPS = click.option(
    "--timesteps", type=IntegerList(), default=None, help="Use these timesteps only, 1,50 say. Default: the method's."
)

VOTE = click.option(
    "--vote",
    type=click.Choice(["soft", "hard", "geometric", "entropy", "learned"]),
    default=None,
    help="How opinions merge: mean probability, majority, geometric mean, or a mean weighted by how sure each is of the pixel "
    "(entropy) or by weights learned on the val split. Default: the method's.",
)

EMPTY_TRUTH = click.option(
    "--empty-truth",
    type=click.Choice(["leave-out", "count"]),
    default="leave-out",
    show_default=True,
    help="What an image counts in means whose truth does not show a class: nothing, whatever was predicted there, or 1 where "
    "nothing of the class was predicted and 0 otherwise (count).",
)

DOMAIN = click.option("--domain", default=None, help="Only images of this domain. Default: all.")

CLASSES = click.option(
    "--classes",
    type=IntegerList(),
    default=None,
    help="Mask values that are classes, in order. Default: all values that occur.",
)

IGNORE = click.option("--ignore", type=int, default=None, help="Mask value of pixels without a label. Default: none.")

THRESHOLD = click.option(
    "--threshold",
    type=int,
    default=None,
    metavar="N",
    show_default=False,
    help="Read masks as two classes: values from N on are class 1, lower ones class 0; --classes names two other numbers for "
    "them. Default: each value is a class.",
)

STRICT = click.option("--strict", is_flag=True, help="Refuse what would be left out of a folder or a table, not only say so.")

MEMORY = click.option(
    "--memory", type=Bytes(), default=None, help="What this process may have resident, 4GB say. Default: half of what is free."
)

SCHEDULER = click.option(
    "--scheduler", default=None, help="Compute on the Dask cluster with this scheduler, tcp://host:port. Default: here."
)

EDGES = click.option("--edges", is_flag=True, help="Let borders of masks follow the edges of the images' own files.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def cleaning_options(command: FC) -> FC:
    """Add the three options of `tedm.heads.Cleaning`: largest, fill_holes, min_area."""
    pixels = "in pixels at feature resolution"
    for option in (
        click.option("--min-area", type=click.IntRange(min=1), default=None, help=f"Smallest component kept, {pixels}."),
        click.option("--fill-holes", is_flag=True, help="Fill holes with the class around them, after that."),
        click.option(
            "--largest",
            type=click.IntRange(min=1),
            default=None,
            help="Keep the K largest components of each class.",
            metavar="K",
        ),
    ):
        command = option(command)
    return command
