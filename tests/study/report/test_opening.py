"""The first paragraphs of a report, on records whose outcome is known."""

from __future__ import annotations

from dataclasses import replace
from math import nan

from clinician_records import rows, spread

from tedm.heads import Record
from tedm.study.report.measured import measured
from tedm.study.report.opening import opening


def said(records: list[Record], *, calibrated: bool | None = None) -> tuple[str, str, str]:
    compared, came_out, what_next = opening(measured(records, "leave-out"), calibrated=calibrated)
    assert [compared[0], came_out[0], what_next[0]] == ["What was compared", "What came out", "What to do next"]
    return compared[1], came_out[1], what_next[1]


def test_one_method_is_no_winner() -> None:
    compared, came_out, what_next = said(rows("tedm", spread(0.8)))
    assert compared.startswith(
        "One method was tested, tedm. It learned from 6 labelled images and was tested on 8 images. The score is Dice × 100, "
    )
    assert came_out.startswith("With 6 labelled images, tedm reaches 80.0 (95 % interval 7")
    assert "best" not in came_out
    assert what_next.startswith("Add a second method")
    assert "only n = 6 was" in what_next


def test_a_clear_winner_is_called_the_best_with_its_distance() -> None:
    records = [*rows("tedm", spread(0.8)), *rows("ledm", spread(0.7)), *rows("unet", spread(0.5))]
    compared, came_out, _ = said(records)
    assert compared.startswith("3 methods were compared: ledm, tedm and unet. Each learned from 6 labelled images")
    assert "tedm is best with 80.0 (95 % interval " in came_out
    assert "), 10.0 above the next, ledm (70.0): more than chance explains (p < 0.05)." in came_out
    assert "small, but" not in came_out


def test_a_small_difference_that_is_sure_is_called_small() -> None:
    _, came_out, _ = said([*rows("tedm", spread(0.8)), *rows("ledm", spread(0.795))])
    assert "0.5 above the next, ledm (79.5): small, but more than chance explains" in came_out


def test_two_equal_methods_have_no_order() -> None:
    _, came_out, _ = said([*rows("tedm", spread(0.8)), *rows("ledm", spread(0.8)), *rows("unet", spread(0.5))])
    assert "ledm and tedm have the same score, 80.0 (95 % interval" in came_out
    assert came_out.count("is best") == 0
    assert "; by the test unet (50.0) is lower." in came_out


def test_many_that_are_lower_are_counted() -> None:
    noisy = [value + 0.02 * (-1) ** at for at, value in enumerate(spread(0.799))]
    lower = [row for at in range(3) for row in rows(f"m{at}", spread(0.3))]
    _, came_out, _ = said([*rows("tedm", spread(0.8)), *rows("ledm", noisy), *lower])
    assert "but cannot be told apart from ledm (79.9); by the test the other 3 are lower." in came_out


def test_what_the_test_cannot_tell_apart_the_words_do_not_rank() -> None:
    other = [value + 0.02 * (-1) ** at for at, value in enumerate(spread(0.799))]
    _, came_out, _ = said([*rows("tedm", spread(0.8)), *rows("ledm", other)])
    assert "tedm has the highest score, 80.0 (95 % interval" in came_out
    assert "but cannot be told apart from ledm (79.9)." in came_out


def test_few_images_can_show_no_difference() -> None:
    _, came_out, _ = said([*rows("tedm", spread(0.8, 3)), *rows("ledm", spread(0.5, 3))])
    assert "cannot be told apart from ledm (50.0): 3 images can show no difference." in came_out


def test_one_image_has_no_interval_and_half_of_the_images_are_the_worst_at_most() -> None:
    _, came_out, what_next = said(rows("tedm", [0.8]))
    assert "With 6 labelled images, tedm reaches 80.0." in came_out
    assert "worst" not in what_next
    assert "Look at the worst image first, scan 1 (50.0): is the truth right there" in said(rows("tedm", [0.8, 0.5, 0.7]))[2]


def test_domains_with_different_winners_have_none_for_all() -> None:
    records = [
        *rows("tedm", spread(0.8), domain="a"),
        *rows("ledm", spread(0.6), domain="a"),
        *rows("tedm", spread(0.5), domain="b"),
        *rows("ledm", spread(0.7), domain="b"),
    ]
    compared, came_out, what_next = said(records)
    assert "tested on 16 images from 2 domains (8 in a and 8 in b)" in compared
    assert came_out.startswith(
        "With 6 labelled images, no method has the highest score everywhere: tedm in a; ledm in b. In a, "
    )
    assert "In b, ledm is best with 70.0" in came_out
    assert "Label a few images of b: scores there are 10.0 below those of a." in what_next
    assert "Look at the worst images first, b scan 0 (b, 66.5), b scan 1 (b, 67.5) and b scan 2 (b, 68.5)" in what_next


