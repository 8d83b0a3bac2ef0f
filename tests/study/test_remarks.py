"""What is said where features or votes are others than those of a fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tedm.heads import Calibration, load_head
from tedm.store import FeatureStore
from tedm.study import differences_from_store, remarks_on_votes


def test_each_difference_is_said_once_however_many_heads_share_it(extracted: Path, fitted: Path) -> None:
    head, store = load_head(fitted), FeatureStore.open(extracted)
    assert differences_from_store(store, [head]) == []
    other = replace(head, arithmetic=replace(head.arithmetic, precision="bfloat16"))
    said = differences_from_store(store, [head, other, other])
    assert said == ["note: precision: the head's store has bfloat16, these features has float32"]


def test_a_temperature_of_another_vote_is_said_under_the_heads_name(fitted: Path) -> None:
    head = load_head(fitted)
    warm = replace(head, calibration=Calibration(1.5, "soft", (1, 50)))
    assert remarks_on_votes({"plain": head, "warm": warm}) == []
    said = remarks_on_votes({"plain": head, "warm": warm}, "hard")
    assert said == [
        "note: warm: the temperature 1.5 is not applied: it was fitted for the soft vote, and this is the hard vote"
    ]


def test_timesteps_that_a_head_never_saw_are_said(fitted: Path) -> None:
    head = load_head(fitted)
    learned = ", ".join(map(str, head.method.timesteps))
    assert remarks_on_votes({"plain": head}, timesteps=head.method.timesteps[:1]) == []
    assert remarks_on_votes({"plain": head}, timesteps=(1, 7, 9)) == [
        f"note: plain: it learned at the timesteps {learned} and is asked at 7, 9"
    ]
