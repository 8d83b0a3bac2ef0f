"""What cannot be a normalisation is said."""

from __future__ import annotations

import pytest

from tedm.store.volumes.normalisation import Normalisation

ZSCORE = {"means": (1.0, 2.0), "deviations": (1.0, 3.0), "patients": ("a",)}


def test_sound_ones_have_no_problem_and_say_what_they_are():
    assert list(Normalisation("quantile", "mask").problems(1)) == []
    assert list(Normalisation("zscore", **ZSCORE).problems(2)) == []
    assert str(Normalisation("quantile", "mask")) == "quantiles 0.01 and 0.99 in the brain mask"
    assert "over 1 training patients" in str(Normalisation("zscore", **ZSCORE))


@pytest.mark.parametrize(
    ("normalisation", "said"),
    [
        (Normalisation("quantile", low=0.5, high=0.5), "quantiles"),
        (Normalisation("quantile", reach=0.0), "reaches"),
        (Normalisation("zscore"), "0 means"),
        (Normalisation("zscore", means=(1.0, float("nan")), deviations=(1.0, 1.0)), "finite"),
        (Normalisation("zscore", means=(1.0, 1.0), deviations=(1.0, 0.0)), "above 0"),
    ],
)
def test_others_are_refused_with_what_is_wrong(normalisation, said):
    assert said in " ".join(normalisation.problems(2))
