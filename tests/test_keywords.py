"""A misspelt keyword is named, with the one that was meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tedm
from tedm.errors import TedmError
from tedm.extract import extract
from tedm.heads import fit, method_named


@pytest.mark.parametrize(
    ("function", "word", "said"),
    [
        (fit, "itertions", r"^fit\(\) knows no 'itertions' \(did you mean iterations\?\)$"),
        (tedm.fit_images, "learning_rte", r"fit_images\(\) knows no 'learning_rte' \(did you mean learning_rate\?\)"),
        (tedm.segment, "axes", r"segment\(\) knows no 'axes' \(did you mean axis\?\)"),
        (method_named, "vtoe", r"method_named\(\) knows no 'vtoe' \(did you mean vote\?\)"),
        (extract, "timestep", r"extract\(\) knows no 'timestep' \(did you mean timesteps\?\)"),
        (method_named, "xyz", r"method_named\(\) knows no 'xyz'; it knows name, timesteps"),
    ],
)  # fmt: skip
def test_a_misspelt_keyword_is_refused_with_the_one_that_was_meant(function: Any, word: str, said: str) -> None:
    with pytest.raises(TedmError, match=said):
        function(**{word: 3})


def test_a_misspelt_parameter_of_a_head_is_refused_likewise(extracted: Path) -> None:
    from tedm.store import FeatureStore

    with pytest.raises(TedmError, match=r"mlp heads know no 'itertions' \(did you mean iterations\?\)"):
        fit(FeatureStore.open(extracted), method_named("tedm", timesteps=(1,)), params={"itertions": 3})
