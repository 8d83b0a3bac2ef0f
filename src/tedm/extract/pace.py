"""How fast an extraction goes, when it will be done, and who waits for whom."""

from __future__ import annotations

from tedm.extract.stages import Waited
from tedm.text import duration


def pace(done: int, left: int, seconds: float, waited: Waited) -> str:
    """Return a remark for the progress line.

    Parameters
    ----------
    done, left : int
        Images of this run.
    seconds : float
        Since it began to read the first image.
    waited : Waited
        What the device has waited.

    Examples
    --------
    >>> pace(90, 10, 100.0, Waited(for_images=0.2, for_disk=30.0))
    '0.90 images/s, 11 s left, the device waits for the disk 30 % of the time'
    """
    rate = done / max(seconds, 1e-9)
    text = f"{_three_digits(rate)} images/s, {duration(left / rate)} left" if left else f"{_three_digits(rate)} images/s"
    longest, whom = max((waited.for_images, "images"), (waited.for_disk, "the disk"))
    share = round(100 * longest / max(seconds, 1e-9))
    return (
        f"{text}, the device waits for {whom} {share} % of the time" if share >= 5 else f"{text}, the disk waits for the device"
    )


def _three_digits(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.1f}" if rate >= 10 else f"{rate:.2f}"
