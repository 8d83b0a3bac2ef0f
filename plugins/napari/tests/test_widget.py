"""The widget in a real viewer: opened, painted on, fitted, saved; where there are napari, Qt and a display."""

from __future__ import annotations

import shlex
import shutil
import time

import numpy as np
import pytest
from painted import run
from PIL import Image

from tedm.store import FeatureStore


def paint(strokes, label: int, *places: tuple[int, ...]) -> None:
    """Paint as the mouse does: a round brush at each place."""
    strokes.selected_label = label
    for place in places:
        strokes.paint(place, label)


def open_in(at, source, **lines) -> None:
    at.widget.source.set(source)
    for name, place in lines.items():
        getattr(at.widget, name).set(place)
    at.widget.open()
    at.wait()


def two_strokes(strokes) -> None:
    paint(strokes, 2, *((16, x) for x in range(8, 16)))
    paint(strokes, 1, *((2, x) for x in range(2, 30)), *((37, x) for x in range(2, 30)))


@pytest.mark.parametrize("viewer", [True], indirect=True)
def test_from_a_store_to_masks_in_it(viewer, store, work):
    """Open, paint, fit, save, label: and an image of the canvas, on which something is seen."""
    open_in(viewer, store, images=work / "lungs")
    widget = viewer.widget
    assert [layer.name for layer in viewer.viewer.layers] == ["scan 0", "uncertainty", "mask", "strokes"]
    assert widget.titles.count() == 4
    two_strokes(widget.strokes)
    widget.fit()
    viewer.wait()
    assert "Learned from 1 image in" in widget.said.text()
    assert set(np.unique(widget.mask.data)) == {1, 2}
    assert (widget.mask.data[16, 8:16] == 2).all()
    assert 0 < widget.uncertainty.data.max() <= 1
    assert widget.uncertainty.visible
    widget.save()
    command = widget.said.text().splitlines()[-1]
    assert "1 image relabelled" in run(*shlex.split(command)[1:])
    assert FeatureStore.open(store).labels.labelled[0] > 0
    seen = viewer.viewer.screenshot(canvas_only=True, flash=False)
    assert len(np.unique(seen.reshape(-1, seen.shape[-1]), axis=0)) > 20


def test_an_image_file_is_fitted_on_with_a_checkpoint_and_both_heads(viewer, work, tmp_path):
    file = work / "lungs" / "images" / "scan 2.png"
    open_in(viewer, file, checkpoint=work / "tiny.safetensors", folder=tmp_path / "mine")
    widget = viewer.widget
    two_strokes(widget.strokes)
    for learner in range(2):
        widget.learner.setCurrentIndex(learner)
        widget.fit()
        viewer.wait()
        assert "Learned from 1 image" in widget.said.text()
        assert widget.mask.data.shape == np.asarray(Image.open(file)).shape
        assert (widget.mask.data[16, 9:15] == 2).mean() > 0.5


def test_the_head_of_the_store_is_seen_before_there_is_a_stroke(viewer, store, work):
    open_in(viewer, store, head=work / "head")
    assert viewer.widget.mask.data.any()
    assert viewer.widget.painting.head.label == "timestep:50"


def test_a_volume_is_painted_on_and_all_of_its_slices_are_segmented(viewer, work, tmp_path):
    open_in(viewer, work / "scan.nii.gz", checkpoint=work / "tiny.safetensors", folder=tmp_path / "mine")
    widget = viewer.widget
    viewer.viewer.dims.set_current_step(0, 3)
    paint(widget.strokes, 2, *((3, 5, x) for x in range(4, 9)))
    paint(widget.strokes, 1, *((3, 12, x) for x in range(2, 16)))
    widget.fit()
    viewer.wait()
    assert widget.slices.text() == "6 of 6 slices are segmented"
    assert (widget.mask.data > 0).all()
    widget.save()
    assert (tmp_path / "mine" / "masks" / "scan.nii.gz").is_file()


def test_strokes_are_on_the_disk_soon_after_they_are_painted_and_come_back(viewer, store):
    open_in(viewer, store)
    two_strokes(viewer.widget.strokes)
    kept = store.parent / "features-strokes" / "strokes" / "scan 0.png"
    viewer.wait(kept.is_file)
    before = viewer.widget.strokes.data.copy()
    viewer.widget.open()
    viewer.wait()
    assert np.array_equal(viewer.widget.strokes.data, before)


