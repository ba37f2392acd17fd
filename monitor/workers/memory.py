"""Memory between passes: what a process frees and soon takes again, and what it never frees."""

import gc
from typing import Final

import numpy as np

KEPT_BYTES: Final = (1 << 25) - (1 << 16)


def keep_freed_memory() -> None:
    """Let the C library keep freed memory, up to twice 32 MiB, for the next arrays.

    glibc gives back the end of its heap once twice its threshold is free there. Reading windows takes and frees some
    thousand arrays a second, and every page given back is faulted in again: a fifth of the time. The threshold is the
    largest block that was mapped by itself and freed, up to 32 MiB (mallopt(3)); this frees one of nearly that, which
    was never touched. Other C libraries are left as they are.
    """
    block = np.empty(KEPT_BYTES, np.uint8)
    del block


def pass_over_startup() -> None:
    """Leave what is there when work begins, modules and settings, out of the search for garbage from now on.

    Reading a thousand series makes some hundred thousand tuples and dicts, and the collector is called as they grow in
    number: with all modules in its view each time, that was a fifth of the time of reading.
    """
    gc.collect()
    gc.freeze()
