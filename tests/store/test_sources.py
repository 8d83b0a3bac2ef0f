"""Records of the files that a store has read."""

from __future__ import annotations

import os
import runpy
import shutil
from pathlib import Path

from tedm.store import FeatureStore, Source
from tedm.store.sources import UNKNOWN, UNREAD, Stamp

SMALL = runpy.run_path(str(Path(__file__).with_name("test_disk.py")))
NAMES = SMALL["NAMES"]
READ = Source(Stamp(5, 1_700_000_000_123_456_789), Stamp(6, -1))


def test_a_stamp_is_size_and_time_in_nanoseconds(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    os.utime(tmp_path / "a", ns=(0, 1_700_000_000_123_456_700))
    assert Stamp.of(tmp_path / "a") == (3, 1_700_000_000_123_456_700)
    assert Source.of([tmp_path / "a"], None) == Source(Stamp.of(tmp_path / "a"), UNKNOWN)
    assert Stamp.of(tmp_path / "b") == UNKNOWN


def test_records_are_written_for_some_images_and_others_stay(tmp_path):
    store = SMALL["filled"](tmp_path / "s")
    assert set(store.sources().values()) == {UNREAD}
    store.record({NAMES[1]: READ})
    assert FeatureStore.open(tmp_path / "s").sources() == {name: READ if name == NAMES[1] else UNREAD for name in NAMES}


def test_a_store_of_before_knows_nothing_until_something_is_recorded(tmp_path):
    SMALL["filled"](tmp_path / "s", names=NAMES[:2])
    shutil.rmtree(tmp_path / "s" / "source")
    store = FeatureStore.open(tmp_path / "s")
    assert store.sources() == dict.fromkeys(NAMES[:2], UNREAD)
    store.register(SMALL["registrations"](), (0, 255))
    store.record({})
    assert not (tmp_path / "s" / "source").exists()
    store.record({NAMES[-1]: READ})
    assert store.sources() == {**dict.fromkeys(NAMES[:-1], UNREAD), NAMES[-1]: READ}


def test_images_that_an_older_version_has_added_are_not_known(tmp_path):
    store = SMALL["filled"](tmp_path / "s", names=NAMES[:2])
    store.record(dict.fromkeys(NAMES[:2], READ))
    shutil.move(tmp_path / "s" / "source", tmp_path / "source")
    FeatureStore.open(tmp_path / "s").register(SMALL["registrations"](), (0, 255))
    shutil.move(tmp_path / "source", tmp_path / "s" / "source")
    store = FeatureStore.open(tmp_path / "s")
    assert store.sources() == {name: READ if name in NAMES[:2] else UNREAD for name in NAMES}
    store.record({NAMES[-1]: READ})
    assert [name for name, source in store.sources().items() if source == READ] == [*NAMES[:2], NAMES[-1]]
