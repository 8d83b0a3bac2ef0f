"""One exception for everything that a user can act on; its text is complete."""

from __future__ import annotations

import pickle

import pytest

from tedm.errors import TedmError, raise_listed


def test_all_problems_are_said_at_once_and_those_beyond_twenty_are_counted():
    with pytest.raises(TedmError) as caught:
        raise_listed("cannot read", [f"image {number}: gone" for number in range(25)])
    lines = str(caught.value).splitlines()
    assert lines[0] == "cannot read:"
    assert lines[1] == "  image 0: gone"
    assert lines[-1] == "  and 5 more"
    assert len(lines) == 22


def test_no_problem_is_no_error():
    raise_listed("cannot read", [])


def test_a_refusal_reaches_those_who_asked_another_process():
    assert str(pickle.loads(pickle.dumps(TedmError("what, where, what to do")))) == "what, where, what to do"
    assert issubclass(TedmError, ValueError)  # what scikit-learn expects of a bad argument
