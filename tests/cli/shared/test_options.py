"""The types of the options' values: what is parsed, and what is refused."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from tedm.cli.shared import options


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (options.IntegerList(), "1,50,200", (1, 50, 200)),
        (options.Multipliers(), "1,2,2", (1, 2, 2)),
        (options.Range(), "-1,1", (-1.0, 1.0)),
        (options.Bytes(), "4GB", 4 * 10**9),
        (options.Sizes(), "1, 3,all", (1, 3, None)),
        (options.Ridge(), "auto", "auto"),
        (options.Ridge(), "0.5", 0.5),
        (options.Ridge(), "1,10", [1.0, 10.0]),
        (options.Shard(), "3/8", (3, 8)),
        (options.Json(), '{"max_depth": 4}', {"max_depth": 4}),
        (options.ClassWeights(), "balanced", "balanced"),
        (options.ClassWeights(), '{"255": 2}', {"255": 2}),
        (options.STORE, "s3://bucket/a b", "s3://bucket/a b"),
        (options.STORE, "my store", Path("my store")),
        (options.TABLE, "a/t.tex", Path("a/t.tex")),
    ],
)
def test_values_are_parsed(kind: click.ParamType, text: str, value: object) -> None:
    assert kind.convert(text, None, None) == value


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (options.IntegerList(), "1,1", "names a number twice"),
        (options.IntegerList(), "1;2", "is no list of whole numbers"),
        (options.Range(), "1,0", "the first number must be the lower one"),
        (options.Range(), "0,inf", "both numbers must be finite"),
        (options.Range(), "nan,1", "both numbers must be finite"),
        (options.Range(), "-1e308,1e308", "both numbers must be finite, and what is between them"),
        (options.Bytes(), "much", "is no size"),
        (options.Sizes(), "0", "are no numbers of images"),
        (options.Ridge(), "strong", "is no strength"),
        (options.Shard(), "8/8", "the first is 0/n"),
        (options.Json(), "[1]", "is no JSON object"),
        (options.ClassWeights(), "unbalanced", "is no JSON"),
        (options.TABLE, "t.doc", "the ending must be one of .csv, .md, .tex, .txt"),
    ],
)
def test_what_cannot_be_parsed_says_how_to_write_it(kind: click.ParamType, text: str, said: str) -> None:
    with pytest.raises(click.BadParameter) as refused:
        kind.convert(text, None, None)
    assert said in str(refused.value)


def test_the_endings_of_tables_are_those_that_can_be_written() -> None:
    from tedm.study.evaluate import RENDERINGS

    assert set(options.TABLE.endings) == set(RENDERINGS)
