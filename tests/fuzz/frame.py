"""Files that were changed at random, and commands that are to survive them.

A trial copies a sound folder, changes one thing in it (`mutate`) and runs commands on it, each in a forked process with a
limit of memory and time (`run`). A command may refuse or give a result; it may not end by a signal, with a traceback, by
running out of memory, with more than a gigabyte, or with a file outside the folder that it was told to write to.

A script that calls `main` is one process that imports everything once; a test runs it and shows what it prints.
"""

from __future__ import annotations

import copy
import functools
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MOST_MEMORY = 10**9  # beyond what the process had when it was forked
ADDRESSES = 3 * 10**9  # what it may ask the system for: a limit that keeps this machine alive
SECONDS = 60
DEEP = "\ue000deep\ue000"  # becomes a list in a list, many times: no JSON library writes that

ODD: tuple[Any, ...] = (
    *(None, True, "", "x", 0, -1, 1, 3, 255, 256, 65536, 2**31, 2**63, 10**12, 10**40, 0.5, -1.5, 1e308),
    *(float("nan"), float("inf"), [], {}, [[]], [1], ["x"], {"x": 1}, DEEP, "x" * 5000),
    *("../../victim", "/victim", "a/b", "nul\0", "line\nbreak", "\x1b[31mred", "\u202ereversed", "\ud800", "=1+1", "<b>&"),
)


# -- changes -----------------------------------------------------------------------------------------------------------


def mutate(folder: Path, rng: np.random.Generator, *, documents: float = 0.6) -> str:
    """Change one thing in one file of a folder, and say what.

    Parameters
    ----------
    folder : Path
    rng : Generator
    documents : float
        How often it is a JSON document, as long as there are any.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    texts = [path for path in files if path.suffix == ".json"]
    others = [path for path in files if path.suffix != ".json"]
    if texts and (not others or rng.random() < documents):
        path = texts[rng.integers(len(texts))]
        return f"{path.relative_to(folder)}: {mutate_document(path, rng)}"
    path = others[rng.integers(len(others))]
    return f"{path.relative_to(folder)}: {mutate_bytes(path, others, rng)}"


def mutate_document(path: Path, rng: np.random.Generator) -> str:
    """Change one value of a JSON document: another value or type, a key more or less, one of two."""
    before = json.loads(path.read_text())
    document = copy.deepcopy(before)
    places = list(_places(document))
    holder, key, name = places[rng.integers(len(places))]
    value = holder[key]
    kind = rng.choice(["odd", "number", "gone", "added", "twice"], p=[0.5, 0.2, 0.15, 0.1, 0.05])
    done = f"{name} is gone"
    if kind == "gone":
        del holder[key]
    elif kind == "added" and isinstance(value, dict):
        value[str(rng.choice(["surprise", "format", "name", "../x"]))] = ODD[rng.integers(len(ODD))]
        done = f"{name} has a key more"
    elif kind == "twice" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(value))
        done = f"{name} is there twice"
    elif kind == "number" and isinstance(value, int | float) and not isinstance(value, bool):
        holder[key] = [value + 1, value - 1, -value, value * 2, value * 1000, value * 10**9, value / 2][rng.integers(7)]
        done = f"{name} is {holder[key]!r}"
    else:
        holder[key] = ODD[rng.integers(len(ODD))]
        done = f"{name} is {str(holder[key])[:20]!r}"
    path.write_text(json.dumps(document).replace(json.dumps(DEEP), "[" * 100_000 + "]" * 100_000))
    return done


def mutate_bytes(path: Path, others: Sequence[Path], rng: np.random.Generator) -> str:
    """Cut a file, flip some of its bytes, make it longer, remove it, or put another one in its place."""
    content = bytearray(path.read_bytes())
    kind = str(rng.choice(["cut", "flipped", "longer", "gone", "another"]))
    if kind == "gone":
        path.unlink()
    elif kind == "another":
        shutil.copyfile(others[rng.integers(len(others))], aside := path.with_name("aside"))
        aside.replace(path)
    else:
        if kind == "cut":
            del content[int(rng.integers(len(content) + 1)) :]
        elif kind == "longer":
            content += bytes(rng.integers(256, size=int(rng.integers(1, 5000)), dtype=np.uint8))
        else:
            for at in rng.integers(len(content), size=int(rng.integers(1, 9))) if content else ():
                content[at] = rng.integers(256)
        path.write_bytes(content)
    return kind


def _places(value: Any, name: str = "") -> Iterator[tuple[Any, Any, str]]:
    """Yield the holder, key and name of every value inside."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key, f"{name}.{key}".lstrip(".")
        yield from _places(value[key], f"{name}.{key}".lstrip("."))


