"""The lines and buttons of the widget, and how sentences are shown in it; nothing here does anything."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from tedm.study.strokes.learn import Learner

LEARNERS: tuple[tuple[str, Learner], ...] = (("logistic regression", "logistic"), ("shared MLP", "mlp"))


class Form(QWidget):  # type: ignore[misc]  # Qt has no types here
    """What is seen, from top to bottom: open, paint, learn, save, and a sentence."""

    def __init__(self) -> None:
        super().__init__()
        outer = QVBoxLayout(self)
        opened = QFormLayout()
        self.setMinimumWidth(350)
        self.source = Place("store, image or volume", "A feature store; or a picture, a volume, a folder or a manifest")
        self.head = Place("none", "A saved head: its mask is seen first, and its classes are painted with", files=False)
        self.checkpoint = Place("of a store: none", "Of the diffusion model, for images that are in no store", folders=False)
        self.images = Place("none", "The folder or manifest of a store's images, to see them sharply")
        self.folder = Place("beside what is opened", "Where strokes and corrections are kept", files=False)
        for title, place in (
            ("Open", self.source),
            ("Head", self.head),
            ("Checkpoint", self.checkpoint),
            ("Images", self.images),
            ("Strokes", self.folder),
        ):
            opened.addRow(title, place)
        self.open_button = QPushButton("Open")
        self.titles = QComboBox()
        self.titles.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.titles.setMinimumContentsLength(12)
        opened.addRow(self.open_button)
        opened.addRow("Image", self.titles)
        outer.addWidget(boxed("1  Open", opened))

        painted = QFormLayout()
        self.classes = QComboBox()
        self.classes.setIconSize(QSize(14, 14))
        self.new_class = QLineEdit()
        self.new_class.setPlaceholderText("another class")
        self.add_button = QToolButton()
        self.add_button.setText("+")
        line = QHBoxLayout()
        line.addWidget(self.new_class)
        line.addWidget(self.add_button)
        painted.addRow("Class", self.classes)
        painted.addRow("Add", line)
        outer.addWidget(boxed("2  Paint", painted))

        learned = QFormLayout()
        self.learner = QComboBox()
        self.learner.addItems([title for title, _ in LEARNERS])
        self.with_masks = QCheckBox("learn from the store's masks, too")
        self.fit_button = QPushButton("Fit")
        learned.addRow("Head", self.learner)
        learned.addRow(self.with_masks)
        self.slices = QLabel()
        self.slices.hide()
        learned.addRow(self.fit_button)
        learned.addRow(self.slices)
        outer.addWidget(boxed("3  Learn", learned))

        saved = QHBoxLayout()
        self.what = QComboBox()
        self.what.addItems(["the strokes", "the corrected mask"])
        self.save_button = QPushButton("Save corrections")
        saved.addWidget(self.what)
        saved.addWidget(self.save_button)
        outer.addWidget(boxed("4  Save for tedm label", saved))

        self.said = QLabel()
        self.said.setWordWrap(True)
        self.said.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.said.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.said.setMinimumHeight(96)
        outer.addWidget(self.said)
        outer.addStretch(1)

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Show a sentence below the buttons; one on something wrong in another colour."""
        with contextlib.suppress(RuntimeError):  # Qt has deleted it: the window was closed while something computed
            self.said.setStyleSheet("color: #e5735c" if wrong else "")
            self.said.setText(text)


class Place(QWidget):  # type: ignore[misc]
    """A line for a path, and a button to choose one."""

    def __init__(self, hint: str, about: str, *, files: bool = True, folders: bool = True) -> None:
        super().__init__()
        self.line = QLineEdit()
        self.line.setPlaceholderText(hint)
        self.setToolTip(about)
        button = QToolButton()
        button.setText("...")
        if files and folders:
            menu = QMenu(button)
            menu.addAction("A file", self._file)
            menu.addAction("A folder", self._folder)
            button.setMenu(menu)
            button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        else:
            button.clicked.connect(self._file if files else self._folder)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.line)
        layout.addWidget(button)

    def text(self) -> str:
        """What stands in the line."""
        return str(self.line.text()).strip()

    def path(self) -> Path | None:
        """The same as a path; None if nothing does."""
        return Path(self.text()).expanduser() if self.text() else None

    def set(self, place: Path | str | None) -> None:
        """Write a path into the line."""
        self.line.setText("" if place is None else str(place))

    def _file(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Choose a file")
        if chosen:
            self.set(chosen)

    def _folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Choose a folder")
        if chosen:
            self.set(chosen)


def boxed(title: str, layout: Any) -> QGroupBox:
    box = QGroupBox(title)
    layout.setContentsMargins(8, 6, 8, 6)
    if isinstance(layout, QFormLayout):
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    box.setLayout(layout)
    return box


def sentence_of(text: str) -> str:
    """Return a remark with a capital letter in front and a full stop behind, where a word begins and ends it."""
    first = text[:1].upper() if "/" not in text.split(" ", 1)[0] and "." not in text.split(" ", 1)[0] else text[:1]
    return f"{first}{text[1:]}" + ("" if text.endswith((".", ":", ")")) else ".")


def in_words(error: BaseException) -> str:
    """Return what is wrong in words."""
    if isinstance(error, MemoryError):
        return "out of memory; the strokes are safe. Open a smaller image, or close other programs"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror or error}" if error.filename else str(error.strerror or error)
    return str(error)
