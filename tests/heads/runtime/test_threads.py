"""Reading ahead and computing side by side change neither order nor errors, and leave nothing behind."""

from __future__ import annotations

import time

import pytest
import torch

from tedm.heads.runtime.threads import each_in_a_thread


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(threads):
    def slow_first(number):
        time.sleep(0.02 * (number == 0))
        return number**2, torch.get_num_threads()

    everywhere = torch.get_num_threads()
    results = list(each_in_a_thread(slow_first, iter(range(8)), threads))
    assert results == [(number**2, 1) for number in range(8)]
    assert torch.get_num_threads() == everywhere


def test_an_error_in_a_thread_is_the_callers():
    def fail(number):
        if number == 3:
            raise ValueError("three")
        return number

    with pytest.raises(ValueError, match="three"):
        list(each_in_a_thread(fail, iter(range(8)), 2))
