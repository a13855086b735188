"""A want of memory is told from other failures, also where it is another error's cause."""

from __future__ import annotations

import pytest
import torch

from worker.maskgrpo.memory import is_out_of_memory


def test_the_cpus_allocator_that_fails_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert is_out_of_memory(caught.value)


def test_a_gpus_and_pythons_are_recognised() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))


def test_a_cause_counts_and_other_failures_do_not() -> None:
    outer = RuntimeError("a step failed")
    assert not is_out_of_memory(outer)
    outer.__cause__ = MemoryError()
    assert is_out_of_memory(outer)
    assert not is_out_of_memory(ValueError("memory is a word"))
