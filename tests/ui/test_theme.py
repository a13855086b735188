"""The colours keep their promises."""

from __future__ import annotations

import pytest

from ui.theme import DARK, DARK_SERIES, LIGHT, SERIES, TEXT_ON_GROUND, contrast, css_variables


def test_contrast_of_black_on_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#ffffff", "#777777") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "grounds"), TEXT_ON_GROUND, ids=[text for text, _ in TEXT_ON_GROUND])
def test_text_reads_on_every_ground_it_stands_on(colours: dict[str, str], text: str, grounds: tuple[str, ...]) -> None:
    for ground in grounds:
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


def test_light_and_dark_name_the_same_colours() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert SERIES.keys() == DARK_SERIES.keys()


def test_every_colour_reaches_the_page_in_both_modes() -> None:
    css = css_variables()
    for name in {**LIGHT, **SERIES}:
        assert css.count(f"--u-{name}:") == 3, name
