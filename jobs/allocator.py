"""The C library's allocator, told to keep the memory that the model frees.

Each pass of the model, and each fit, takes tens of megabytes and gives them back. Left to itself glibc returns them to
the system and asks for them again, zeroed page by page, every time, which slows a busy service or a small job.
"""

import ctypes

# From malloc.h, the same for every platform of glibc.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8

KEPT_BYTES = 128 * 2**20
LARGEST_KEPT_BYTES = 64 * 2**20  # larger blocks, such as an hour of audio, go back to the system at once
NUM_ARENAS = 1  # one pool for all threads, so that what one of them frees serves the next


def keep_freed_memory() -> None:
    """Set it for this process, before it has threads; without glibc nothing is done."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
    mallopt(M_ARENA_MAX, NUM_ARENAS)
