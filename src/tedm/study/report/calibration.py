"""How sure heads are and how often right, as a folder: two tables and a diagram."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tedm.heads import HeadReliability, write_reliability


def write_calibration(measured: Sequence[HeadReliability], folder: Path) -> None:
    """Write ece.csv, reliability.csv and reliability.png.

    Parameters
    ----------
    measured : sequence of HeadReliability
        What `tedm.heads.reliability` gave.
    folder : Path
        Made if it is not there.

    Raises
    ------
    TedmError
        If they cannot be written.
    """
    from tedm.show import reliability_figure, save  # with Matplotlib, half a second

    write_reliability(measured, folder)
    diagrams = {}
    for one in measured:
        stages = {
            stage if stage == "before" else f"after, T = {temperature:.3g}": counts.bins()
            for stage, temperature, counts in one.stages()
        }
        diagrams[_title(one)] = stages if one.after is not None else {"no temperature": one.before.bins()}
    save(reliability_figure(diagrams), folder / "reliability.png", dpi=100)


def calibration_lines(measured: Sequence[HeadReliability]) -> list[str]:
    """Return a line for each head and domain with its expected calibration error, before and after its temperature."""
    lines = []
    for one in measured:
        after = "" if one.after is None else f", after temperature {one.temperature:.3g}: {one.after.ece:.4f}"
        lines.append(f"{_title(one)}: expected calibration error {one.before.ece:.4f}{after}")
    return lines


def _title(one: HeadReliability) -> str:
    return f"{one.head}, {one.domain or 'no domain'}"
