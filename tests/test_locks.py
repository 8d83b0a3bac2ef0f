"""A lock ends with the process that holds it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tedm import locks
from tedm.errors import TedmError
from tedm.locks import hold_folder, let_go, open_alone

HOLD = """
import sys, time
from pathlib import Path
from tedm.locks import hold_folder, open_alone
lock = hold_folder(Path(sys.argv[1]), Path("head"))
with open_alone(Path(sys.argv[1] + ".csv"), Path("t.csv")) as file:
    file.write(b"half")
    file.flush()
    print("held", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_held_is_free_and_what_a_live_one_holds_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "SECONDS", 0.05)
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "f")], stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(TedmError, match="another run is writing head; wait until it is done, or name another folder"):
        hold_folder(tmp_path / "f", tmp_path.relative_to(tmp_path) / "head")
    with (
        pytest.raises(TedmError, match="another run is writing t.csv; wait"),
        open_alone(tmp_path / "f.csv", tmp_path.relative_to(tmp_path) / "t.csv"),
    ):
        pass
    assert (tmp_path / "f.csv").read_bytes() == b"half"
    other.send_signal(signal.SIGKILL)
    other.wait()
    other.stdout.close()
    let_go(hold_folder(tmp_path / "f", tmp_path))
    with open_alone(tmp_path / "f.csv", tmp_path) as file:
        file.write(b"new")
    assert (tmp_path / "f.csv").read_bytes() == b"new"
