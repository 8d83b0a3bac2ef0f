"""The folder that a committee's fit goes on from belongs to its parts and to no others."""

from __future__ import annotations

import pytest

from tedm.errors import TedmError
from tedm.heads.committee.parts import Part
from tedm.heads.committee.states import PARTS, States

PAIR = (Part("one", "mlp", (1,), "share", settings={"hidden": (4, 2)}), Part("two", "logistic", (50,), "share"))


def test_a_folder_is_made_once_and_known_again(tmp_path):
    states = States(tmp_path / "fit.state", PAIR)
    paths = [states.of(index) for index in range(2)]
    assert len({path.name for path in paths}) == 2
    assert {path.parent for path in paths} == {tmp_path / "fit.state"}
    before = (tmp_path / "fit.state" / PARTS).read_bytes()
    assert [States(tmp_path / "fit.state", PAIR).of(index) for index in range(2)] == paths
    assert (tmp_path / "fit.state" / PARTS).read_bytes() == before


def test_a_folder_that_was_made_and_no_more_is_taken(tmp_path):
    (tmp_path / "fit.state").mkdir()  # by a run that was killed there
    States(tmp_path / "fit.state", PAIR)
    assert (tmp_path / "fit.state" / PARTS).exists()


def test_what_is_of_another_fit_or_damaged_or_cannot_be_is_refused(tmp_path):
    path = tmp_path / "fit.state"
    States(path, PAIR)
    with pytest.raises(TedmError, match=r"is of another fit \(parts differ\); delete it to start again$"):
        States(path, PAIR[::-1])
    (path / PARTS).write_bytes(b"\xff")
    with pytest.raises(TedmError, match=r"the checkpoint .* is damaged \(.*\); delete it to start again$"):
        States(path, PAIR)
    (tmp_path / "file").write_text("")
    with pytest.raises(TedmError, match=r"of another fit \(a committee's is a folder, not a file\); delete it"):
        States(tmp_path / "file", PAIR)
    with pytest.raises(TedmError, match="cannot write the checkpoint .*: there is no folder"):
        States(tmp_path / "nowhere" / "fit.state", PAIR)
