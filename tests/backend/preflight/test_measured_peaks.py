"""The preflight's memory is within a fifth of what training steps in a process of their own really take at the peak."""

from __future__ import annotations

import pytest

from tests.bench.measured_peaks import LARGEST_ERROR, error_of


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("name", ["small", "shipped"])
def test_the_estimated_peak_is_within_a_fifth_of_the_measured_one(name: str) -> None:
    assert abs(error_of(name)) <= LARGEST_ERROR
