"""Every rendering prints the same cells, with all that a reader must know of them."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import numpy as np

from tedm.heads.evaluation.records import Record
from tedm.heads.evaluation.render import images_in_words
from tedm.heads.evaluation.table import summarise


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


def test_all_renderings_print_the_same_cells() -> None:
    table = summarise(study(tedm=0.1, ledm_2=0.0))
    numbers = {f"{c.mean:.1f}" for c in table.cells}
    for rendering in (table.to_text(), table.to_markdown(), table.to_latex()):
        assert all(number in rendering for number in numbers)
    rows = list(csv.DictReader(io.StringIO(table.to_csv())))
    assert [(row["method"], float(row["mean"])) for row in rows] == [(c.method, c.mean) for c in table.cells]
    assert {row["resolution"] for row in rows} == {"feature"}


def test_grids_hold_what_the_text_shows() -> None:
    table = summarise([*study(tedm=0.1, ledm=0.0), record("probe *", "z", n=9)])
    for grid, block in zip(table.grids(), table.to_text().split("\n\n"), strict=False):
        assert block.startswith(grid.caption)
        lines = [line for line in block.splitlines()[4:] if "─" not in line]
        assert block.splitlines()[2].split() == " ".join(grid.titles).split()
        for row, line in zip(grid.rows, lines, strict=True):
            assert " ".join(f"{text} *" if marked else text for text, marked in row) == " ".join(line.split())
    assert {grid.domain for grid in table.grids()} == {"shenzhen", "montgomery"}
    assert table.to_text().endswith("\n".join(table.notes("*")) + "\n")


def test_text_columns_are_aligned() -> None:
    table = summarise(study(tedm=0.1, ledm=-0.45))
    block = table.to_text().split("\n\n")[0].splitlines()[2:]
    assert len({line.index("±") for line in block if "±" in line}) == 1
    assert len({line.rindex("±") for line in block if "±" in line}) == 1


def test_the_note_states_labels_seeds_resolution_and_the_convention_for_empty_truths() -> None:
    note = summarise(study(tedm=0.1, ledm=0.0)).to_text()
    assert "labels used, val included: 3 (n = 1), 5 (n = 3)" in note
    assert "scored at feature resolution" in note
    assert "2 seeds" in note
    assert "no score of a class that its truth does not show" in note
    assert "(empty truth: leave-out)" in note
    assert "Wilcoxon" in note


def test_methods_with_other_labels_are_named() -> None:
    rows = [record("tedm", labels_used=1), record("ledm", labels_used=13)]
    assert "13 by ledm, 1 by tedm (n = 1)" in summarise(rows).to_text()


def test_latex_escapes_names() -> None:
    rendering = summarise([record("a_b & 50% #1", domain="x_y{z}")]).to_latex()
    assert r"a\_b \& 50\% \#1" in rendering
    assert r"x\_y\{z\}" in rendering
    assert "\\toprule" in rendering


def test_slices_of_one_patient_are_said_to_be_dependent() -> None:
    rows = [record(image=name, group="p") for name in "ab"]
    assert "as if they were independent" in summarise(rows).to_text()
    assert "as if they were independent" not in summarise([record(image=name) for name in "ab"]).to_text()


def test_what_is_left_out_is_counted_by_its_reason() -> None:
    assert images_in_words(12, 0, 0, 0, "leave-out") == "12 images"
    assert images_in_words(1, 0, 0, 0, "leave-out") == "1 image"
    left_out = "1 lacks a score of some method, 2 have no score and are left out; the same images for every method"
    assert images_in_words(9, 3, 0, 1, "leave-out") == f"9 of 12 images ({left_out})"
    assert (
        images_in_words(3, 0, 1, 0, "count")
        == "3 images (1 shows no class and counts 1 where nothing is predicted, 0 otherwise)"
    )
