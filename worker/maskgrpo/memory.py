"""Tells a want of memory from other failures, on every device."""

from __future__ import annotations

import torch

_WORDS = (
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, says that memory ran out.

    A GPU's allocator raises a class of its own; that of the CPU and a GPU's libraries raise a plain RuntimeError, which
    only its words tell apart.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS):
        return True
    return error.__cause__ is not None and is_out_of_memory(error.__cause__)
