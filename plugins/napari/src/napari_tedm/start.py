"""napari with the widget in it, where there are a display and a Qt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tedm.errors import TedmError
from tedm.store import Location

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_tedm.widget import StrokesWidget

# Qt ends the process where it finds no display, so another process tries it.
# napari draws with OpenGL, which a platform without a display ("offscreen") has not.
TRY = (
    "from qtpy.QtWidgets import QApplication; from qtpy.QtGui import QOpenGLContext; application = QApplication([]); "
    "assert QOpenGLContext().create()"
)
QT = "pip install 'napari-tedm[qt]'"


def require_display() -> None:
    """Refuse, before Qt ends the process, to start where no window can be opened.

    Raises
    ------
    TedmError
        If napari or a Qt is not installed, or there is no display.
    """
    try:
        import napari
        import qtpy

        del napari, qtpy
    except ModuleNotFoundError as error:
        raise TedmError(f"the viewer needs a package that is not installed ({error.name}): {QT}") from error
    except Exception as error:  # qtpy without any Qt
        raise TedmError(f"the viewer needs a Qt, and none is installed ({_last(str(error))}): {QT}") from error
    tried = subprocess.run([sys.executable, "-c", TRY], capture_output=True, text=True, check=False)
    if tried.returncode:
        said = _last(tried.stderr)
        if "No module" in said or "No Qt bindings" in said:
            raise TedmError(f"the viewer needs a Qt, and none is installed: {QT}")
        raise TedmError(
            "no window can be opened: there is no display, or Qt does not find it. Run the command where there is one "
            "(ssh -X, a remote desktop), or let tedm predict --overlay draw the masks"
        )


def _last(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def add_widget(viewer: Viewer) -> StrokesWidget:
    """Dock the widget in a viewer, and return it."""
    from napari_tedm.widget import StrokesWidget

    widget = StrokesWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Learn from strokes", area="right")
    return widget


def view(
    source: Location | None,
    *,
    head: Path | None = None,
    checkpoint: Path | None = None,
    images: Path | None = None,
    strokes: Path | None = None,
    wait: bool = True,
) -> Viewer:
    """Start napari with the widget, and open something in it.

    Parameters
    ----------
    source : path, URL or None
        A store, an image, a volume or a folder; None leaves that to the user.
    head, checkpoint, images : Path or None
        See `napari_tedm.gallery.open_gallery`.
    strokes : Path or None
        Where strokes are kept.
    wait : bool
        Whether to return when the window is closed.

    Raises
    ------
    TedmError
        If no window can be opened.
    """
    require_display()
    import napari

    viewer = napari.Viewer(title="tedm", show=wait)
    widget = add_widget(viewer)
    lines = (widget.source, widget.head, widget.checkpoint, widget.images, widget.folder)
    for line, place in zip(lines, (source, head, checkpoint, images, strokes), strict=True):
        line.set(place)
    if source is not None:
        widget.open()
    if wait:
        napari.run()
    return viewer
