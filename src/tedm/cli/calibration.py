"""What `tedm-evaluate --calibration FOLDER` writes and says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tedm.heads import HeadReliability


def write_calibration(found: Sequence[HeadReliability], folder: Path) -> list[str]:
    """Write ece.csv, reliability.csv and reliability.png, and return a line for each head and domain."""
    from tedm.heads import write_reliability
    from tedm.show import reliability_figure, save

    write_reliability(found, folder)
    diagrams, lines = {}, []
    for one in found:
        stages = {
            stage if stage == "before" else f"after, T = {temperature:.3g}": counts.bins()
            for stage, temperature, counts in one.stages()
        }
        title = f"{one.head}, {one.domain or 'no domain'}"
        diagrams[title] = stages if one.after is not None else {"no temperature": one.before.bins()}
        after = "" if one.after is None else f", after temperature {one.temperature:.3g}: {one.after.ece:.4f}"
        lines.append(f"{title}: expected calibration error {one.before.ece:.4f}{after}")
    save(reliability_figure(diagrams), folder / "reliability.png", dpi=100)
    return lines
