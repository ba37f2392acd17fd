"""Freed memory that is kept, and memory that is never freed."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from monitor.workers.memory import keep_freed_memory

{first}
def some_work():
    arrays = [np.ones(50_000) for _ in range(20)]

for _ in range(3):
    some_work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    some_work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(first: str) -> int:
    """Pages faulted in by twenty rounds of 8 MB that are taken and freed, in a process of its own."""
    ran = subprocess.run([sys.executable, "-c", FAULTS.format(first=first)], check=True, capture_output=True, text=True)
    return int(ran.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_memory_that_is_kept_is_not_faulted_in_again() -> None:
    kept, given_back = faults("keep_freed_memory()"), faults("")
    assert kept < 200
    assert given_back > 20_000


def test_the_search_for_garbage_passes_over_what_startup_left() -> None:
    text = (
        "import gc; import numpy; from monitor.workers.memory import pass_over_startup; before = len(gc.get_objects());"
        "pass_over_startup(); print(before, gc.get_freeze_count(), len(gc.get_objects()))"
    )
    ran = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True)
    before, frozen, seen = map(int, ran.stdout.split())
    assert before > 10_000
    assert frozen > 0.9 * before
    assert seen < 0.1 * before
