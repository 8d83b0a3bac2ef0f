"""tedm-study: methods, training sizes and domains compared, from one file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from tedm.cli.shared import options, places
from tedm.cli.shared.running import Command, plain_errors, progress, say
from tedm.text import counted


def _print_example(context: click.Context, _: click.Parameter, name: str | None) -> None:
    if name is not None and not context.resilient_parsing:
        from tedm.study.trial import example

        click.echo(example(name), nl=False)
        context.exit()


@click.command(cls=Command)
@click.argument("study", type=options.PATH)
@click.argument("out", type=options.PATH)
@click.option(
    "--example",
    type=click.Choice(["cxr", "brain"]),
    default=None,
    is_eager=True,
    expose_value=False,
    callback=_print_example,
    help="Print a study's file with every word explained, of chest X-rays or of brain MRI in 3D, and do nothing else.",
)
@click.option(
    "--dry-run", is_flag=True, help="Tell how many fits there are, what is done, and what time and disk the rest takes."
)
@click.option("--shard", type=options.Shard(), default=None, help="Do one of n disjoint parts of the units, 0/n to n-1/n.")
@click.option("--only", multiple=True, metavar="METHOD", help="Do the units of this method; may be given again. Default: all.")
@click.option("--threads", type=int, default=None, help="Threads on a CPU. Default: all cores of the process.")
@options.MEMORY
@options.SCHEDULER
@options.DEVICE
@options.VERSION
@plain_errors
def main(
    study: Path,
    out: Path,
    dry_run: bool,
    shard: tuple[int, int] | None,
    only: tuple[str, ...],
    threads: int | None,
    memory: int | None,
    scheduler: str | None,
    device: Literal["auto", "cpu", "cuda"],
) -> None:
    """Extract, fit and score what the file STUDY asks for, in the folder OUT, and put all together in tables.

    Each fit with its scores is a unit that is done or absent: a run that was stopped goes on when the same command is run
    again, shards run anywhere without knowing of each other, and a method, a size or a seed that is added to STUDY later costs
    its own units alone.
    """
    from tedm.heads import connect
    from tedm.study.trial import estimate_study, read_study, run_study

    places.require_order("study", study, out, is_read=Path.is_file)
    asked = read_study(study)
    if dry_run:
        click.echo("\n".join(estimate_study(asked, out, shard=shard, only=only, log=say).lines))
        return
    with connect(scheduler) as workers:
        outcome = run_study(
            asked,
            out,
            shard=shard,
            only=only,
            device=device,
            threads=threads,
            memory=memory,
            workers=workers,
            progress=progress,
            log=say,
        )
    done = f"{counted(outcome.done, 'unit')} done now"
    if outcome.results is None:
        click.echo(f"{out}: {done}, {outcome.missing} missing (of other shards or methods): no tables yet")
        return
    click.echo(outcome.results.table.to_text())
    for line in outcome.paper:
        say(line)
    click.echo(f"{out}: {done}; report.html, paper/, records.csv, costs.csv, tables/")


if __name__ == "__main__":
    main()
