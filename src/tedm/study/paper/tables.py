"""Tables 1 to 5: a row a method, a column a training size, a block a domain, as the paper lays them out.

Means, deviations and tests are those of `tedm.heads.summarise`, which is asked twice: without a correction for what is bold,
with a corrected one for what carries a dagger. Here they are only put in the paper's order and written three ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tedm.errors import TedmError
from tedm.files import table_text
from tedm.heads import Grid, Metric, Record, Table, escape_latex, escape_markdown, summarise
from tedm.study.paper.parts import Part, left_out
from tedm.study.paper.results import PaperResults, in_order
from tedm.study.paper.seeds import Cell, Estimate, estimate, seed_means
from tedm.study.report import ResultTable
from tedm.study.report.result import BOLD
from tedm.text import counted, listed, shown

ALPHA = 0.05
ABSENT, DAGGER = "–", "†"


@dataclass(frozen=True)
class Entry:
    """An entry of a printed table: its text, whether it is bold, and whether only a correction would make it so."""

    text: str
    bold: bool = False
    dagger: bool = False

    def written(self, bold: str, dagger: str = DAGGER) -> str:
        """Return the text, bold by a pattern, or with a dagger."""
        return bold.format(self.text) if self.bold else self.text + dagger * self.dagger


@dataclass(frozen=True)
class Block:
    """A domain of a printed table: what it is, the titles of its columns, and a row a method."""

    domain: str
    caption: str
    titles: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Entry, ...]], ...]


def tables(results: PaperResults) -> list[Part]:
    """Return tables 1 to 5, or the line that says why one is left out.

    Raises
    ------
    TedmError
        Naming the table, if the records of one cannot be compared.
    """
    probes, tedm = set(results.probes), results.name_of("tedm")
    methods = [record for record in results.records if record.method not in probes]
    whole_vote = [record for record in results.records if record.method == tedm]
    none = "there are no records but those of probes"
    one = (f"there are no records of {shown(tedm)}, whose vote it is about",) if results.voting and not whole_vote else ()
    why = one or ("there are no records of TEDM voting with one timestep alone",)
    voting = [*whole_vote, *results.voting] if results.voting and whole_vote else []
    return [
        _table(1, "Dice", methods, "dice", results, none),
        _table(2, "Dice of TEDM, all timesteps voting and each alone", voting, "dice", results, why[0]),
        _table(3, "Dice of whole volumes (3D)", results.volumes, "dice", results, "there are no scores of whole volumes"),
        _table(4, "Precision", methods, "precision", results, none),
        _table(5, "Recall", methods, "recall", results, none),
    ]


def _table(number: int, title: str, records: Sequence[Record], metric: Metric, results: PaperResults, otherwise: str) -> Part:
    what = f"table {number}"
    if not records:
        return left_out(what, otherwise)
    try:
        plain = summarise(records, metric=metric, alpha=ALPHA, correction="none")
        beside = summarise(records, metric=metric, alpha=ALPHA, correction=results.beside)
        means = seed_means(records, metric=metric)
    except TedmError as error:
        raise TedmError(f"{what} of the paper cannot be made: {error}") from error
    blocks, notes = _blocks(plain, beside, results), _notes(plain, results)
    name = f"table-{number}"
    content: dict[str, bytes | str] = {
        f"{name}.csv": _csv(plain, beside, {cell: estimate(seeds.values()) for cell, seeds in means.items()}, results),
        f"{name}.md": _markdown(f"Table {number}. {title}.", blocks, notes),
        f"{name}.tex": _latex(name, title, blocks, notes),
    }
    sheets = []
    for place, block in enumerate(blocks, 1):
        rows = [[method, *(entry.written("{}" + BOLD) for entry in entries)] for method, entries in block.rows]
        content[f"{name}-{place}.csv"] = table_text([block.titles, *rows])
        sheets.append(ResultTable(f"{name}-{place}.csv", f"Table {number}, {title}. {block.caption}."))
    sizes, domains = listed(sorted({cell.n for cell in plain.cells})), len(blocks)
    compared = counted(len({cell.method for cell in plain.cells}), "method")
    line = f"{what}: {title}, {compared} at n = {sizes} in {counted(domains, 'domain')} ({name}.csv, .md, .tex)"
    return Part(line, content, tables=tuple(sheets), notes=tuple(map(_sentence, notes)))


def _blocks(plain: Table, beside: Table, results: PaperResults) -> list[Block]:
    """Return the domains in the paper's order, each with its methods in the paper's order."""
    order = {domain: place for place, domain in enumerate(results.domains)}
    pairs = sorted(zip(plain.grids(), beside.grids(), strict=True), key=lambda pair: order.get(pair[0].domain, len(order)))
    return [_block(grid, corrected, results) for grid, corrected in pairs]


def _block(grid: Grid, corrected: Grid, results: PaperResults) -> Block:
    rows = {}
    for row, other in zip(grid.rows, corrected.rows, strict=True):
        pairs = zip(row[1:], other[1:], strict=True)
        rows[row[0][0]] = tuple(Entry(text, bold, also and not bold) for (text, bold), (_, also) in pairs)
    return Block(
        shown(grid.domain) or "(no domain)",
        shown(grid.caption),
        grid.titles,
        tuple((shown(method), rows[method]) for method in in_order(rows, results.names)),
    )


def _notes(plain: Table, results: PaperResults) -> list[str]:
    """Return what a reader must know of the marks, then what `Table.notes` says of the numbers."""
    noun = "volume" if plain.resolution == "volume" else "image"
    first, *others = plain.notes("bold")
    return [
        first,
        f"{DAGGER}: significantly different from the best by this test, and not after {results.beside.title()}'s correction "
        "for the comparisons of its domain and n",
        f"{ABSENT}: not run at this n, or without a score",
        f"deviations are over {noun}s, each averaged over seeds first; intervals over seeds are in the CSV",
        *others,
    ]


def _csv(plain: Table, beside: Table, seeds: dict[Cell, Estimate], results: PaperResults) -> str:
    """Write one row a cell, all digits: mean, deviation, interval over seeds, p-values before and after the correction."""
    titles = ["domain", "n", "method", "mean", "deviation", "seeds", "seeds_low", "seeds_high", "images", "left_out", "groups"]
    titles += ["labels_used", "best", "bold", f"bold_{results.beside}", "p_value", f"p_{results.beside}", "comparisons"]
    titles += ["metric", "alpha", "resolution", "empty_truth", "n_counts"]
    order = {domain: place for place, domain in enumerate(results.domains)}
    methods = {m: place for place, m in enumerate(in_order({cell.method for cell in plain.cells}, results.names))}
    pairs = list(zip(plain.cells, beside.cells, strict=True))
    pairs.sort(key=lambda pair: (order.get(pair[0].domain, len(order)), pair[0].n, methods[pair[0].method]))
    rows = []
    for cell, corrected in pairs:
        over = seeds[cell.domain, cell.n, cell.method]
        row: list[object] = [cell.domain, cell.n, cell.method, cell.mean, cell.deviation, cell.seeds, over.low, over.high]
        row += [cell.images, cell.left_out, cell.groups, cell.labels_used, cell.best, cell.marked, corrected.marked]
        row += [cell.p_value, corrected.p_value, cell.family]
        rows.append([*row, plain.metric, plain.alpha, plain.resolution, plain.empty, plain.n_counts])
    return table_text([titles, *rows])


def _markdown(title: str, blocks: Sequence[Block], notes: Sequence[str]) -> str:
    parts = [escape_markdown(title)]
    for block in blocks:
        lines = [_row(map(escape_markdown, block.titles)), "|---|" + "--:|" * (len(block.titles) - 1)]
        lines += [_row([escape_markdown(m), *(entry.written("**{}**") for entry in entries)]) for m, entries in block.rows]
        parts.append("\n".join([escape_markdown(block.caption) + ":", "", *lines]))
    return "\n\n".join([*parts, escape_markdown(" ".join(map(_sentence, notes)))]) + "\n"


def _row(entries: Iterable[str]) -> str:
    return "| " + " | ".join(entries) + " |"


def _latex(name: str, title: str, blocks: Sequence[Block], notes: Sequence[str]) -> str:
    """Write a float, whose columns are all sizes of all domains."""
    sizes = sorted({title for block in blocks for title in block.titles[1:]}, key=lambda each: int(each.split()[-1]))
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{_plain_latex(' '.join(map(_sentence, (title, *(block.caption for block in blocks), *notes))))}}}",
        rf"\label{{tab:{name}}}",
        rf"\begin{{tabular}}{{l{'r' * len(sizes)}}}",
        r"\toprule",
        " & ".join(["method", *(f"${size}$" for size in sizes)]) + r" \\",
    ]
    for block in blocks:
        lines += [r"\midrule", rf"\multicolumn{{{len(sizes) + 1}}}{{l}}{{\emph{{{_plain_latex(block.domain)}}}}} \\"]
        for method, entries in block.rows:
            there = dict(zip(block.titles[1:], entries, strict=True))
            printed = [there.get(size, Entry(ABSENT)) for size in sizes]
            texts = [Entry(_plain_latex(each.text), each.bold, each.dagger) for each in printed]
            written = [each.written(r"\textbf{{{}}}", r"$^{\dagger}$") for each in texts]
            lines.append(" & ".join([_plain_latex(method), *written]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _plain_latex(text: str) -> str:
    return escape_latex(text).replace(ABSENT, "--").replace(DAGGER, r"$^{\dagger}$").replace("...", r"\dots{}")


def _sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:]}."