def test_one_winner_everywhere_is_said_in_one_sentence() -> None:
    records = [row for d in "ab" for m, mean in (("tedm", 0.8), ("ledm", 0.6)) for row in rows(m, spread(mean), domain=d)]
    assert said(records)[1].startswith("With 6 labelled images, the best in both domains is tedm. In a, tedm is best")
    even = [row for d in "ab" for m in ("tedm", "ledm") for row in rows(m, spread(0.8), domain=d)]
    assert said(even)[1].startswith(
        "With 6 labelled images, the highest score in both domains is that of ledm, clearly so in none of them."
    )


def test_one_training_a_size_is_said_and_several_are_not() -> None:
    once = [*rows("tedm", spread(0.8)), *rows("ledm", spread(0.6))]
    twice = [*once, *rows("tedm", spread(0.81), seed=1), *rows("ledm", spread(0.61), seed=1)]
    alone = "Each was trained once at each size: how much the choice of labelled images matters is not known."
    assert alone in said(once)[1]
    assert "trained once" not in said(twice)[1]


def test_several_sizes_say_whether_more_labels_helped() -> None:
    records = [row for n, mean in ((1, 0.5), (3, 0.7), (6, 0.8)) for row in rows("tedm", spread(mean), n=n)]
    records += [row for n, mean in ((1, 0.55), (3, 0.6), (6, 0.65)) for row in rows("ledm", spread(mean), n=n)]
    compared, came_out, what_next = said(records)
    assert "Each learned from 1, 3 or 6 labelled images" in compared
    assert came_out.startswith("With 6 labelled images, tedm is best with 80.0")
    assert "With 1 labelled image, the highest: ledm (55.0)." in came_out
    assert "Label more: from 3 to 6 labelled images the score rose (+10.0 for tedm)." in what_next
    flat = [row for n, mean in ((3, 0.8), (6, 0.801)) for row in rows("tedm", spread(mean), n=n)]
    assert "promise little: from 3 to 6 labelled images the score changed by +0.1 for tedm." in said(flat)[2]


def test_the_size_that_most_methods_have_is_the_one_that_is_compared() -> None:
    records = [*rows("tedm", spread(0.8)), *rows("ledm", spread(0.6)), *rows("tedm", spread(0.9), n=100)]
    assert said(records)[1].startswith("With 6 labelled images, tedm is best")


def test_patients_are_counted_and_their_images_are_not_independent() -> None:
    patients = [f"p{at // 2}" for at in range(8)]
    records = [
        row for m, mean in (("tedm", 0.8), ("ledm", 0.6)) for row in rows(m, spread(mean), patients=patients, n_counts="groups")
    ]
    compared, came_out, _ = said(records)
    assert "Each learned from 6 labelled patients and was tested on 8 images of 4 groups (patients)." in compared
    assert "The test counts the images of one patient singly, and so is surer than it should be." in came_out


def test_classes_have_their_names_and_the_weakest_is_named() -> None:
    classes = {1: "lung", 2: ""}
    records = [
        replace(row, dice=row.dice - 0.3) if row.class_value == 2 else row
        for m, mean in (("tedm", 0.8), ("ledm", 0.6))
        for row in rows(m, spread(mean), classes=classes)
    ]
    compared, _, what_next = said(records)
    assert "averaged over lung and class 2: 100 is perfect" in compared
    assert "The weakest class is class 2 (50.0, against 80.0 of lung)" in what_next


def test_labels_that_settings_were_chosen_on_are_told() -> None:
    records = [*rows("tedm", spread(0.8)), *rows("ledm", spread(0.6), labels_used=31)]
    assert "To choose its settings, ledm looked at more labels, 31 at most." in said(records)[0]


def test_what_was_missed_altogether_is_counted() -> None:
    missed = [
        replace(row, precision=nan) if row.image == "scan 0" and row.class_value else row for row in rows("a", spread(0.8))
    ]
    assert "Once nothing was drawn of a class that is there" in said(missed)[2]


def test_calibration_is_advised_where_it_was_not_done() -> None:
    records = rows("tedm", spread(0.8))
    assert "calibrate the chosen head (tedm-fit --calibrate)" in said(records, calibrated=False)[2]
    assert "calibrate" not in said(records, calibrated=True)[2]
    assert "calibrate" not in said(records)[2]


def test_without_a_score_nothing_is_claimed() -> None:
    _, came_out, what_next = said(rows("tedm", [nan, nan]))
    assert came_out.startswith("With 6 labelled images, no image has a score.")
    assert what_next.startswith("Score images whose truth shows a class")


def test_many_methods_of_a_kind_are_named_together() -> None:
    records = [row for t in (1, 10, 50, 200) for row in rows(f"timestep:{t}", spread(0.5 + t / 1000))]
    records += rows("tedm", spread(0.8))
    assert said(records)[0].startswith("5 methods were compared: tedm and the 4 methods timestep:1 to timestep:200.")
