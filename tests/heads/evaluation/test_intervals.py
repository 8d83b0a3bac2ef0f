from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest

from tedm.heads.evaluation.intervals import image_scores, mean_intervals
from tedm.heads.evaluation.records import Record
from tedm.heads.evaluation.table import summarise

RNG = np.random.default_rng(11)
KEY = ("here", 3, "tedm")


def record(image: str = "a", dice: float = 0.5, *, group: str = "", seed: int = 0, value: int = 1, **changes: Any) -> Record:
    where: dict[str, Any] = {"method": "tedm", "n": 3, "domain": "here", "split": "test", "labels_used": 3} | changes
    scores = {"dice": dice, "precision": dice, "recall": dice / 2, "iou": dice}
    return Record(image=image, group=group, seed=seed, class_value=value, resolution="feature", **scores, **where)


def study() -> list[Record]:
    """Two domains, two sizes, two methods, three seeds, two classes and a background; some images do not show some class."""
    rows = []
    empty = {case for case in product(("here", "there"), range(12), range(3)) if RNG.random() < 0.1}
    for domain, n, method in product(("here", "there"), (1, 3), ("tedm", "ledm")):
        for image, seed, value in product(range(12), range(3), range(3)):
            dice = math.nan if (domain, image, value) in empty else RNG.uniform()
            rows.append(record(f"i{image}", dice, seed=seed, value=value, domain=domain, n=n, method=method))
    return rows


@pytest.mark.parametrize("metric", ["dice", "recall"])
def test_the_mean_of_the_image_scores_is_the_tables(metric: Any) -> None:
    rows = study()
    scores = image_scores(rows, metric=metric)
    cells = summarise(rows, metric=metric).cells
    assert list(scores) == [(cell.domain, cell.n, cell.method) for cell in cells]
    for cell, values in zip(cells, scores.values(), strict=True):
        assert np.nanmean(list(values.values())) == pytest.approx(cell.mean, abs=1e-9)
        assert np.nanstd(list(values.values()), ddof=1) == pytest.approx(cell.deviation, abs=1e-9)
    assert list(scores["here", 1, "tedm"])[:3] == ["i0", "i1", "i2"]


def test_an_interval_of_many_patients_is_the_normal_one() -> None:
    dice = RNG.normal(0.7, 0.1, 400)
    low, high = mean_intervals(record(f"i{k}", value) for k, value in enumerate(dice))[KEY]
    half = 100 * 1.96 * dice.std(ddof=1) / 20
    assert low == pytest.approx(100 * dice.mean() - half, abs=0.15)
    assert high == pytest.approx(100 * dice.mean() + half, abs=0.15)


def test_images_of_one_patient_stay_together() -> None:
    """Twenty copies of each patient's image say no more than one."""
    dice = RNG.uniform(size=8)
    alone = mean_intervals(record(f"i{k}", value) for k, value in enumerate(dice))
    copies = [record(f"i{k} {c:02}", value, group=f"p{k}") for k, value in enumerate(dice) for c in range(20)]
    assert mean_intervals(copies)[KEY] == pytest.approx(alone[KEY])
    apart = mean_intervals([record(row.image, row.dice) for row in copies])
    assert np.ptp(apart[KEY]) < np.ptp(alone[KEY]) / 3


def test_seeds_that_differ_widen_the_interval() -> None:
    rows = [record(f"i{k}", 0.5 + shift, seed=seed) for k in range(30) for seed, shift in enumerate((-0.2, 0.0, 0.2))]
    assert mean_intervals(rows)[KEY] == pytest.approx((30, 70))  # one draw in 27 has the same seed thrice
    assert mean_intervals(row for row in rows if row.seed == 1)[KEY] == pytest.approx((50, 50))


def test_the_order_of_records_changes_nothing_and_none_is_no_error() -> None:
    rows = study()
    assert mean_intervals(rows) == mean_intervals([rows[k] for k in RNG.permutation(len(rows))])
    assert mean_intervals([]) == {}
    assert np.isnan(mean_intervals([record(dice=math.nan)])[KEY]).all()


def test_distances_stay_millimetres():
    about = ("tedm", 1, 0, "in", "test")
    rows = [Record(*about, i, i, 1, 0.5, 0.5, 0.5, 0.5, 1, "volume", hd95=mm) for i, mm in (("a", 2.0), ("b", 4.5))]
    assert image_scores(rows, metric="hd95") == {("in", 1, "tedm"): {"a": 2.0, "b": 4.5}}
    assert mean_intervals(rows, metric="hd95") == {("in", 1, "tedm"): (2.0, 4.5)}
