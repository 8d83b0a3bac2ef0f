"""Processes of their own for tests: real ones, with signals, exit codes and a stderr, that have imported everything already.

Starting Python and importing torch takes seconds, which is most of what such a test would take. A server that has imported it
once and done nothing else is forked for each process instead. What a test says of a start of Python itself (an environment
variable that the interpreter reads, which modules are loaded) needs `subprocess`.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import runpy
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

IMPORTED = [
    "distributed",
    "zarr",
    "tedm.cli.extract",
    "tedm.cli.pretrain",
    "tedm.extract.backbones.tedm",
    "tedm.extract.images.raster",
    "tedm.extract.run",
    "tedm.extract.pretrain.learner",
    "tedm.store.disk",
    "tedm.study.pretrain",
    "tedm.heads.mlp.head",
    "tedm.study.trial.run",
    "matplotlib.pyplot",
    "monai.networks.nets.dynunet",
]
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(IMPORTED)


class Forked:
    """A command, or a script, that runs in a process of its own; used like `subprocess.Popen`.

    Parameters
    ----------
    what : str or Path
        A command's module, "tedm.cli.extract", or a script.
    arguments : sequence of str
        What follows its name on the command line.
    """

    def __init__(self, what: str | Path, arguments: Sequence[object]) -> None:
        self._said = Path(tempfile.mkdtemp())
        self._process = SERVER.Process(
            target=_run, args=(what, [str(each) for each in arguments], str(self._said), dict(os.environ))
        )
        self._process.start()

    @property
    def returncode(self) -> int | None:
        """As `subprocess` has it: negative for a signal."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; what it wrote to stdout and to stderr."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self.kill()
            raise TimeoutError(f"a process is still at work after {timeout} seconds")
        # one that was killed before it began has no files
        files = (self._said / name for name in ("out", "error"))
        out, error = (file.read_text(encoding="utf-8") if file.exists() else "" for file in files)
        shutil.rmtree(self._said)
        return out, error


def _run(what: str | Path, arguments: list[str], said: str, environment: dict[str, str]) -> None:
    """Be that command, in the process that was forked for it."""
    for number, name in ((1, "out"), (2, "error")):
        file = os.open(f"{said}/{name}", os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    if isinstance(what, Path):
        sys.argv = [str(what), *arguments]
        runpy.run_path(str(what), run_name="__main__")
        return
    sys.argv = [what, *arguments]
    importlib.import_module(what).main(arguments)
