"""Means, tests and marks of a table are those that its records give by hand."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from tedm.errors import TedmError
from tedm.heads.evaluation.cells import Cell
from tedm.heads.evaluation.records import Record
from tedm.heads.evaluation.table import Table, summarise


def record(method: str = "tedm", image: str = "a", dice: float = 0.5, **changes: Any) -> Record:
    row = Record(method, 1, 0, "shenzhen", "test", image, image, 1, dice, dice, dice, dice / (2 - dice), 1, "feature")
    return replace(row, **changes)


def study(images: int = 20, **shifts: float) -> list[Record]:
    """Each method is the same scores, shifted; two domains, two sizes, two seeds, two classes."""
    rng = np.random.default_rng(3)
    rows = []
    for domain, split in (("shenzhen", "test"), ("montgomery", "all")):
        for image in range(images):
            for n, seed, value in np.ndindex(2, 2, 2):
                dice = rng.uniform(0.5, 0.8)
                for method, shift in shifts.items():
                    where = {"n": 3**n, "seed": seed, "class_value": 255 * value, "domain": domain, "split": split}
                    rows.append(
                        record(method, f"i{image}", dice + shift * rng.uniform(0.9, 1.1), labels_used=3**n + 2, **where)
                    )
    return rows


def cell(table: Table, method: str, **where: Any) -> Cell:
    found = [c for c in table.cells if c.method == method and all(getattr(c, key) == value for key, value in where.items())]
    assert len(found) == 1
    return found[0]


def test_means_by_hand() -> None:
    rows = [record(image="a", dice=0.9), record(image="b", dice=0.7), record(image="c", dice=0.5)]
    only = summarise(rows).cells[0]
    assert only.mean == pytest.approx(70)
    assert only.deviation == pytest.approx(20)
    assert (only.images, only.left_out, only.seeds, only.labels_used, only.best) == (3, 0, 1, 1, True)


def test_classes_are_averaged_before_seeds_and_seeds_before_images() -> None:
    nan = math.nan
    rows = [
        record(seed=0, class_value=0, dice=0.99),  # the background, left out
        record(seed=0, class_value=1, dice=0.2),
        record(seed=0, class_value=2, dice=0.6),
        record(seed=1, class_value=0, dice=0.99),
        record(seed=1, class_value=1, dice=nan, recall=0.2),  # no score of this seed, left out
        record(seed=1, class_value=2, dice=0.8),
    ]
    table = summarise(rows)
    assert table.class_values == (1, 2)
    assert cell(table, "tedm").mean == pytest.approx(60)  # ((0.2 + 0.6) / 2 + 0.8) / 2
    assert cell(table, "tedm").seeds == 2


def test_an_image_without_a_score_is_left_out_and_counted() -> None:
    rows = [record(image="a", dice=0.8), record(image="b", dice=math.nan)]
    only = summarise(rows).cells[0]
    assert (only.mean, only.images, only.left_out) == (80, 1, 1)
    assert math.isnan(only.deviation)
    assert "over 1 of 2 images (1 shows no class and is left out" in summarise(rows).to_text()


def test_a_constant_shift_makes_a_method_significantly_worse() -> None:
    table = summarise(study(tedm=0.1, ledm=0.0))
    for domain in ("shenzhen", "montgomery"):
        for n in (1, 3):
            assert cell(table, "tedm", domain=domain, n=n).best
            assert not cell(table, "ledm", domain=domain, n=n).marked
            assert cell(table, "ledm", domain=domain, n=n).p_value < 1e-3


def test_equal_methods_are_both_bold() -> None:
    table = summarise(study(tedm=0.0, ledm=0.0, ledme=-0.2))
    assert cell(table, "ledm", domain="shenzhen", n=1).best
    assert cell(table, "tedm", domain="shenzhen", n=1).equal
    assert cell(table, "tedm", domain="shenzhen", n=1).p_value == 1
    assert table.to_markdown().count("**") == 2 * 2 * 4
    assert table.to_latex().count(r"\textbf{") == 2 * 4
    assert table.to_text().count(" *") == 2 * 4


def test_p_values_are_scipys_corrected_by_holm() -> None:
    rng = np.random.default_rng(0)
    scores = {name: rng.uniform(0.4, 0.6, 15) + bonus for name, bonus in (("a", 0.06), ("b", 0.03), ("c", 0.0))}
    table = summarise(record(name, f"i{k}", value) for name, values in scores.items() for k, value in enumerate(values))
    b, c = (float(wilcoxon(scores["a"] - scores[name]).pvalue) for name in "bc")
    small, large = sorted([b, c])
    expected = {small: 2 * small, large: max(2 * small, large)}
    assert cell(table, "b").p_value == pytest.approx(expected[b])
    assert cell(table, "c").p_value == pytest.approx(expected[c])
    assert math.isnan(cell(table, "a").p_value)


def test_a_domain_and_a_size_are_tested_alone() -> None:
    rows = study(tedm=0.1, ledm=0.0, ledme=0.05)
    alone = [row for row in rows if row.domain == "montgomery" and row.n == 3]
    together = [c for c in summarise(rows).cells if c.domain == "montgomery" and c.n == 3]
    assert str(summarise(alone).cells) == str(tuple(together))  # as text, since NaN is unequal to itself


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_records_changes_nothing(random: Any) -> None:
    rows = study(images=7, tedm=0.1, ledm=0.0, **{"timestep:10": 0.02, "timestep:2": 0.05})
    shuffled = random.sample(rows, len(rows))
    assert summarise(rows).to_csv() == summarise(shuffled).to_csv()
    assert summarise(rows).to_text() == summarise(shuffled).to_text()


def test_methods_come_in_the_order_of_their_numbers() -> None:
    table = summarise(record(f"timestep:{t}") for t in (800, 1, 25, 10))
    assert [c.method for c in table.cells] == ["timestep:1", "timestep:10", "timestep:25", "timestep:800"]


def test_a_method_without_any_score_is_neither_best_nor_equal() -> None:
    table = summarise([record("tedm", dice=0.5), record("ledm", dice=math.nan, recall=0.5)])
    assert cell(table, "tedm").best
    assert not cell(table, "ledm").marked
    assert "–" in table.to_text()


def test_a_table_without_any_score_has_no_best() -> None:
    assert not summarise([record(dice=math.nan)]).cells[0].marked


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no scores"),
        ([record("tedm", "a"), record("ledm", "b")], r"not scored on the same images\n  ledm \(seed 0\) lacks 1 of 2"),
        ([record(seed=0, image="a"), record(seed=0, image="b"), record(seed=1, image="a")], r"tedm \(seed 1\) lacks 1 of 2"),
        ([record(), record()], "has 2 scores for image a, class 1"),
        ([record(), record("ledm", resolution="image")], "several resolutions"),
        ([record(), record("ledm", split="val")], "mixes the splits test, val"),
    ],
)
def test_scores_that_cannot_be_compared_are_refused(rows: list[Record], message: str) -> None:
    with pytest.raises(TedmError, match=message):
        summarise(rows)


def distances(method: str, values: list[float], **changes: Any) -> list[Record]:
    about: dict[str, Any] = {"nsd": 0.9, "tolerance": 1.0, "resolution": "volume"} | changes
    return [record(method, f"i{at:02}", hd95=value, **about) for at, value in enumerate(values)]


def test_by_a_distance_the_smallest_is_best_and_it_is_told_in_mm() -> None:
    near = [1.0 + at / 100 for at in range(12)]
    rows = distances("far", [value + 3.125 for value in near]) + distances("near", near)
    table = summarise(rows, metric="hd95")
    assert cell(table, "near").best
    assert cell(table, "near").mean == pytest.approx(np.mean(near))
    assert not cell(table, "far").marked
    text = table.to_text()
    assert "shenzhen: HD95 in mm (smaller is better), mean ± standard deviation over 12 volumes" in text
    assert "4.18 ± 0.04" in text
    assert "1.05 ± 0.04 *" in text
    assert "HD95 where nothing was predicted of a class that the truth shows is the diagonal of the volume" in text
    assert "image" not in text
    assert "NSD at 1 mm × 100" in summarise(rows, metric="nsd").to_text()
    assert summarise(rows, metric="nsd").cells[0].mean == pytest.approx(90)


def test_a_distance_that_no_surface_has_is_counted_where_it_was_missed() -> None:
    nan = math.nan
    missed = record(image="b", dice=0.0, precision=nan, hd95=373.1, resolution="volume")
    extra = record(image="c", dice=0.0, recall=nan, hd95=373.1, resolution="volume")
    nothing = record(image="d", dice=nan, hd95=nan, resolution="volume")
    rows = [record(hd95=2.0, resolution="volume"), missed, extra, nothing]
    left_out = summarise(rows, metric="hd95")
    assert left_out.cells[0].mean == pytest.approx((2 + 373.1) / 2)
    assert (left_out.cells[0].images, left_out.cells[0].without_class, left_out.cells[0].missed) == (2, 2, 1)
    assert "is the diagonal of the volume (1 by tedm)" in left_out.to_text()
    counted = summarise(rows, metric="hd95", empty="count")
    assert counted.cells[0].mean == pytest.approx((2 + 373.1 + 373.1 + 0) / 4)
    assert "count 0 mm where nothing is predicted, the diagonal otherwise" in counted.to_text()
    assert "counts 0 mm where nothing of it was predicted and the diagonal otherwise (empty truth: count)" in counted.to_text()


@pytest.mark.parametrize(
    ("rows", "metric", "message"),
    [
        ([record()], "hd95", r"1 of 1 scores have no hd95 \(first tedm, image a\): HD95 needs volumes with a spacing"),
        (distances("a", [1.0, 2.0]) + distances("b", [1.0, math.nan]), "hd95", r"1 of 4 .* no hd95 \(first b, image i01"),
        (distances("a", [1.0]) + distances("b", [1.0], nsd=math.nan), "nsd", "1 of 2 scores have no nsd"),
        (distances("a", [1.0]) + distances("b", [1.0], tolerance=2.0), "nsd", r"several tolerances \(1 mm, 2 mm\)"),
        (
            distances("a", [1.0]) + distances("b", [1.0], n_counts="groups"),
            "dice",
            r"groups \(patients\) for b and images for a, .* one table: fit all heads with tedm-fit --images",
        ),
    ],
)
def test_scores_that_were_not_measured_alike_are_refused_in_one_line(rows: list[Record], metric: Any, message: str) -> None:
    with pytest.raises(TedmError, match=message) as refused:
        summarise(rows, metric=metric)
    assert "\n" not in str(refused.value)


def named(images: int = 8, **shifts: float) -> list[Record]:
    """Three classes, of which the last is in the first six images alone; the background is called, too."""
    names, rng, rows = {0: "background", 3: "left putamen", 7: "right putamen"}, np.random.default_rng(4), []
    for image, value in np.ndindex(images, 3):
        value = (0, 3, 7)[value]
        absent, base = value == 7 and image >= 6, rng.uniform(0.5, 0.8)
        for method, shift in shifts.items():
            dice = math.nan if absent else base + shift * rng.uniform(0.9, 1.1)
            about = {"class_value": value, "class_name": names[value], "resolution": "volume"}
            rows.append(record(method, f"i{image}", dice, **about))
    return rows


def test_a_table_by_class_is_that_of_each_class_alone_but_for_the_correction() -> None:
    rows = named(tedm=0.1, ledm=0.0, ledme=0.05)
    table = summarise(rows, by_class=True)
    assert [(c.class_value, c.class_name, c.method) for c in table.cells] == [
        (value, name, method)
        for value, name in ((3, "left putamen"), (7, "right putamen"))
        for method in ("ledm", "ledme", "tedm")
    ]
    p_values = {}
    for value in (3, 7):
        alone = summarise([row for row in rows if row.class_value == value])
        for one, other in zip((c for c in table.cells if c.class_value == value), alone.cells, strict=True):
            same = ("method", "mean", "deviation", "images", "left_out", "without_class", "best")
            assert [getattr(one, name) for name in same] == [getattr(other, name) for name in same]
    scores = {
        (row.class_value, row.method): [
            each.dice for each in rows if (each.class_value, each.method) == (row.class_value, row.method)
        ]
        for row in rows
        if row.class_value
    }
    for value in (3, 7):
        for method in ("ledm", "ledme"):
            differences = np.array(scores[value, "tedm"]) - np.array(scores[value, method])
            p_values[value, method] = float(wilcoxon(differences[~np.isnan(differences)]).pvalue)
    strict = summarise(rows, by_class=True, correction="bonferroni")
    for c in strict.cells:
        assert c.family == 4  # two classes x two methods beside the best
        if not c.best:
            assert c.p_value == pytest.approx(min(1, 4 * p_values[c.class_value, c.method]))
    for c, other in zip(table.cells, strict.cells, strict=True):
        assert c.best == other.best
        assert c.best or c.p_value <= other.p_value


def test_classes_stand_under_their_names_with_the_images_that_show_them() -> None:
    rows = named(tedm=0.1, ledm=0.0)
    table = summarise(rows, by_class=True, correction="bonferroni")
    for text in (table.to_text(), table.to_markdown(), table.to_latex()):
        assert "shenzhen, left putamen: Dice × 100" in text.replace(r"$\times$", "×")
        assert "shenzhen, right putamen" in text
        assert "6 of 8 volumes (2 do not show it and are left out; the same volumes for every method)" in text
        assert "Bonferroni-corrected over the 2 comparisons of a domain and n, all classes and methods together" in text
        assert "background" not in text
    assert [(grid.domain, grid.class_value) for grid in table.grids()] == [("shenzhen", 3), ("shenzhen", 7)]
    assert "fewer than 7 volumes cannot show a difference at 0.05 after this correction" in table.to_text()
    together = summarise(rows)
    assert "mean over the classes left putamen, right putamen" in together.to_text()
    assert "shenzhen: 2 of 16 pairs of volume and class do not show the class" in together.to_text()
    assert "Holm-corrected, alpha" in together.to_text()
    assert together.class_names == ("left putamen", "right putamen")
    unnamed = summarise([replace(row, class_name="") for row in rows], by_class=True).to_text()
    assert "shenzhen, class 3: " in unnamed
    assert "by class over the classes 3, 7" in unnamed
    assert "over the 0 comparisons" not in summarise(named(tedm=0.1), by_class=True).to_text()


def test_a_class_of_two_names_and_an_unknown_correction_are_refused() -> None:
    two = [record(class_name="left lung"), record("ledm", class_name="right lung")]
    with pytest.raises(TedmError, match="class 1 is called left lung in some scores and right lung in those of ledm"):
        summarise(two)
    assert summarise([record(), record("ledm", class_name="lung")]).class_names == ("lung",)
    with pytest.raises(TedmError, match="no correction 'fdr'; the corrections are holm, bonferroni, none"):
        summarise([record()], correction="fdr")  # type: ignore[arg-type]
    twice = [record(class_name="left lung")] * 2
    with pytest.raises(TedmError, match="has 2 scores for image a, left lung; keep one"):
        summarise(twice)


def test_a_table_says_when_n_counts_patients() -> None:
    assert "n counts" not in summarise([record()]).to_text()
    assert "n counts groups (patients)" in summarise([record(n_counts="groups")]).to_text()
    assert summarise([record(n_counts="groups")]).n_counts == "groups"


def test_an_unknown_metric_and_a_strange_alpha_are_refused() -> None:
    with pytest.raises(TedmError, match="the metrics are dice, precision, recall, iou"):
        summarise([record()], metric="accuracy")  # type: ignore[arg-type]
    with pytest.raises(TedmError, match="alpha"):
        summarise([record()], alpha=0)


def test_a_table_is_imported_with_numpy_alone() -> None:
    heavy = "{'scipy', 'sklearn', 'torch', 'zarr', 'dask'}"
    code = f"import sys, tedm.heads.evaluation.table; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_without_a_correction_a_table_says_so_and_has_the_p_values_of_the_test() -> None:
    rows = study(a=0.0, b=-0.05, c=-0.1)
    plain, bonferroni = summarise(rows, correction="none"), summarise(rows, correction="bonferroni")
    for one, other in zip(plain.cells, bonferroni.cells, strict=True):
        assert math.isnan(one.p_value) if one.best else min(1.0, 2 * one.p_value) == pytest.approx(other.p_value)
    assert "paired Wilcoxon signed-rank test over images, uncorrected, alpha = 0.05" in plain.notes()[0]
