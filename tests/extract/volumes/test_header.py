"""A header is plain values: it can be compared and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tedm.extract.volumes.header import VolumeHeader


def test_headers_of_one_file_are_equal():
    eye = tuple(map(tuple, np.eye(4).tolist()))
    one, other = (VolumeHeader("nifti", (2, 3, 4), 1, eye, 1, 2, "int16", 16, None, (Path("a.nii"),)) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
