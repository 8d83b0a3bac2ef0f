"""tedm-demo: the main job on real input, with nothing to download."""

from __future__ import annotations

import time
from pathlib import Path

import click

from tedm.cli.shared import options
from tedm.cli.shared.running import Command, command_line, plain_errors, progress, say


@click.command(cls=Command)
@click.argument("out_folder", type=options.PATH, default="demo-out")
@options.VERSION
@plain_errors
def main(out_folder: Path) -> None:
    """Extract, fit, vote, score and draw on slices of a brain template, and write everything to OUT_FOLDER (demo-out).

    Needs the extra: pip install 'tedm[demo]'. Takes up to three minutes on two cores.
    """
    from tedm.study.demo.run import CAUTION, run_demo, won

    started = time.monotonic()
    table = run_demo(out_folder, command=command_line("tedm-demo"), progress=progress, log=say)
    click.echo(table.to_text())
    click.echo(CAUTION)
    click.echo(won(table))
    made = "report.html, overlays.png, table.md, records.csv, evaluation/, heads/, store/"
    click.echo(f"{out_folder}: {made} in {time.monotonic() - started:.0f} s; open {out_folder / 'report.html'} in a browser")


def __getattr__(name: str) -> object:
    """Return what was here before and is in `tedm.study.demo` now."""
    if not name.startswith("template_"):
        raise AttributeError(f"module {__name__} has no attribute {name}")
    import tedm.study.demo

    return getattr(tedm.study.demo, name)


if __name__ == "__main__":
    main()
