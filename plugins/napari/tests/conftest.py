"""A checkpoint, a store, a volume; and a viewer where there are napari and a display."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from painted import run
from PIL import Image

from tedm.extract.backbones import random_backbone, save_backbone

QUICK = ["--timesteps", "1,50", "--layout", "native", "--precision", "float32", "--threads", "1", "--device", "cpu"]


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `tiny.safetensors`, `lungs` (four images, two of them with masks), `features`, `head` and `scan.nii.gz`."""
    import nibabel

    folder, rng = tmp_path_factory.mktemp("work"), np.random.default_rng(3)
    save_backbone(random_backbone(), folder / "tiny.safetensors")
    (folder / "lungs" / "images").mkdir(parents=True)
    (folder / "lungs" / "masks").mkdir()
    for number in range(4):
        height, width = 40 + 4 * number, 36
        y, x = np.mgrid[:height, :width]
        mask = ((y - height * 0.4) ** 2 + (x - 12 - 3 * number) ** 2 < 70).astype(np.uint8)
        image = (50 + y + 110 * mask + rng.normal(0, 6, mask.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / "lungs" / "images" / f"scan {number}.png")
        if number < 2:
            Image.fromarray(255 * mask).save(folder / "lungs" / "masks" / f"scan {number}.png")
    run("extract", folder / "lungs", folder / "features", "--checkpoint", folder / "tiny.safetensors", *QUICK)
    run("fit", folder / "features", folder / "head", "--method", "timestep:50")
    voxels = rng.integers(20, 60, (18, 14, 6)).astype(np.int16)
    voxels[4:10, 3:9] += 150
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1.0, 1.0, 2.0, 1.0])), folder / "scan.nii.gz")
    return folder


@pytest.fixture
def store(work: Path, tmp_path: Path) -> Path:
    """A copy of the store, so that strokes beside it are this test's."""
    import shutil

    return Path(shutil.copytree(work / "features", tmp_path / "features"))


@pytest.fixture(scope="session")
def display() -> None:
    """Skips where there is no napari, no Qt or no display."""
    pytest.importorskip("napari", reason="needs napari", exc_type=ImportError)
    from napari_tedm.start import require_display

    from tedm.errors import TedmError

    try:
        require_display()
    except TedmError as error:
        pytest.skip(f"needs Qt and a display: {error}")


@pytest.fixture
def viewer(
    request: pytest.FixtureRequest, display: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[SimpleNamespace]:
    """A viewer with the widget, and `wait`, which lets it work until it is done; seen if the parameter says so."""
    monkeypatch.setenv("NAPARI_CONFIG", str(tmp_path / "settings.yaml"))
    import napari
    from napari_tedm.start import add_widget
    from qtpy.QtWidgets import QApplication

    made = napari.Viewer(show=getattr(request, "param", False))
    widget = add_widget(made)

    def wait(until: Callable[[], bool] | None = None, most: float = 60.0) -> None:
        start = time.monotonic()
        while widget.busy or (until is not None and not until()):
            QApplication.processEvents()
            time.sleep(0.005)
            assert time.monotonic() - start < most, widget.said.text()
        QApplication.processEvents()

    yield SimpleNamespace(viewer=made, widget=widget, wait=wait)
    widget.stop()
    wait()
    made.close()
