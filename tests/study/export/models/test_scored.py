"""The scores of a card are those of the evaluation, for this head and no other."""

from __future__ import annotations

import dataclasses

import pytest

from tedm.errors import TedmError
from tedm.heads import load_head, read_records
from tedm.study.export.models.scored import scores_of


def test_a_score_is_the_mean_over_images_of_a_domain(fitted, scored):
    scores = scores_of(load_head(fitted), scored)
    assert [(score.domain, score.metric) for score in scores] == [
        ("here", "dice"),
        ("there", "dice"),
        ("here", "iou"),
        ("there", "iou"),
    ]
    rows = [row for row in read_records(scored / "records.csv") if row.domain == "there" and row.class_value == 255]
    assert scores[1].mean == pytest.approx(sum(row.dice for row in rows) / len(rows))
    assert (scores[1].images, scores[1].groups, scores[1].classes, scores[1].split) == (2, 2, ("class 255",), "test")
    assert [score.deviation is None for score in scores] == [True, False, True, False]  # of one image there is none


def test_scores_of_other_heads_are_refused_with_those_that_are_there(evaluated, fitted):
    with pytest.raises(TedmError) as refusal:
        scores_of(load_head(fitted), evaluated / "evaluation")
    assert "evaluation has no scores of this head, tedm (n = 4, seed 0) by its own vote; it has those of" in str(refusal.value)
    assert "timestep:1 (n = 1, seed 0)" in str(refusal.value)


def test_the_scores_of_its_own_training_size_are_taken(evaluated):
    one, four = (scores_of(load_head(evaluated / f"timestep50-{n}"), evaluated / "evaluation") for n in (1, 4))
    assert [score.mean for score in one] != [score.mean for score in four]


def test_a_head_that_votes_otherwise_is_another(fitted, scored):
    head = load_head(fitted)
    with pytest.raises(TedmError, match="no scores of this head"):
        scores_of(dataclasses.replace(head, method=dataclasses.replace(head.method, vote="hard")), scored)


def test_a_folder_that_is_no_evaluation_is_refused(fitted, tmp_path):
    with pytest.raises(TedmError, match="nothing"):
        scores_of(load_head(fitted), tmp_path / "nothing")
