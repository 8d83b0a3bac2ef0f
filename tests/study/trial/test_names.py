"""Names of folders: safe everywhere, and one for each method."""

from __future__ import annotations

import pytest

from tedm.errors import TedmError
from tedm.names import problem_of
from tedm.study.trial.names import folder_name, require_apart


@pytest.mark.parametrize("label", ["tedm", "timestep:50", "a/b", "..\\x", "tedm, long", "=1+1", "größer", "con x"])
def test_a_folder_has_a_safe_name(label: str) -> None:
    name = folder_name(label)
    assert problem_of(name) is None
    assert not name.startswith(("-", "."))
    assert not set(name) & set('/\\:*?"<>| ')


@pytest.mark.parametrize("label", ["...", "///", "nul"])
def test_a_label_of_which_nothing_is_left_is_refused(label: str) -> None:
    with pytest.raises(TedmError, match="give another one with name"):
        folder_name(label)


def test_methods_of_one_name_or_one_folder_are_told() -> None:
    assert list(require_apart(["tedm", "ledm", "timestep:1"])) == []
    assert list(require_apart(["tedm", "tedm", "timestep:1", "Timestep 1"])) == [
        "two methods are called tedm; give one of them a name of its own",
        "the methods timestep:1 and Timestep 1 would have one folder; give one of them another name",
    ]
