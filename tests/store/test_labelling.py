"""Labels and masks: appended when images are registered, and replaced."""

from __future__ import annotations

import dataclasses
import runpy
from pathlib import Path

import numpy as np
import pytest

from tedm.errors import TedmError
from tedm.store import IGNORE, FeatureStore
from tedm.store import labelling as labelling_module

SMALL = runpy.run_path(str(Path(__file__).with_name("test_disk.py")))
NAMES = SMALL["NAMES"]


def test_masks_are_written_in_parts_and_read_as_they_were(tmp_path, monkeypatch):
    monkeypatch.setattr(labelling_module, "MASKS_AT_ONCE", 2)
    store = SMALL["filled"](tmp_path / "s")
    for image in SMALL["registrations"]():
        assert np.array_equal(store.mask(image.name), image.mask)
    assert store.labels.labelled == tuple(int((image.mask != IGNORE).sum()) for image in SMALL["registrations"]())


def test_an_image_whose_name_was_not_written_does_not_exist_and_is_registered_anew(tmp_path, monkeypatch):
    store = SMALL["filled"](tmp_path / "s", names=NAMES[:2])
    put_column = labelling_module.Arrays.put_column

    def killed(self, column, start, values):
        if column == "name":
            raise KeyboardInterrupt
        put_column(self, column, start, values)

    with monkeypatch.context() as patched:
        patched.setattr(labelling_module.Arrays, "put_column", killed)
        with pytest.raises(KeyboardInterrupt):
            store.register(SMALL["registrations"](), (0, 255))
    store = FeatureStore.open(tmp_path / "s")
    assert store.labels.names == tuple(NAMES[:2])
    store.register(SMALL["registrations"](), (0, 255))
    assert store.labels.names == tuple(NAMES)
    assert store.missing() == NAMES[2:]


def test_names_that_are_gone_under_images_that_are_there_are_refused(tmp_path):
    SMALL["filled"](tmp_path / "s")
    empty = SMALL["filled"](tmp_path / "empty", names=NAMES[:1])
    (tmp_path / "s" / "name" / "c.0").write_bytes((empty.path / "name" / "c.0").read_bytes())
    with pytest.raises(TedmError, match="the labels name of its images are gone"):
        FeatureStore.open(tmp_path / "s")


def test_what_is_left_empty_stays_and_all_else_is_replaced(tmp_path):
    store = SMALL["filled"](tmp_path / "s")
    before = store.labels
    first, *_ = SMALL["registrations"]()
    mask = 1 - np.minimum(first.mask, 1)
    store.relabel([dataclasses.replace(first, split="test", group="", domain="", mask=mask)], (0, 255))
    after = FeatureStore.open(tmp_path / "s").labels
    assert after == dataclasses.replace(before, splits=("test", *before.splits[1:]), labelled=(mask.size, *before.labelled[1:]))
    assert np.array_equal(store.mask(first.name), mask)


def test_a_packed_mask_is_written_as_the_mask_it_was(tmp_path):
    plain, packed = (SMALL["filled"](tmp_path / name) for name in ("plain", "packed"))
    new = SMALL["registrations"](["four"])
    plain.register(new, (0, 255))
    packed.register([dataclasses.replace(each, mask=labelling_module.PackedMask(each.mask)) for each in new], (0, 255))
    np.testing.assert_array_equal(packed.mask("four"), plain.mask("four"))
    assert packed.labels == plain.labels
