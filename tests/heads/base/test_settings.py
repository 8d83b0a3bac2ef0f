"""What the settings of several kinds of heads must be."""

from __future__ import annotations

import pytest

from tedm.errors import TedmError
from tedm.heads.base.settings import require_rate


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_learning_rate_that_makes_no_fit_is_refused(rate: float) -> None:
    with pytest.raises(TedmError, match=f"the learning rate is {rate}; it must be above 0"):
        require_rate(rate)
    require_rate(1e-9)
