"""Blocks of code on pages: fenced or indented, with the command lines in them."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^(<!-- runs -->\n)?```([^\n`]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)((?:    [^\n]*\n|\n(?=    ))+)")
_LINE = re.compile(r"^(tedm(?:-[a-z]+)*) .*$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of a page; `line` is where its text begins."""

    page: Path
    line: int
    language: str
    text: str
    runs: bool = False

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    found = [
        Block(page, text[: match.start(3)].count("\n") + 1, match[2], match[3], match[1] is not None)
        for match in _FENCE.finditer(text)
    ]
    outside = _FENCE.sub(lambda match: re.sub(r"[^\n]+", "x", match[0]), text)
    found += [
        Block(page, outside[: match.start()].count("\n") + 1, "", textwrap.dedent(match[1]))
        for match in _INDENTED.finditer(outside)
    ]
    return sorted(found, key=lambda block: block.line)


def command_lines(block: Block) -> list[str]:
    """Return the lines of a block that call a command of ours, each whole, without comments and what a shell does with it."""
    text = re.sub(r" *\\\n\s*", " ", block.text)
    text = re.sub(r"(?<=\s)#.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^(?:[A-Z_]+=\S+ )+(?=tedm)", "", text, flags=re.MULTILINE)
    lines = [match[0].strip().removesuffix("&").strip() for match in _LINE.finditer(text)]
    lines = [re.sub(r" >\s*\S+$", "", line) for line in lines if block.language in ("sh", "")]
    return [re.sub(r"\$[A-Z_]+|(?<= )N(?= |$)", "3", line) for line in lines]  # a number, of the shell's or the reader's
