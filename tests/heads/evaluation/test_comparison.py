"""Methods are averaged over the same images, by either convention, in tables as in intervals."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.heads.evaluation.intervals import image_scores, mean_intervals
from tedm.heads.evaluation.records import Record
from tedm.heads.evaluation.table import summarise
from tedm.heads.metrics.scores import score
from tedm.heads.metrics.summary import by_convention, mean_over_classes

SLICES, WITH_TUMOUR, FALSE_POSITIVES = 201, 150, 39
METRICS = ("dice", "precision", "recall", "iou")
NAN = math.nan


def record(method: str, image: str, truth: NDArray[Any], mask: NDArray[Any], **changes: Any) -> Record:
    """The record of a mask of class 1, with the ratios that `score` gives."""
    scores = score(truth[None], mask[None], 2)
    ratios = [float(getattr(scores, metric)[1]) for metric in METRICS]
    return replace(Record(method, 1, 0, "tumour", "test", image, image, 1, *ratios, 1, "feature"), **changes)


def masks(shows: bool, found: float, rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
    """A truth with a tumour or without one, and a prediction that finds a part of it."""
    truth = np.zeros(100, int)
    truth[:40] = shows
    mask = np.zeros(100, int)
    mask[: round(40 * found * rng.uniform(0.5, 1))] = 1
    return truth, mask


@pytest.fixture
def tumour_slices(rng: np.random.Generator) -> list[Record]:
    """201 slices, 51 of them empty: "careless" predicts a tumour on 39 of the empty ones, "careful" on none."""
    rows = []
    for number in range(SLICES):
        shows = number < WITH_TUMOUR
        truth, careful = masks(shows, 0.6 * shows, rng)
        _, careless = masks(shows, 0.9 if number < WITH_TUMOUR + FALSE_POSITIVES else 0.0, rng)
        rows += [record("careful", f"i{number}", truth, careful), record("careless", f"i{number}", truth, careless)]
    return rows


@pytest.mark.parametrize("metric", METRICS)
def test_methods_are_averaged_over_the_same_images_whatever_they_predict_on_empty_ones(
    tumour_slices: list[Record], metric: Any
) -> None:
    table = summarise(tumour_slices, metric=metric)
    for cell in table.cells:
        assert (cell.images, cell.left_out, cell.without_class) == (WITH_TUMOUR, SLICES - WITH_TUMOUR, SLICES - WITH_TUMOUR)
        common = [r for r in tumour_slices if r.method == cell.method and int(r.image[1:]) < WITH_TUMOUR]
        assert cell.mean == pytest.approx(100 * np.mean([getattr(r, metric) for r in common]))
        low, high = mean_intervals(tumour_slices, metric=metric)["tumour", 1, cell.method]
        assert low - 1e-9 <= cell.mean <= high + 1e-9
    said = "150 of 201 images (51 show no class and are left out; the same images for every method)"
    assert said in table.to_text()
    assert said in table.to_markdown()
    rows = list(csv.DictReader(io.StringIO(table.to_csv())))
    assert [(row["images"], row["left_out"], row["empty_truth"]) for row in rows] == [("150", "51", "leave-out")] * 2


@pytest.mark.parametrize("metric", METRICS)
def test_empty_truths_that_count_are_one_where_nothing_was_predicted_and_nought_otherwise(
    tumour_slices: list[Record], metric: Any
) -> None:
    table = summarise(tumour_slices, metric=metric, empty="count")
    assert table.empty == "count"
    for cell in table.cells:
        mine = [r for r in tumour_slices if r.method == cell.method]
        ones = SLICES - WITH_TUMOUR - (FALSE_POSITIVES if cell.method == "careless" else 0)
        expected = (sum(getattr(r, metric) for r in mine if int(r.image[1:]) < WITH_TUMOUR) + ones) / SLICES
        assert cell.mean == pytest.approx(100 * expected)
        assert (cell.images, cell.left_out, cell.without_class) == (SLICES, 0, SLICES - WITH_TUMOUR)
        scores = image_scores(tumour_slices, metric=metric, empty="count")["tumour", 1, cell.method]
        assert np.mean([*scores.values()]) == pytest.approx(cell.mean)
    assert "201 images (51 show no class and count 1 where nothing is predicted, 0 otherwise)" in table.to_text()
    assert "empty truth: count" in table.to_text()


def test_the_mean_that_is_shown_lies_in_its_interval_when_one_seed_has_a_false_positive(rng: np.random.Generator) -> None:
    """Of twenty seeds one predicts something on an empty image: the other nineteen must not be averaged without it."""
    rows = []
    for seed in range(20):
        for image, shows in (("a", True), ("b", False)):
            truth = np.arange(100) < (40 if shows else 0)
            mask = np.arange(100) < (33 if shows else 5 if seed == 3 else 0)
            rows.append(record("tedm", image, truth.astype(int), mask.astype(int), seed=seed))
    for empty in ("leave-out", "count"):
        (cell,) = summarise(rows, empty=empty).cells
        low, high = mean_intervals(rows, empty=empty)["tumour", 1, "tedm"]
        assert low - 1e-9 <= cell.mean <= high + 1e-9
        ((_, scores),) = image_scores(rows, empty=empty).items()
        assert np.nanmean([*scores.values()]) == pytest.approx(cell.mean)


def test_precision_is_nought_where_nothing_was_predicted_of_what_is_there() -> None:
    truth, nothing = np.arange(10) < 4, np.zeros(10, int)
    rows = [record("tedm", "a", truth.astype(int), nothing), record("ledm", "a", truth.astype(int), truth.astype(int))]
    assert math.isnan(rows[0].precision)
    table = summarise(rows, metric="precision")
    assert [(cell.method, cell.mean, cell.images) for cell in table.cells] == [("ledm", 100, 1), ("tedm", 0, 1)]
    assert any("precision" in note and "is 0" in note for note in table.notes())


def test_arrays_and_records_follow_one_convention(rng: np.random.Generator) -> None:
    cases = [(shows, found) for shows in (True, False) for found in (0.0, 0.8)]
    rows = [record("tedm", f"i{k}", *masks(shows, found, rng)) for k, (shows, found) in enumerate(cases)]
    ratios = np.array([[[getattr(row, metric) for metric in METRICS]] for row in rows])  # images, classes, metrics
    for empty in ("leave-out", "count"):
        scores = mean_over_classes(by_convention(ratios, METRICS, empty), axis=-2)
        for number, metric in enumerate(METRICS):
            of_records = image_scores(rows, metric=metric, empty=empty)["tumour", 1, "tedm"]
            np.testing.assert_allclose(100 * scores[:, number], [*of_records.values()])


def test_scores_against_different_masks_are_refused(tumour_slices: list[Record]) -> None:
    rows = [replace(r, recall=NAN) if (r.method, r.image) == ("careless", "i7") else r for r in tumour_slices]
    with pytest.raises(TedmError) as refused:
        summarise(rows)
    message = str(refused.value)
    assert "\n" not in message
    for word in ("tumour, n = 1", "image i7", "class 1", "careful", "careless", "different masks"):
        assert word in message


def test_an_image_that_one_method_has_no_score_for_is_left_out_for_all(tumour_slices: list[Record]) -> None:
    """Such records are not ours: a Dice is missing although the truth shows the class."""
    rows = [replace(r, dice=NAN) if (r.method, r.image) == ("careless", "i7") else r for r in tumour_slices]
    table = summarise(rows)
    for cell in table.cells:
        common = [r.dice for r in rows if r.method == cell.method and int(r.image[1:]) < WITH_TUMOUR and r.image != "i7"]
        assert cell.mean == pytest.approx(100 * np.mean(common))
        assert (cell.images, cell.left_out, cell.without_class, cell.unmatched) == (149, 52, 51, 1)
    said = "over 149 of 201 images (51 show no class, 1 lacks a score of some method and are left out; the same images for"
    assert said in table.to_text()


def test_numbers_of_images_that_differ_between_sizes_and_methods_are_named(tumour_slices: list[Record]) -> None:
    more = [replace(r, n=3) for r in tumour_slices if int(r.image[1:]) >= 20]
    without = [replace(r, method="absent", dice=NAN) for r in more if r.method == "careful"]
    table = summarise([*tumour_slices, *more, *without])
    assert "over 130 to 150 of 181 to 201 images" in table.to_text()
    assert "images averaged, tumour: 150 (n = 1), 0 by absent, 130 by careful, 130 by careless (n = 3)" in table.to_text()


def test_an_unknown_convention_is_refused(tumour_slices: list[Record]) -> None:
    with pytest.raises(TedmError, match="no convention 'ignore' for empty truths; the conventions are leave-out, count"):
        summarise(tumour_slices, empty="ignore")  # type: ignore[arg-type]
