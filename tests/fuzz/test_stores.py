"""A store in which something was changed at random ends in a refusal or in a result, never in a traceback or worse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def trials(script: str, folder: Path, first: int, last: int) -> None:
    command = [sys.executable, str(Path(__file__).with_name(script)), str(folder), str(first), str(last)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert f"{last - first} changes" in done.stdout


def test_twenty_changes_of_a_store_end_in_a_refusal_or_a_result(tmp_path):
    trials("stores.py", tmp_path, 0, 20)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1500, 100))
def test_five_hundred_changes_of_a_store_end_in_a_refusal_or_a_result(tmp_path, first):
    trials("stores.py", tmp_path, first, first + 100)
