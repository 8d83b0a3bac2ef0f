"""Freed memory is kept inside, with no pages made anew, and given back afterwards."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

STEPS = """
import contextlib, resource, sys, threading
import numpy as np
from tedm.allocator import freed_memory_kept

def faults(steps):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):  # several blocks, so that what is freed last is not simply taken again
        blocks = [np.ones(6 << 17) for _ in range(8)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

def in_a_thread():
    with freed_memory_kept():
        faults(2)

before = resident()
with freed_memory_kept():
    faults(2)
    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    kept = faults(10)  # the other context's end has not ended this one
    held = resident() - before
    with contextlib.suppress(ValueError), freed_memory_kept():
        raise ValueError
after = resident() - before
print(kept, held, after, faults(10))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc: nothing is changed there")
def test_freed_memory_is_kept_until_the_last_context_ends():
    ran = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    kept, held, after, outside = map(int, ran.stdout.split())
    a_step = 8 * (6 << 20) // 4096  # pages
    assert kept < a_step / 2  # ten steps made less than half of one's pages
    assert held > 40_000  # kB: the step's 48 MB are there still
    assert after < 8_000
    assert outside > 4 * kept
