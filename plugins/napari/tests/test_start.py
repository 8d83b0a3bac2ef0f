"""Starting napari, and what is said where it cannot be started."""

from __future__ import annotations

import os

import pytest
from napari_tedm.start import require_display, view

from tedm.errors import TedmError


def test_without_a_display_it_is_a_sentence(monkeypatch):
    pytest.importorskip("napari", reason="needs napari", exc_type=ImportError)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    if os.name == "nt":
        pytest.skip("Windows has a display")
    with pytest.raises(TedmError, match="no window can be opened: there is no display, or Qt does not find it"):
        require_display()


def test_a_display_that_is_not_there_is_the_same_sentence(monkeypatch):
    pytest.importorskip("napari", reason="needs napari", exc_type=ImportError)
    monkeypatch.setenv("DISPLAY", ":4711")
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    with pytest.raises(TedmError, match="no window can be opened"):
        require_display()


def test_a_platform_that_cannot_draw_is_the_same_sentence(monkeypatch):
    """Qt opens a window there that nobody sees, and napari finds no OpenGL."""
    pytest.importorskip("napari", reason="needs napari", exc_type=ImportError)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    with pytest.raises(TedmError, match="no window can be opened"):
        require_display()


def test_a_qt_that_is_not_there_is_a_sentence(monkeypatch):
    pytest.importorskip("napari", reason="needs napari", exc_type=ImportError)
    monkeypatch.setenv("QT_QPA_PLATFORM", "nonsense")
    with pytest.raises(TedmError, match="no window can be opened"):
        require_display()


def test_the_viewer_opens_what_is_named(display, work, monkeypatch, tmp_path):
    import time

    from qtpy.QtWidgets import QApplication

    monkeypatch.setenv("NAPARI_CONFIG", str(tmp_path / "settings.yaml"))
    viewer = view(work / "features", head=work / "head", images=work / "lungs", strokes=tmp_path / "mine", wait=False)
    start = time.monotonic()
    while len(viewer.layers) < 4 or not viewer.layers["mask"].data.any():
        QApplication.processEvents()
        time.sleep(0.005)
        assert time.monotonic() - start < 30
    assert [layer.name for layer in viewer.layers] == ["scan 0", "uncertainty", "mask", "strokes"]
    viewer.close()
