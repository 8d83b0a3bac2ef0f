"""What was found says nothing that nobody has said."""

from __future__ import annotations

from pathlib import Path

from tedm.extract.images.listing.found import Found
from tedm.extract.images.listing.rows import rows_of_folder


def test_a_folder_of_images_has_no_channels_no_classes_and_no_layout(tmp_path: Path) -> None:
    found = Found(tmp_path, *rows_of_folder(tmp_path))
    assert (found.channels, found.remarks, found.legend.names, found.is_data_set) == ((), (), {}, False)
