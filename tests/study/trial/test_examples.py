"""Examples of a study's file can be followed, and explain every part of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tedm.errors import TedmError
from tedm.study import read_study
from tedm.study.trial import EXAMPLES, example
from tedm.study.trial.run import require_before


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_a_study(name: str, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(example(name))
    study = read_study(tmp_path / "study.toml")
    assert study.features.checkpoint is not None
    assert {"tedm", "ledm", "ledme"} <= {method.label for method in study.methods}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_can_be_done_with_the_real_images(name: str, shared: Path, tmp_path: Path) -> None:
    for folder in ("data", "checkpoints"):
        (tmp_path / folder).symlink_to(shared / folder)
    (tmp_path / "study.toml").write_text(example(name))
    assert require_before(read_study(tmp_path / "study.toml"), tmp_path / "out")


def test_there_are_no_other_examples() -> None:
    with pytest.raises(TedmError, match="there is no example 'xray'; choose one of cxr, brain"):
        example("xray")
