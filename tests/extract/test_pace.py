"""What the progress line says."""

from __future__ import annotations

import pytest

from tedm.extract.pace import pace
from tedm.extract.stages import Waited


def test_the_pace_says_who_waits_for_whom():
    assert pace(5, 5, 10.0, Waited()) == "0.50 images/s, 10 s left, the disk waits for the device"
    assert "device waits for images 40 %" in pace(5, 5, 10.0, Waited(for_images=4.0, for_disk=1.0))
    assert pace(10, 0, 10.0, Waited()).startswith("1.00 images/s, the disk")


@pytest.mark.parametrize(("done", "rate"), [(5, "0.50"), (123, "12.3"), (4567, "457")])
def test_a_rate_has_three_digits(done, rate):
    assert pace(done, 1, 10.0, Waited()).startswith(f"{rate} images/s, ")
