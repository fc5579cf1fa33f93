"""Memory that a worker frees is kept for what it computes next."""

import ctypes
import os
from functools import cache

__all__ = ["keep_freed_memory"]

# What Dask's nanny puts into MALLOC_TRIM_THRESHOLD_ (bytes) unless it is told something else.
DASKS_THRESHOLD = "65536"
# Parameters of mallopt (malloc.h), and what they become: enough for a batch of a network.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT, LARGEST = 256 << 20, 32 << 20


@cache
def keep_freed_memory() -> bool:
    """
    Undo what Dask's nanny tells the allocator of a worker.

    With its threshold each tensor of a network is given back to the system when it
    is freed and asked of it again, page by page, which takes as long as a small
    network. Another value than Dask's own is somebody's choice and stays.

    Returns
    -------
    changed : bool
        Whether it was changed: not outside such a worker, nor without glibc.
    """
    if os.environ.get("MALLOC_TRIM_THRESHOLD_") != DASKS_THRESHOLD:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(M_TRIM_THRESHOLD, KEPT) and mallopt(M_MMAP_THRESHOLD, LARGEST))
