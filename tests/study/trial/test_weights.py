"""Weights that methods start from: there, of the right kind, and only where they are taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from trial_study import of_store, write_study

from tedm.errors import TedmError
from tedm.heads import METHODS
from tedm.study import read_study
from tedm.study.trial.weights import require_weights, weights_of

STARTING = [name for name, method in METHODS.items() if method.settings.get("start") is not None]


def asked(folder: Path, method: str, *lines: str):
    methods = "\n".join(["[[methods]]", f'method = "{method}"', *lines]) + "\n"
    study = read_study(write_study(folder, of_store(Path("/nowhere")), methods=methods))
    return study, study.methods[0]


def test_a_method_that_starts_from_none_has_none_and_refuses_some(tmp_path: Path) -> None:
    study, method = asked(tmp_path, "tedm")
    require_weights(study, method)
    assert weights_of(study, method) is None
    with pytest.raises(TedmError, match="it starts from none; leave it out"):
        require_weights(*asked(tmp_path, "tedm", 'checkpoint = "weights.pt"'))


@pytest.mark.parametrize("method", STARTING)
def test_a_method_without_its_weights_is_refused(method: str, tmp_path: Path) -> None:
    with pytest.raises(TedmError, match="name their file with checkpoint"):
        require_weights(*asked(tmp_path, method))
    with pytest.raises(TedmError, match="nothing.pt does not exist"):
        require_weights(*asked(tmp_path, method, 'checkpoint = "nothing.pt"'))
