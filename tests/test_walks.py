"""The four walks of docs/design.md: what is listed there is what runs, in that order, and each goes one way."""

from __future__ import annotations

import re
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from tedm import threads
from tedm.cli import extract as tedm_extract
from tedm.cli import fit as tedm_fit
from tedm.cli import predict as tedm_predict
from tedm.cli import probe as tedm_probe
from tedm.extract import save_backbone
from tedm.extract.backbones import random_backbone

DESIGN = Path(__file__).parents[1] / "docs" / "design.md"
BEFORE = Path(__file__).parent / "data" / "before" / "unreleased.zip"

# The lowest layer is called from everywhere, and what runs a command shows its progress as well: no stops of a walk.
LOWEST = ("errors", "files", "locks", "names", "foreign", "jsons", "text", "threads", "signals", "devices")
CHUNKS = ("chunks.decoding", "chunks.encoding")
# Around every command: how loud it is, what it logs, where its settings are from.
AROUND = [f"cli.shared.{name}" for name in ("running", "bars", "commands", "common", "log_file", "places", "settings", "voice")]
GROUND = {f"tedm.{name}" for name in (*LOWEST, *CHUNKS, *AROUND, "keywords")}
# These call functions that they are handed, over images, iterations or threads, and know nothing of what these do: to whoever
# hands it over, calling it is the next step.
HANDED = {
    "tedm.cli.shared.volumes": "options as values",
    "tedm.store.place": "writes again what another process removed",
    "tedm.extract.stages": "reads ahead and writes behind",
    "tedm.heads.runtime.threads": "several images at once",
    "tedm.heads.runtime.workers": "over images, here or on a cluster",
    "tedm.heads.linear.lbfgs": "minimises a function",
    "tedm.heads.mlp.loop": "one step after the other",
}


class Walk:
    """Which modules a call enters first, by which functions, and which it comes back to from below.

    Attributes
    ----------
    stops : dict of str to list of str
        Functions by their module, as they are entered first.
    order : list of str
        Modules as the thread that called enters them first; others run beside it when they can.
    returns : set of (str, str)
        A module, and the one that calls into it although it is at work for it.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self.stops: dict[str, list[str]] = {}
        self.order: list[str] = []
        self._thread = threading.get_ident()
        self.returns: set[tuple[str, str]] = set()
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        try:
            work()
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        module = _module(frame)
        name = frame.f_code.co_qualname
        if event != "call" or not _counts(module) or name.rsplit(".", 1)[-1].startswith(("<", "__")):
            return
        functions = self.stops.setdefault(module, [])
        if name not in functions:
            functions.append(name)
        if module not in self.order and threading.get_ident() == self._thread:
            self.order.append(module)
        below: list[str] = []
        caller = frame.f_back
        while caller is not None:
            stop = _module(caller)
            if stop == module and below and module not in HANDED:
                self.returns.add((module, below[0]))
            if _counts(stop) and stop not in HANDED and stop != module:
                below.append(stop)
            caller = caller.f_back


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _counts(module: str) -> bool:
    return module.startswith("tedm.") and module not in GROUND


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("walks")
    with zipfile.ZipFile(BEFORE) as archive:
        archive.extractall(folder)
    rng = np.random.default_rng(0)
    (folder / "photos/images").mkdir(parents=True)
    (folder / "photos/masks").mkdir()
    for name in "ab":
        Image.fromarray(rng.integers(0, 255, (40, 40), dtype=np.uint8)).save(folder / f"photos/images/{name}.png")
        Image.fromarray(rng.integers(0, 2, (40, 40), dtype=np.uint8)).save(folder / f"photos/masks/{name}.png")
    save_backbone(random_backbone(), folder / "backbone.safetensors")
    return folder


def call(command, *arguments: object) -> None:
    result = CliRunner().invoke(command.main, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def predicted(command, *arguments: object) -> None:
    threads._pool.cache_clear()  # only threads that begin while it is watched are watched
    call(command, *arguments)


def walks(folder: Path, turn: str) -> dict[str, Callable[[], None]]:
    store, head = folder / "native", folder / f"head-{turn}"
    return {
        "An image into a store": lambda: call(
            tedm_extract,
            *(folder / "photos", folder / f"store-{turn}", "--checkpoint", folder / "backbone.safetensors"),
            *("--timesteps", "1,50", "--device", "cpu"),
        ),
        "A store to a fitted head": lambda: call(tedm_fit, store, head, "--method", "timestep:50"),
        "A prediction": lambda: predicted(tedm_predict, folder / "heads/tedm", store, folder / f"masks-{turn}"),
        "A probe": lambda: call(tedm_probe, store, "--sizes", "2", "--repeats", "1", "--processes", "1"),
    }


def described(title: str) -> list[tuple[str, str]]:
    section = DESIGN.read_text().split(f"### {title}\n")[1].split("\n#")[0]
    return [(f"tedm.{module}", function) for module, function in re.findall(r"^ *\d+\. `([\w.]+)`: `([\w.]+)`", section, re.M)]


@pytest.mark.parametrize("title", ["An image into a store", "A store to a fitted head", "A prediction", "A probe"])
def test_a_walk_is_as_described_and_goes_one_way(work, title):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    walks(work, "first")[title]()  # what is done once in a process is no part of it
    walk = Walk(walks(work, "second")[title])
    torch.set_num_threads(before)
    stops = described(title)
    modules = [module for module, _ in stops]
    assert sorted(modules) == sorted(walk.stops)
    assert [module for module in modules if module in walk.order] == walk.order
    for module, function in stops:
        assert function in walk.stops[module], (module, walk.stops[module])
    assert walk.returns == set()
