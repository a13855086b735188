"""Launch says what is wrong where it is wrong: an unknown recipe."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_an_unknown_recipe_is_named_and_the_default_one_is_shown(open_page: OpenPage) -> None:
    page = open_page("/launch?recipe=nope")
    side = page.locator("#launch-side")
    expect(side).to_contain_text("there is no recipe 'nope'")
    expect(side).to_contain_text("What it will do")
    expect(page.locator("#recipe input")).to_have_value("Tiny shapes, Mask-GRPO")
