"""tedm-view without a viewer: what it says. With one it is tested beside the plugin."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tedm.cli import view

THERE = importlib.util.find_spec("napari_tedm") is not None


@pytest.mark.skipif(THERE, reason="napari-tedm is installed")
def test_without_the_plugin_it_says_what_to_install(extracted):
    result = CliRunner().invoke(view.main, [str(extracted)])
    assert result.exit_code == 1
    assert "tedm view needs a package that is not installed (napari_tedm): pip install 'napari-tedm[qt]'" in result.output


@pytest.mark.skipif(not THERE, reason="needs napari-tedm")
def test_a_store_that_is_not_there_is_said_before_a_window_opens(tmp_path):
    result = CliRunner().invoke(view.main, [str(tmp_path / "gone")])
    assert result.exit_code == 1
    assert "gone does not exist; name a feature store, a picture, a volume or a folder of these" in result.output


@pytest.mark.skipif(not THERE, reason="needs napari-tedm")
def test_without_a_display_it_says_so_in_a_sentence(extracted):
    pytest.importorskip("napari", reason="needs napari", exc_type=ImportError)
    nowhere = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    command = [sys.executable, "-W", "ignore", "-m", "tedm.cli.view", str(extracted)]
    done = subprocess.run(command, env=nowhere, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no window can be opened: there is no display" in done.stderr
    assert "Traceback" not in done.stderr
