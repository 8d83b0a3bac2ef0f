"""What came of a fit, as it is kept with a head."""

from __future__ import annotations

import pytest

from tedm.heads.base.head import Capabilities, FitReport


def fall(curve):
    """Of a fit whose training losses were these."""
    return FitReport(loss_curve=tuple(curve)).fall


def test_the_fall_of_a_loss_is_that_of_its_last_tenth():
    assert fall([9.0] * 80 + [4.0] * 10 + [3.0] * 10) == pytest.approx(0.25)
    assert fall([9.0] * 16 + [2.0, 4.0, 3.0, 6.0]) == pytest.approx(-0.5)
    assert fall([2.0, 1.0]) == pytest.approx(0.5)
    assert fall([2.0]) == 0
    assert fall([5.0] * 100) == 0
    assert FitReport().fall is None


def test_a_voter_that_sees_or_tells_no_draws_has_one_opinion():
    assert Capabilities({}).voting_draws(3) == 3
    assert Capabilities({}, looks_at_images=True).voting_draws(3) == 1
    assert Capabilities({}, parts=True).voting_draws(3) == 1
