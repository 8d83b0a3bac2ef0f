"""What a study found, put together from its units: records, tables and costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tedm.errors import TedmError
from tedm.files import make_folder, write_table, write_whole
from tedm.heads import Record, Table, read_records, summarise, write_records
from tedm.study.trial.spec import Study
from tedm.study.trial.units import Unit, cost_of, units_of
from tedm.text import counted, natural

# What a unit may have scores of: single images, votes of single timesteps, whole volumes.
RECORDS, VOTING, VOLUMES = "records.csv", "voting.csv", "volumes.csv"
REMEDY = "make room, and run the same command again"


@dataclass(frozen=True)
class Results:
    """What a study found.

    Parameters
    ----------
    records : tuple of Record
        Of every unit, image and class, at feature resolution.
    voting : tuple of Record
        Of heads that vote with several timesteps, with each of them alone: "tedm@50".
    volumes : tuple of Record
        Of whole volumes.
    table : Table
        Of the records.
    """

    records: tuple[Record, ...]
    voting: tuple[Record, ...]
    volumes: tuple[Record, ...]
    table: Table


def assemble(study: Study, out: Path) -> Results:
    """Put the scores of all units together, and write records.csv, voting.csv, volumes.csv, costs.csv and tables/.

    Parameters
    ----------
    study : Study
    out : Path
        The study's folder.

    Raises
    ------
    TedmError
        If a unit is missing, or a file cannot be read or written.
    """
    units = sorted(units_of(study, out), key=lambda unit: (natural(unit.method.label), unit.n, unit.seed))
    missing = [unit for unit in units if not unit.done]
    if missing:
        raise TedmError(f"{counted(len(missing), 'unit')} of {len(units)} missing ({missing[0]} say); run tedm-study again")
    records, voting, volumes = (_all(units, file) for file in (RECORDS, VOTING, VOLUMES))
    write_records(records, out / RECORDS)
    table = _tables(study, out, "records", records)
    voters = {record.method.partition("@")[0] for record in voting}
    for name, file, found in (("voting", VOTING, voting), ("volumes", VOLUMES, volumes)):
        if found:
            write_records(found, out / file)
            together = [record for record in records if record.method in voters] if name == "voting" else []
            _tables(study, out, name, [*together, *found])
    rows: list[list[object]] = [["method", "n", "seed", "fit_seconds", "score_seconds", "iterations"]]
    for unit in units:
        cost = cost_of(unit)
        known = ["" if value is None else value for value in (cost.fit, cost.score, cost.iterations)]
        rows.append([unit.method.label, unit.n, unit.seed, *known])
    write_table(out / "costs.csv", rows, what="the costs to", remedy=REMEDY)
    return Results(tuple(records), tuple(voting), tuple(volumes), table)


def _all(units: Sequence[Unit], file: str) -> list[Record]:
    """Return the records of all units that have such."""
    return [record for unit in units if (path := unit.scores / file).is_file() for record in read_records(path)]


def _tables(study: Study, out: Path, name: str, records: Sequence[Record]) -> Table:
    """Write the table of records as CSV, Markdown and LaTeX."""
    table = summarise(records, metric=study.metric, empty=study.empty_truth, correction=study.correction)
    folder = out / "tables"
    make_folder(folder, remedy=REMEDY)
    for ending, text in ((".csv", table.to_csv()), (".md", table.to_markdown()), (".tex", table.to_latex())):
        content = text.encode("utf-8", "surrogateescape")
        write_whole(folder / f"{name}-{study.metric}{ending}", content, what="the table", remedy=REMEDY)
    return table
