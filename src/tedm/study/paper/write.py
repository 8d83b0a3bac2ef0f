"""Everything of the paper as one result folder, whole or not at all."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from platform import python_version

from tedm.files import require_new, table_text
from tedm.heads import CONVENTIONS, LEAVE_OUT, escape_markdown, records_csv
from tedm.study.paper.claims import WITHIN, Finding, findings, findings_rows, in_words
from tedm.study.paper.figures import figures
from tedm.study.paper.parts import Part, left_out, notes_together
from tedm.study.paper.results import PaperResults, in_order, require_sound
from tedm.study.paper.tables import tables
from tedm.study.report import ResultTable, write_result
from tedm.text import counted, listed, natural, shown

PACKAGES = ("tedm", "torch", "numpy", "scipy", "scikit-learn", "matplotlib")
TITLE = "The tables and figures of arXiv:2311.07421"


def write_paper(folder: Path, results: PaperResults, *, command: str = "") -> list[str]:
    """Write tables 1 to 5, figures 2 to 4, the five findings and the costs to a new result folder.

    Tables are there as CSV (every digit, a cell a row), Markdown and LaTeX, figures as PNG and CSV, findings as Markdown and
    CSV, records as CSV. tedm-report shows the folder.

    Parameters
    ----------
    folder : Path
        Not there yet, or empty.
    results : PaperResults
    command : str
        How the study was run, for the reader.

    Returns
    -------
    list of str
        A line for each thing that was written, and for each that was left out, why.

    Raises
    ------
    TedmError
        If the folder is taken or cannot be written, the results are not sound, or records of one table cannot be compared;
        nothing is written then.
    """
    folder = Path(folder)
    require_new(folder)
    require_sound(results)
    parts = [*tables(results), *figures(results), _findings(findings(results)), _costs(results), _records(results)]
    lost = sorted(set(results.probes) - set(results.timesteps.values()), key=natural)
    parts += [left_out(f"the probe {shown(name)}", "it has no records") for name in lost]
    notes = notes_together(parts)
    content = {name: inside for part in parts for name, inside in part.content.items()}
    write_result(
        folder,
        kind="study",
        title=TITLE,
        content=content,
        about=_about(results, "; ".join(part.line for part in parts if not part.content), command),
        words=[*(word for part in parts for word in part.words), *([f"How to read the tables. {notes}"] if notes else [])],
        figures=[figure for part in parts for figure in part.figures],
        tables=[table for part in parts for table in part.tables],
        files={name: name for name in content if name.endswith((".csv", ".md", ".tex"))},
    )
    return [part.line for part in parts]


def _findings(found: list[Finding]) -> Part:
    head, *rows = findings_rows(found)
    checks = [row for row in rows if row[4] == "all"]
    lines = [f"{each.number}. **{each.claim}: {each.verdict}.**\n{_bullets(each)}" for each in found]
    method = (
        "A finding holds only where the whole 95 % interval over seeds (Student's) of each of its differences lies above zero "
        f"(above -{WITHIN:g} points, where it says so), and does not hold where one lies below. Differences are in points of "
        "Dice, taken seed by seed, each domain and training size counting the same."
    )
    verdicts = {each.verdict: [other.number for other in found if other.verdict == each.verdict] for each in found}
    told = "; ".join(f"{verdict}: {listed(numbers)}" for verdict, numbers in verdicts.items())
    return Part(
        f"findings: {told} (findings.md, .csv)",
        {
            "findings.md": "\n\n".join(["# The paper's findings", method, *lines]) + "\n",
            "findings.csv": table_text([head, *checks]),
            "findings-places.csv": table_text([head, *rows]),
        },
        tables=(
            ResultTable("findings.csv", "The paper's findings: differences in points of Dice, and their intervals over seeds."),
            ResultTable("findings-places.csv", "The same for each domain and training size."),
        ),
        words=(method, *(each.words for each in found)),
    )


def _bullets(found: Finding) -> str:
    return "\n".join(f"   - {escape_markdown(in_words(check))}" for check in found.checks)


def _costs(results: PaperResults) -> Part:
    if not results.costs:
        return left_out("the table of costs", "nobody said what the fits cost")
    order = in_order({cost.method for cost in results.costs}, results.names)
    costs = sorted(results.costs, key=lambda cost: (order.index(cost.method), cost.n))
    rows: list[list[object]] = [["method", "n", "fits", "seconds", "seconds_a_fit", "labels_used"]]
    for cost in costs:
        each = round(cost.seconds / cost.fits, 1) if cost.fits else ""
        rows.append([cost.method, cost.n, cost.fits, round(cost.seconds, 1), each, cost.labels_used])
    seconds = sum(cost.seconds for cost in costs)
    return Part(
        f"costs: {counted(sum(cost.fits for cost in costs), 'fit')}, {seconds:.0f} s (costs.csv)",
        {"costs.csv": table_text(rows)},
        tables=(ResultTable("costs.csv", "What the fits cost: seconds of all and of one, and labels that one fit looked at."),),
    )


def _records(results: PaperResults) -> Part:
    content = {"records.csv": records_csv(results.records)}
    content |= {"voting.csv": records_csv(results.voting)} if results.voting else {}
    content |= {"volumes.csv": records_csv(results.volumes)} if results.volumes else {}
    return Part(f"records: {counted(len(results.records), 'score')} ({', '.join(content)})", dict(content))


def _about(results: PaperResults, lacking: str, command: str) -> list[tuple[str, str]]:
    records = results.records
    home, *others = results.domains
    images = {domain: len({record.image for record in records if record.domain == domain}) for domain in results.domains}
    about = [
        ("learned from", home or "(no domain)"),
        ("scored on", listed(f"{domain or '(no domain)'}: {counted(images[domain], 'image')}" for domain in (home, *others))),
        ("methods", listed(results.methods)),
        ("probes", listed(f"{name} (t = {timestep})" for timestep, name in results.timesteps.items())),
        ("training sizes", listed(sorted({record.n for record in records}))),
        ("seeds", listed(sorted({record.seed for record in records}))),
        ("empty truth", f"{LEAVE_OUT}: {CONVENTIONS[LEAVE_OUT]}"),
        ("versions", listed([f"python {python_version()}", *(f"{package} {version(package)}" for package in PACKAGES)])),
        ("not here", lacking),
        ("command", command),
    ]
    return [(label, value) for label, value in about if value]
