"""The C library's habit of giving memory back to the system, and how to stop it."""

import torch


def keep_freed_memory() -> None:
    """Let the process keep what it frees rather than fault the pages in again at the next call.

    glibc raises both of its limits (mmap and trim) to the size of a mapped block that is freed, up
    to 32 MiB. Without this, an iteration of training or a chunk of scoring spends up to a fifth of
    its time in page faults. Elsewhere it does nothing.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8)