# -- commands ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code (negative for a signal), what it printed, bytes that it took, seconds."""

    code: int
    output: str
    memory: int
    seconds: float

    @property
    def faults(self) -> list[str]:
        """What it may not do."""
        found = [f"exit code {self.code}"] * (self.code not in (0, 1, 2))
        found += ["a traceback"] * ("Traceback (most recent call last)" in self.output)
        found += [f"{self.memory / 1e9:.2f} GB"] * (self.memory > MOST_MEMORY)
        found += ["it asks for more memory than there is"] * ("out of memory" in self.output)
        found += [f"{self.seconds:.0f} s"] * (self.seconds > SECONDS)
        found += ["a control character on the terminal"] * any(sign in self.output for sign in "\0\x1b\u202e")
        return found


def run(command: Sequence[str], log: Path, *, cwd: Path) -> Outcome:
    """Run a command of tedm in a forked process: `["fit", "store", "head"]`."""
    begun = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = os.fork()
    if not child:
        _become(command, log, cwd)
    _, status, usage = os.wait4(child, 0)
    output = log.read_text(errors="replace")
    memory = 1024 * (usage.ru_maxrss - before)
    return Outcome(os.waitstatus_to_exitcode(status), output, memory, time.monotonic() - begun)


def _become(command: Sequence[str], log: Path, cwd: Path) -> None:
    """Run the command in this process and end it."""
    code = 70
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.chdir(cwd)
        pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
        limit = pages * os.sysconf("SC_PAGE_SIZE") + ADDRESSES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**28, 2**28))
        signal.alarm(2 * SECONDS)
        main = importlib.import_module(f"tedm.cli.{command[0]}").main
        main(list(command[1:]), prog_name=f"tedm-{command[0]}", standalone_mode=True)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main(
    make: Callable[[Path], None],
    commands: Callable[[int], list[list[str]]],
    imports: Sequence[str] = (),
    change: Callable[[Path, np.random.Generator], str] = mutate,
) -> None:
    """Try seeds FIRST to LAST on copies of what `make` makes, in a folder: `SCRIPT FOLDER FIRST LAST`.

    Parameters
    ----------
    make : callable
        Fills a folder with what commands read, in a process of its own. What is to be changed lies in its folder `target`.
    commands : callable
        Takes the seed; paths in commands are relative to the trial's folder, outputs go below `out`.
    imports : sequence of str
        Modules that commands need, imported once.
    change : callable
        Changes one thing in a copy of `target`, as `mutate` does.
    """
    folder, first, last = Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3])
    for module in imports:
        importlib.import_module(module)
    sound = folder / "sound"
    forked_text(functools.partial(make, sound))
    count, refusals, faults = 0, 0, 0
    for seed in range(first, last):
        trial = folder / "trials" / "deep" / str(seed)
        shutil.copytree(sound, trial)
        (trial / "out").mkdir()
        changed = forked_text(functools.partial(change, trial / "target", np.random.default_rng(seed)))
        for command in commands(seed):
            outside = _elsewhere(folder, trial)
            outcome = run(command, folder / "log", cwd=trial)
            wrong = outcome.faults
            wrong += ["it wrote elsewhere"] * (outside != _elsewhere(folder, trial))
            count, refusals = count + 1, refusals + (outcome.code == 1)
            if wrong:
                faults += 1
                print(f"seed {seed} ({changed}): tedm-{' '.join(command)}: {'; '.join(wrong)}\n{outcome.output[-3000:]}\n")
        shutil.rmtree(trial)
    print(f"{last - first} changes, {count} commands, {refusals} refusals, {faults} faults")
    sys.exit(1 if faults else 0)


def forked_text(work: Callable[[], object]) -> str:
    """Do something in a process of its own, so that this one stays without threads; return its result as text."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.write(writing, str(work()).encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    if os.waitpid(child, 0)[1]:
        sys.exit("the folder could not be made or changed")
    return text


def _elsewhere(folder: Path, trial: Path) -> dict[str, bytes | None]:
    """Return files that no command may touch: all but those of the store or head that it was given, and of its outputs."""
    kept = (trial / "target", trial / "out")
    return {
        str(path): path.read_bytes() if path.stat().st_size < 10**5 else None
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name != "log"
        and not any(path.is_relative_to(place) for place in kept)
        and not path.is_relative_to(folder / "sound")
    }
