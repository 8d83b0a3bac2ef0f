"""A reader joins: a module with the names of `Reader`, and an entry in `READERS`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.extract.images import READERS, FileLabels, Header, read_image, read_manifest, read_mask
from tedm.extract.images.read import suffix_of
from tedm.extract.images.reader import naming, whole_labels


class Arrays:
    """Files of NumPy: what CONTRIBUTING.md asks for, as an object in place of a module."""

    KINDS = ("NumPy",)

    def read_header(self, path: Path) -> Header:
        array = np.load(path, mmap_mode="r")
        return Header(array.shape[0], array.shape[1], array.dtype.name, array.dtype.itemsize * 8, 1000.0)

    def read_intensities(self, path: Path) -> tuple[np.ndarray, Header]:
        return np.load(path)[..., None], self.read_header(path)

    def read_labels(self, path: Path) -> FileLabels:
        return FileLabels(np.load(path).astype(np.int32))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an image and its mask, in a kind of file that a reader for it makes known."""
    monkeypatch.setitem(READERS, ".slice.npy", Arrays())
    rng = np.random.default_rng(4)
    for folder, high in (("images", 1001), ("masks", 3)):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "a.slice.npy", rng.integers(0, high, (5, 6)).astype(np.int16))
    return tmp_path


def test_its_files_are_listed_checked_and_read(files: Path) -> None:
    manifest = read_manifest(files)
    (entry,) = manifest.entries
    assert (entry.name, entry.size, manifest.classes) == ("a", (5, 6), (0, 1, 2))
    expected = np.load(files / "images" / "a.slice.npy") / 1000
    assert np.array_equal(read_image(entry.image, channels=1, intensity_range=None)[..., 0], expected.astype(np.float32))
    assert entry.mask is not None
    assert np.array_equal(read_mask(entry.mask), np.load(files / "masks" / "a.slice.npy"))


def test_messages_name_its_kind(files: Path) -> None:
    (files / "b.mha").touch()
    with pytest.raises(TedmError, match=r"PNG, JPEG, TIFF, NumPy, .* are \(.png, .*, .slice.npy, "):
        read_image(files / "b.mha", channels=1, intensity_range=None)


def test_transparency_may_repeat_labels_but_not_add_to_them(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    for alpha in (labels * 100, 200 - labels, np.minimum(labels, 1), labels * 0 + 7):
        assert np.array_equal(whole_labels(tmp_path / "a.png", labels[..., None], alpha), labels)
    for alpha in (labels[:, ::-1] + np.uint8([[1], [0]]), np.eye(2, 3, dtype=np.uint8)):
        with pytest.raises(TedmError, match=r"a\.png: a mask whose transparency tells pixels of one value apart"):
            whole_labels(tmp_path / "a.png", labels[..., None], alpha)


def test_the_longest_suffix_decides(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(READERS, ".npy", Arrays())
    assert suffix_of(Path("a.slice.npy")) == ".slice.npy"
    assert suffix_of(Path("a.npy")) == ".npy"


def test_a_lack_of_memory_while_decoding_names_the_file_and_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(TedmError, match=r"a\.png: too large for the memory that is free"), naming(tmp_path / "a.png"):
        raise MemoryError
