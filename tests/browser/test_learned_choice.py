"""Learned rewards are offered by name and by alias, on Launch and in the sandbox; a refused one with its reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from backend.client import StudioClient
from backend.schemas.known_reward import RewardModel
from backend.schemas.registry import AliasSet
from tests.browser.conftest import OpenPage
from tests.browser.page_objects import LaunchPage
from tests.browser.test_rewards import train

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def taste(client: StudioClient, _up: tuple[str, Path]) -> RewardModel:
    """A reward model that is worth something, called taste."""
    model = train(client, _up[1], "a taste for blue", 150.0, 40)
    client.set_alias("taste", AliasSet(target=model.source))
    return model


@pytest.fixture(scope="module")
def coin(client: StudioClient, _up: tuple[str, Path]) -> RewardModel:
    """One that is no better than chance."""
    return train(client, _up[1], "nothing but coins", 0.0, 4)


def test_launch_offers_names_and_aliases_and_says_what_stands_behind(
    open_page: OpenPage, taste: RewardModel, coin: RewardModel
) -> None:
    form = LaunchPage(open_page("/launch", width=1280))
    form.page.locator("#field-rewards-2-name input").click()
    form.page.get_by_role("option", name="learned", exact=True).click()
    source = form.page.locator("#field-rewards-2-source input")
    source.click()
    expect(form.page.get_by_role("option", name=re.compile("^a taste for blue .*accuracy"))).to_be_visible()
    refused = form.page.get_by_role("option", name=re.compile("^nothing but coins .*refused: .*no better than chance"))
    expect(refused).to_be_visible()
    form.page.get_by_role("option", name=re.compile("^taste, now a taste for blue")).click()
    form.expect_yaml("source: alias:taste")
    behind = form.page.locator("#launch-side tr", has_text="Reward alias:taste")
    expect(behind).to_contain_text(f"a taste for blue (…{taste.source[-8:]}), accuracy")
    source.click()
    refused.click()
    form.expect_yaml(f"source: {coin.source}")
    expect(form.page.locator("#launch-side")).to_contain_text("the run would be refused")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_sandbox_asks_the_rewards_that_are_ticked_and_says_why_one_cannot_be_asked(
    open_page: OpenPage, taste: RewardModel, coin: RewardModel, tmp_path: Path, width: int
) -> None:
    Image.new("RGB", (64, 64), "blue").save(tmp_path / "blue.png")
    page = open_page("/reward-test", width=width)
    line = page.locator(".u-learned label", has_text="nothing but coins")
    expect(line.get_by_role("checkbox")).to_be_disabled()
    expect(line).to_contain_text("no better than chance")
    known = page.locator(".u-learned label", has_text="a taste for blue")
    expect(known).to_contain_text("alias:taste")
    expect(known.get_by_role("checkbox")).to_be_checked()
    expect(page.get_by_role("checkbox", name="strict")).to_be_checked()
    ticked = page.get_by_role("checkbox", checked=True)
    for _ in range(ticked.count()):
        ticked.first.uncheck()
    page.get_by_label("Picture", exact=True).set_input_files(tmp_path / "blue.png")
    page.get_by_label("Prompt", exact=True).fill("a photo of a blue circle")
    page.get_by_role("button", name="Test rewards").click()
    expect(page.get_by_role("alert")).to_contain_text("No reward is ticked")
    page.get_by_role("checkbox", name="strict").check()
    known.get_by_role("checkbox").check()
    page.get_by_role("button", name="Test rewards").click()
    expect(page.get_by_role("cell", name="learned (a taste for blue, taste)")).to_be_visible()
    expect(page.locator(".u-sandbox-table tbody tr")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
