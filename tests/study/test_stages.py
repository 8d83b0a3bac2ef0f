"""What a study says while it goes on, where nobody listens."""

from __future__ import annotations

from tedm.study.stages import mute, silent


def test_nothing_is_shown_and_nothing_said(capsys) -> None:
    with silent("fitting") as show:
        show(1, 2)
        show(2, 2, "a remark")
    mute("a remark")
    assert capsys.readouterr() == ("", "")
