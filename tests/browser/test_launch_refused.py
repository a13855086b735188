"""Launch says what is wrong where it is wrong: an unknown recipe, a refused value, a policy that is nowhere."""

from __future__ import annotations

import re

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


def test_the_button_says_why_nothing_happened_and_the_field_is_marked(open_page: OpenPage) -> None:
    page = open_page("/launch?recipe=tiny-shapes")
    source = page.locator("#field-policy-source textarea, #field-policy-source input").first
    source.fill("run:nope")
    said, button = page.locator("#launch-said"), page.locator("#launch-button")
    button.click()
    expect(said).to_contain_text("Nothing was launched")
    expect(said).to_contain_text("there is no run nope")
    expect(page.locator("#field-policy-source")).to_have_css("outline-style", "solid")


def test_what_is_pasted_or_deleted_is_noticed_as_what_is_typed(open_page: OpenPage) -> None:
    page = open_page("/launch?recipe=tiny-shapes")
    side = page.locator("#launch-side")
    expect(side).to_contain_text("Exactly Tiny shapes")
    source = page.locator("#field-policy-source textarea, #field-policy-source input").first
    source.focus()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("run:pasted")
    expect(side).to_contain_text(re.compile(r"source: run:pasted\b"))
    page.keyboard.press("Backspace")
    expect(side).to_contain_text(re.compile(r"source: run:paste\b"))
