"""Stages that work at the same time: the same items in order, a bounded number, errors where they belong."""

from __future__ import annotations

import threading
import time

import pytest

from tedm.extract.stages import Behind, Waited, ahead, pace


def test_items_made_ahead_are_the_same_in_the_same_order():
    assert list(ahead(range(50), waiting=3, waited=Waited())) == list(range(50))


def test_no_more_items_are_made_than_may_wait():
    made = []

    def items():
        for number in range(20):
            made.append(number)
            yield number

    for number in ahead(items(), waiting=2, waited=Waited()):
        time.sleep(0.005)
        assert len(made) <= number + 1 + 3  # the caller's, two that wait, one that is being made


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        raise OSError("the third disk")

    ready = ahead(items(), waiting=2, waited=Waited())
    assert next(ready) == 1
    with pytest.raises(OSError, match="third"):
        next(ready)


def test_a_caller_that_stops_stops_the_thread():
    before = threading.active_count()
    ready = ahead(iter(int, 1), waiting=1, waited=Waited())
    next(ready)
    ready.close()
    assert threading.active_count() == before


def test_waiting_is_counted_on_the_side_that_waits():
    waited = Waited()

    def slowly(_):
        time.sleep(0.05)

    with Behind(slowly, threads=1, waiting=1, waited=waited) as behind:
        for number in ahead(range(6), waiting=1, waited=waited):
            behind.put(number)
    assert waited.for_disk > 0.1 > waited.for_images


@pytest.mark.parametrize("threads", [1, 3])
def test_everything_is_taken_away_before_the_end(threads):
    taken = []
    with Behind(taken.append, threads=threads, waiting=2, waited=Waited()) as behind:
        for number in range(40):
            behind.put(number)
    assert sorted(taken) == list(range(40))
    assert threads > 1 or taken == sorted(taken)


def test_an_error_behind_stops_the_work_and_reaches_the_caller():
    taken = []

    def work(number):
        if number == 3:
            raise OSError("full")
        taken.append(number)

    def hand_over():
        with Behind(work, threads=1, waiting=1, waited=Waited()) as behind:
            for number in range(40):
                behind.put(number)
                time.sleep(0.001)

    with pytest.raises(OSError, match="full"):
        hand_over()
    assert taken == [0, 1, 2]


def test_what_was_handed_over_is_finished_when_the_caller_is_interrupted():
    taken = []

    def work(number):
        time.sleep(0.02)
        taken.append(number)

    def hand_over():
        with Behind(work, threads=1, waiting=2, waited=Waited()) as behind:
            for number in range(3):
                behind.put(number)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hand_over()
    assert taken == [0, 1, 2]


def test_the_pace_says_who_waits_for_whom():
    assert pace(5, 5, 10.0, Waited()) == "0.50 images/s, 10 s left, the disk waits for the device"
    assert "device waits for images 40 %" in pace(5, 5, 10.0, Waited(for_images=4.0, for_disk=1.0))
    assert pace(10, 0, 10.0, Waited()).startswith("1.00 images/s, the disk")


@pytest.mark.parametrize(("done", "rate"), [(5, "0.50"), (123, "12.3"), (4567, "457")])
def test_a_rate_has_three_digits(done, rate):
    assert pace(done, 1, 10.0, Waited()).startswith(f"{rate} images/s, ")
