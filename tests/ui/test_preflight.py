"""The preflight's card: the verdict, every part, every change with its figures, and nothing that is not escaped."""

from __future__ import annotations

from pathlib import Path

from backend.preflight.service import preflight
from backend.schemas.preflight import Preflight, PreflightRequest
from ui.components.preflight import gib, number, preflight_panel, unknown_panel


def told(tmp_path: Path, **request: object) -> Preflight:
    config = {"kind": "train", "policy": {"source": "showlab/show-o", "device": "cuda"}}
    return preflight(PreflightRequest.model_validate({"config": config, **request}), (), tmp_path / "runs")


def test_what_does_not_fit_shows_every_change_with_its_figures(tmp_path: Path) -> None:
    found = told(tmp_path, accelerator="RTX 4090")
    html = preflight_panel(found)
    assert "It does not fit" in html
    for change in found.changes:
        assert f"{change.setting} = {change.value}" in html
        assert gib(change.peak_bytes) in html
    for part in found.parts:
        assert f"<td>{part.name}</td>" in html


def test_what_fits_shows_no_change(tmp_path: Path) -> None:
    html = preflight_panel(told(tmp_path, accelerator="H200", memory_gib=100_000))
    assert "It fits" in html
    assert "Change, in this order" not in html


def test_words_of_others_are_escaped() -> None:
    assert "<script>" not in unknown_panel("<script>", "<script>")


def test_numbers_have_three_digits_and_no_powers_of_ten() -> None:
    assert (number(0.01234), number(12.34), number(123456.7)) == ("0.0123", "12.3", "123,457")
