"""One image of a manifest: what its files are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tedm.extract.images.entry import ManifestEntry


def test_a_picture_by_itself_is_called_after_its_file(tmp_path: Path) -> None:
    entry = ManifestEntry.of_picture(tmp_path / "a.b.png")
    assert (entry.name, entry.group, entry.mask, entry.split, entry.volume) == ("a.b", "a.b", None, "", None)
    assert entry.files == (tmp_path / "a.b.png",)


def test_an_image_is_another_one_when_any_of_its_files_changes(tmp_path: Path) -> None:
    for name, content in (("image", "1"), ("more", "22"), ("brain", "333"), ("mask", "4444")):
        (tmp_path / name).write_text(content)
    plain = ManifestEntry.of_picture(tmp_path / "image")
    whole = replace(plain, more=(tmp_path / "more",), brain=tmp_path / "brain", mask=tmp_path / "mask")
    assert whole.files == (tmp_path / "image", tmp_path / "more")
    assert (plain.source.image.nbytes, whole.source.image.nbytes, whole.source.mask.nbytes) == (1, 6, 4)
    for name in ("more", "brain", "mask"):
        before = whole.source
        (tmp_path / name).write_text("another")
        assert whole.source != before
