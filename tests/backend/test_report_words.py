"""Numbers in the report are written as the pages write them."""

from __future__ import annotations

import pytest

from backend.evaluations.report.words import figure, signed


@pytest.mark.parametrize(
    ("value", "told"),
    [(None, "–"), (0.0, "0"), (-1.0, "−1"), (0.12345, "+0.123"), (-0.00001, "−1e−05"), (1234.5, "+1.23e+03")],
)
def test_numbers_are_told_with_three_digits_and_a_true_minus(value: float | None, told: str) -> None:
    assert signed(value) == told
    assert figure(value) == told.lstrip("+")