def test_strokes_stay_where_another_image_is_chosen_and_where_their_layer_is_removed(viewer, store):
    open_in(viewer, store)
    widget = viewer.widget
    two_strokes(widget.strokes)
    before = widget.strokes.data.copy()
    widget.choose("scan 2")
    assert not widget.strokes.data.any()
    widget.choose("scan 0")
    assert np.array_equal(widget.strokes.data, before)
    paint(widget.strokes, 2, (20, 20))
    before = widget.strokes.data.copy()
    viewer.viewer.layers.remove(widget.strokes)
    assert "the layer of strokes was removed" in widget.said.text().lower()
    assert not widget.fit_button.isEnabled()
    widget.choose("scan 0")
    assert np.array_equal(widget.strokes.data, before)


def test_a_class_is_added_and_painted_with(viewer, store):
    open_in(viewer, store)
    widget = viewer.widget
    widget.new_class.setText("vessel")
    widget.add_class()
    assert widget.classes.currentText() == "vessel"
    assert widget.strokes.selected_label == 3
    widget.strokes.selected_label = 2
    assert widget.classes.currentText() == "class 255"
    widget.new_class.setText("vessel")
    widget.add_class()
    assert "is that of class 1 too" in widget.said.text()
    assert widget.classes.count() == 3


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({"source": ""}, "Name a feature store, an image, a volume or a folder of these first."),
        ({"source": "gone"}, "does not exist"),
        ({"source": "lungs"}, "takes the checkpoint of a diffusion model"),
        ({"source": "lungs", "head": "head"}, "with the SHA-256"),
        ({"source": "features", "head": "lungs"}, "head.json"),
        ({"source": "features", "checkpoint": "tiny.safetensors"}, "leave the checkpoint out"),
        ({"source": "features", "folder": "tiny.safetensors/strokes"}, "Cannot write strokes"),
    ],
)
def test_what_cannot_be_opened_is_said_in_the_widget_and_what_was_open_stays(lines, message, viewer, store, work):
    open_in(viewer, store)
    two_strokes(viewer.widget.strokes)
    before = viewer.widget.strokes.data.copy()
    open_in(viewer, **{name: work / place if place else "" for name, place in lines.items()})
    assert message in viewer.widget.said.text()
    assert np.array_equal(viewer.widget.strokes.data, before)


def test_strokes_of_one_class_and_none_at_all_are_said(viewer, store):
    open_in(viewer, store)
    widget = viewer.widget
    widget.save()
    assert "There is no correction to save" in widget.said.text()
    widget.fit()
    viewer.wait()
    assert "Nothing is painted yet" in widget.said.text()
    paint(widget.strokes, 2, (16, 10))
    widget.fit()
    viewer.wait()
    assert "All strokes are of one class, class 255; paint a stroke of another one too" in widget.said.text()
    widget.what.setCurrentIndex(1)
    widget.save()
    assert "There is no mask to correct yet" in widget.said.text()


def test_a_stroke_of_a_label_without_a_class_is_said_and_stays(viewer, store):
    open_in(viewer, store)
    paint(viewer.widget.strokes, 7, (16, 10))
    viewer.widget.fit()
    assert "There are strokes of label 7, and 2 classes; erase them, or add a class" in viewer.widget.said.text()
    assert (viewer.widget.strokes.data == 7).any()


def test_a_store_that_goes_away_is_said_and_the_strokes_are_kept(viewer, store):
    open_in(viewer, store)
    two_strokes(viewer.widget.strokes)
    shutil.rmtree(store)
    viewer.widget.fit()
    viewer.wait()
    assert "features" in viewer.widget.said.text()
    assert (store.parent / "features-strokes" / "strokes" / "scan 0.png").is_file()


def test_the_viewer_lives_while_a_head_is_fitted_and_a_second_fit_follows(viewer, store):
    open_in(viewer, store)
    widget = viewer.widget
    two_strokes(widget.strokes)
    start = time.monotonic()
    widget.learner.setCurrentIndex(1)
    widget.fit()
    assert time.monotonic() - start < 1
    assert widget.busy
    paint(widget.strokes, 2, (20, 12))
    widget.fit()
    viewer.wait()
    assert (widget.mask.data > 0).all()
    assert "Learned from 1 image" in widget.said.text()


def test_napari_finds_the_widget_by_the_manifest(display):
    from napari_tedm.widget import StrokesWidget
    from npe2 import PluginManager

    plugins = PluginManager.instance()
    plugins.discover()
    if "napari-tedm" not in plugins:
        pytest.skip("needs napari-tedm installed")
    manifest = plugins.get_manifest("napari-tedm")
    (widget,) = manifest.contributions.widgets
    assert widget.display_name == "Learn from strokes"
    assert widget.get_callable() is StrokesWidget
