"""Cells of a CSV file: no formula stays one, and every text comes back."""

from __future__ import annotations

import pytest

from backend.spreadsheets import as_written, plain


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\ta", "\ra", "'=1+1", "''=1", "'quoted'", "a=b", ""])
def test_no_cell_is_a_formula_and_every_text_comes_back(text: str) -> None:
    assert not plain(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert as_written(plain(text)) == text
