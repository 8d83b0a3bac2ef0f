"""The images of an evaluation as tiles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tedm.study import read_evaluation
from tedm.study.report.images import NO_BREAK, _dpi, examples_section


def test_each_example_has_its_image_its_truth_and_every_head(evaluated: Path) -> None:
    evaluation = read_evaluation(evaluated / "evaluation")
    section = examples_section(evaluation, False, "leave-out")
    strips = [strip for domain in section.sections for strip in domain.sections]
    assert [domain.title for domain in section.sections] == list(dict.fromkeys(e.place.domain for e in evaluation.examples))
    assert len(strips) == len(evaluation.examples)
    for strip, example in zip(strips, evaluation.examples, strict=True):
        assert strip.title.endswith(f": {example.place.image}")
        captions = [tile.caption for tile in strip.tiles]
        dice = [f"{head}: Dice{NO_BREAK}{value:.1f}" for head, value in example.dice.items()]
        assert captions == ["image", "truth", *dice]
    assert section.legend == ["class 0", "class 255"]


def test_a_pixel_of_a_tile_is_a_whole_number_of_dots() -> None:
    assert [round(_dpi(width) * 1.75) for width in (16, 128, 256, 400, 2000)] == [384, 384, 512, 400, 1024]


def test_the_legend_says_what_classes_are_called(evaluated: Path) -> None:
    evaluation = read_evaluation(evaluated / "evaluation")
    named = tuple(replace(one, class_name="lung" if one.class_value else "") for one in evaluation.records)
    assert examples_section(replace(evaluation, records=named), False, "leave-out").legend == ["class 0", "lung"]


def test_another_convention_than_the_folders_is_said(evaluated: Path) -> None:
    evaluation = read_evaluation(evaluated / "evaluation")
    same, other = (examples_section(evaluation, True, empty) for empty in ("leave-out", "count"))
    assert list(other.words[:-1]) == list(same.words)
    assert other.words[-1].startswith("The Dice below are as the folder has them")
    assert same.title == f"Images: {evaluation.result.title}"
