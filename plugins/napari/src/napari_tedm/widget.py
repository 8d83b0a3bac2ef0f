"""What people see: what to open, the classes to paint with, a button that learns, and one that saves.

Whatever takes time runs in a thread; the viewer can be painted on meanwhile. What is wrong is said in a sentence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.qt.threading import create_worker
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray
from qtpy.QtCore import QTimer
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QApplication

from napari_tedm.form import LEARNERS, Form, in_words, sentence_of
from napari_tedm.gallery import Gallery, Scene, open_gallery
from napari_tedm.painting import Painting, Round
from tedm.errors import TedmError
from tedm.heads import Segmenter
from tedm.store.place import is_url
from tedm.study.strokes.learn import Look
from tedm.text import counted

if TYPE_CHECKING:
    from napari.viewer import Viewer

BACKGROUND = "#8ea3b8"  # strokes in black are not seen on a dark image
SOON = 1500  # milliseconds after a stroke, until it is on the disk
FOUND = (TedmError, OSError, MemoryError)


class StrokesWidget(Form):
    """The dock widget.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.painting: Painting | None = None
        self.strokes: Labels | None = None
        self.mask: Labels | None = None
        self.uncertainty: Image | None = None
        self._picture: Image | None = None
        self._worker: Any = None
        self._next: Callable[[], None] | None = None
        self._mute = False
        self.open_button.clicked.connect(lambda: self.open())
        self.titles.activated.connect(lambda _: self.choose(self.titles.currentText()))
        self.classes.currentIndexChanged.connect(self._class_chosen)
        self.new_class.returnPressed.connect(self.add_class)
        self.add_button.clicked.connect(self.add_class)
        self.fit_button.clicked.connect(lambda: self.fit())
        self.save_button.clicked.connect(lambda: self.save())
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON)
        self._soon.timeout.connect(self.keep)
        self.viewer.layers.events.removed.connect(self._removed)
        self._enable()
        self.say("Open a feature store, or an image with the checkpoint of its diffusion model.")
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.keep)

    # What can be pressed

    def _enable(self) -> None:
        there = self.strokes is not None
        for part in (self.titles, self.classes, self.new_class, self.fit_button, self.save_button):
            part.setEnabled(there or (part is self.titles and self.painting is not None))
        masks = self.painting is not None and any(self.painting.gallery.features.labels.labelled)
        in_store = self.painting is not None and self.painting.gallery.store is not None
        self.with_masks.setEnabled(there and masks and in_store)

    def _done(self, what: Callable[[], None]) -> bool:
        """Do something, or say why it cannot be done."""
        try:
            what()
        except FOUND as error:
            self.say(sentence_of(in_words(error)), wrong=True)
            return False
        return True

    # Opening

    def open(self) -> None:
        """Open what the lines name, in a thread."""
        place = self.source.text()
        if not place:
            self.say("Name a feature store, an image, a volume or a folder of these first.", wrong=True)
            return
        if not self._done(self._keep_now):
            return
        source = place if is_url(place) else Path(place).expanduser()
        head, checkpoint, images, folder = (each.path() for each in (self.head, self.checkpoint, self.images, self.folder))

        def work() -> Iterator[Painting]:
            gallery: Gallery = open_gallery(source, head=head, checkpoint=checkpoint, images=images)
            yield Painting(gallery, folder)

        self._start(work, self._opened, f"Opening {place} ...")

    def _opened(self, painting: Painting) -> None:
        if self.strokes is not None:  # somebody may have painted on it meanwhile
            if not self._done(self._keep_now) or not self._done(painting.restore):
                return
            self._clear()
        self.painting = painting
        self.titles.clear()
        self.titles.addItems(list(painting.gallery.titles))
        self._show_classes()
        self.choose(painting.gallery.titles[0], [*painting.gallery.remarks, *painting.remarks])

    def choose(self, title: str, remarks: Sequence[str] = ()) -> None:
        """Show a picture or volume with its strokes, and with the mask of the head if there is one."""
        if self.painting is None or not self._done(self._keep_now):
            return
        self.stop()
        try:
            numbers = self.painting.choose(title)
        except FOUND as error:
            self._clear()
            self._enable()
            self.say(sentence_of(in_words(error)), wrong=True)
            return
        self.titles.setCurrentText(title)
        scene = self.painting.scene
        self._show_picture(scene)
        self.mask = self.viewer.add_labels(np.zeros(scene.shape, np.uint8), name="mask", opacity=0.45)
        self.strokes = self.viewer.add_labels(numbers, name="strokes", opacity=0.9)
        self.strokes.brush_size = max(1, round(min(scene.shape[-2:]) / 64))
        self.strokes.n_edit_dimensions = 2
        self.strokes.mode = "paint"
        self.strokes.events.selected_label.connect(self._label_selected)
        self.strokes.events.paint.connect(lambda _: self._soon.start())
        self._show_colours()
        self._class_chosen(max(0, self.classes.currentIndex()))
        self.viewer.layers.selection.active = self.strokes
        self.viewer.reset_view()
        self._enable()
        said = [
            *remarks,
            *scene.remarks,
            f"Paint a stroke of each class, then fit. Strokes are kept in {self.painting.folder}.",
        ]
        self.say("\n".join(sentence_of(each) for each in said))
        if self.painting.head is not None:
            self._start(self._looking, self._seen, self.said.text())

    def _show_picture(self, scene: Scene) -> None:
        """Put a picture and nothing else into the viewer; its layers are those of the last one where they can be."""
        rgb = scene.picture.ndim == 3 and not scene.is_volume
        last, unsure = self._picture, self.uncertainty
        fits = last is not None and last in self.viewer.layers and last.rgb == rgb and last.ndim == len(scene.shape)
        if fits and last is not None and unsure is not None and unsure in self.viewer.layers:
            self._clear(keep=(last, unsure))
            last.data, last.name = scene.picture, scene.title
            if not rgb:
                last.reset_contrast_limits()
            unsure.data, unsure.visible = np.zeros(scene.shape, np.float32), False
            self._picture, self.uncertainty = last, unsure
            return
        self._clear()
        self._picture = self.viewer.add_image(scene.picture, name=scene.title, rgb=rgb)
        self.uncertainty = self.viewer.add_image(
            np.zeros(scene.shape, np.float32),
            name="uncertainty",
            colormap="cyan",
            blending="additive",
            opacity=0.4,
            contrast_limits=(0, 1),
            visible=False,
        )

    def _clear(self, keep: Sequence[Layer] = ()) -> None:
        """Remove our layers, but for some; strokes are kept before. Labels are never used again: they can be undone."""
        layers: list[Layer | None] = [self._picture, self.uncertainty, self.mask, self.strokes]
        self._picture = self.uncertainty = self.mask = self.strokes = None
        for layer in layers:
            if layer is not None and layer in self.viewer.layers and layer not in keep:
                self.viewer.layers.remove(layer)

    def _removed(self, event: Any) -> None:
        """Keep what was painted on a layer that somebody removes."""
        layer = getattr(event, "value", None)
        if layer is None or layer is not self.strokes or self.painting is None:
            return
        if self._done(lambda: self.painting.keep(layer.data)):  # type: ignore[union-attr]  # it was looked at
            self.say(f"The layer of strokes was removed; they are in {self.painting.folder}. Choose the image again to go on.")
        self.strokes = None
        self._enable()

    # Painting

    def _show_classes(self) -> None:
        if self.painting is None:
            return
        classes, chosen = self.painting.classes, max(0, self.classes.currentIndex())
        self._mute = True
        self.classes.clear()
        for name, colour in zip(classes.names, self._colours(), strict=True):
            swatch = QPixmap(14, 14)
            swatch.fill(QColor(colour))
            self.classes.addItem(QIcon(swatch), name)
        self._mute = False
        self.classes.setCurrentIndex(min(chosen, len(classes.names) - 1))
        self._show_colours()

    def _colours(self) -> tuple[str, ...]:
        """Colours of strokes: those of the classes, and a background that is seen on black."""
        colours = () if self.painting is None else self.painting.classes.colours
        return tuple(BACKGROUND if colour == "#000000" else colour for colour in colours)

    def _show_colours(self) -> None:
        if self.painting is None:
            return
        names = ["nothing", *self.painting.classes.names]
        for layer, first in ((self.strokes, 1), (self.mask, 2)):  # the background of a mask is not drawn over the image
            if layer is None:
                continue
            numbered: dict[int | None, str] = {None: "transparent", 0: "transparent", 1: "transparent"}
            numbered |= {k: colour for k, colour in enumerate(self._colours(), 1) if k >= first}
            layer.colormap = DirectLabelColormap(color_dict=numbered)
            layer.features = {"index": list(range(len(names))), "class": names}

    def _class_chosen(self, index: int) -> None:
        if self.strokes is not None and index >= 0 and not self._mute:
            self.strokes.selected_label = index + 1

    def _label_selected(self, _: Any) -> None:
        if self.strokes is not None and 1 <= self.strokes.selected_label <= self.classes.count():
            self.classes.setCurrentIndex(self.strokes.selected_label - 1)

    def add_class(self) -> None:
        """Add the class whose name was typed, and paint with it."""
        painting, name = self.painting, self.new_class.text().strip()
        if painting is None:
            return
        if self._done(lambda: void(painting.add_class(name))):
            self.new_class.clear()
            self._show_classes()
            self.classes.setCurrentIndex(self.classes.count() - 1)
            self.say(f"Paint with {name}.")

    def keep(self) -> None:
        """Write the strokes to their folder, and say so if that fails."""
        self._done(self._keep_now)

    def _keep_now(self) -> None:
        self._soon.stop()
        if self.painting is not None and self.strokes is not None:
            chosen = self.folder.path()
            if chosen is not None and chosen != self.painting.folder:  # where the one before is full, say
                self.painting.move(chosen)
            self.painting.keep(self.strokes.data)

    # Learning

    def fit(self) -> None:
        """Learn from the strokes in a thread, and show mask and uncertainty as they come."""
        painting, strokes = self.painting, self.strokes
        if painting is None or strokes is None:
            return
        begun: list[Round] = []
        if not self._done(self._keep_now) or not self._done(lambda: begun.append(painting.begin(strokes.data))):
            return
        learner, with_masks = (
            LEARNERS[self.learner.currentIndex()][1],
            self.with_masks.isChecked() and self.with_masks.isEnabled(),
        )
        start = time.perf_counter()

        def work() -> Iterator[tuple[int, Look, Segmenter]]:
            head = painting.learn(begun[0], learner, with_masks=with_masks)
            yield from ((number, seen, head) for number, seen in painting.looks(self._plane()))

        took: list[float] = []

        def seen(result: tuple[int, Look, Segmenter]) -> None:
            self._seen(result)
            took.append(time.perf_counter() - start)
            learned, planes = counted(len(result[2].provenance.images), "image"), len(painting.scene.names)
            if len(took) == 1:
                self.say(
                    f"Learned from {learned} in {took[0]:.1f} s. Paint where the mask is wrong, or where the uncertainty is "
                    "bright, and fit again."
                )
            self.slices.setText(f"{len(took)} of {planes} slices are segmented")
            self.slices.setVisible(painting.scene.is_volume)

        self._start(work, seen, "Learning ...")

    def _looking(self) -> Iterator[tuple[int, Look, Segmenter]]:
        painting = self.painting
        if painting is not None and painting.head is not None:
            head = painting.head
            yield from ((number, seen, head) for number, seen in painting.looks(self._plane()))

    def _plane(self) -> int:
        volume = self.painting is not None and self.painting.scene.is_volume
        return int(self.viewer.dims.current_step[-3]) if volume else 0

    def _seen(self, result: tuple[int, Look, Segmenter]) -> None:
        number, seen, head = result
        if self.painting is None or self.mask is None or self.uncertainty is None:
            return
        self.uncertainty.visible = True
        for layer, plane in ((self.mask, self.painting.numbers_of(head, seen.mask)), (self.uncertainty, seen.uncertainty)):
            if self.painting.scene.is_volume:
                layer.data[number] = plane
            else:
                layer.data[:] = plane
            layer.refresh()

    # Saving

    def save(self) -> None:
        """Write what tedm-label takes, and say the command."""
        painting, strokes = self.painting, self.strokes
        if painting is None or strokes is None:
            return

        def write() -> None:
            self._keep_now()
            whole = self.what.currentIndex() == 1
            if whole and (self.mask is None or not self.mask.data.any()):
                raise TedmError("there is no mask to correct yet; fit first, or save the strokes")
            under: NDArray[Any] | None = self.mask.data if whole and self.mask is not None else None
            saved = painting.save(strokes.data, under)
            store = painting.gallery.store
            if store is None:
                self.say(f"Saved masks of {counted(saved.images, 'image')}: {saved.manifest}")
            else:
                self.say(
                    f"Saved masks of {counted(saved.images, 'image')}. To bring them into the store:\n{saved.command(store)}"
                )

        self._done(write)

    # Threads

    def _start(self, work: Callable[[], Iterator[Any]], result: Callable[[Any], None], saying: str) -> None:
        """Run a generator in a thread, after the one that runs; what it yields comes here one by one."""

        def begin() -> None:
            worker = create_worker(work, _ignore_errors=True)
            worker.yielded.connect(lambda each: result(each) if worker is self._worker else None)
            worker.errored.connect(lambda error: self._failed(error) if worker is self._worker else None)
            worker.finished.connect(lambda: self._finished(worker))
            self._worker = worker
            self.say(saying)
            self.slices.hide()
            worker.start()

        if self._worker is None:
            begin()
        else:
            self._next = begin
            self._worker.quit()

    def stop(self) -> None:
        """Have nothing more come of what runs."""
        if self._worker is not None:
            self._next = self._next or (lambda: None)
            self._worker.quit()

    def _finished(self, worker: Any) -> None:
        if worker is not self._worker:
            return
        self._worker, following, self._next = None, self._next, None
        self._enable()
        if following is not None:
            following()

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, FOUND):
            raise error
        self.say(sentence_of(in_words(error)), wrong=True)

    @property
    def busy(self) -> bool:
        """Whether something runs in a thread."""
        return self._worker is not None


def void(_: object) -> None:
    """Do nothing with a value."""
