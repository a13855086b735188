"""A studio in which nothing has run says what to do first."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from backend.client import StudioClient
from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _nothing_has_run(client: StudioClient) -> None:
    assert not client.list_runs(limit=1).data, "runs exist already: this file must come first in its session"


def test_home_offers_the_default_recipe_in_one_click(open_page: OpenPage, client: StudioClient) -> None:
    page = open_page("/")
    expect(page.get_by_text("Nothing has run yet")).to_be_visible()
    recipe = next(recipe for recipe in client.list_recipes() if recipe.name == "tiny-shapes")
    expect(page.get_by_role("button", name=f"Launch {recipe.title}")).to_be_enabled()


def test_the_list_of_runs_says_what_will_be_there(open_page: OpenPage) -> None:
    page = open_page("/runs")
    expect(page.get_by_text("No runs yet")).to_be_visible()
    expect(page.locator(".u-empty").get_by_role("link", name="Launch a run")).to_be_visible()


def test_the_models_are_the_shipped_one_and_what_will_be_there(open_page: OpenPage) -> None:
    page = open_page("/models")
    expect(page.get_by_text("Nothing is trained yet")).to_be_visible()
    expect(page.get_by_text("No name yet.")).to_be_visible()
    expect(page.get_by_text("nothing was made from it yet")).to_be_visible()


def test_the_rewards_say_how_one_is_learned(open_page: OpenPage) -> None:
    page = open_page("/rewards")
    expect(page.get_by_text("No reward has been learned from votes yet")).to_be_visible()
    expect(page.locator(".u-empty").get_by_role("link", name="Label tasks")).to_be_visible()
    expect(page.locator(".u-rewards tr", has_text="log-odds of a preference")).to_contain_text("not here")


def test_label_says_what_a_task_is_and_what_to_launch_first(open_page: OpenPage) -> None:
    page = open_page("/label")
    expect(page.get_by_text("No label tasks yet")).to_be_visible()
    page.locator(".u-empty").get_by_role("button", name="New task").click()
    expect(page.get_by_text("There are no pictures to judge yet")).to_be_visible()
    expect(page.get_by_role("link", name="Launch an evaluation")).to_be_visible()


def test_the_pair_sets_say_what_they_are_and_where_votes_come_from(open_page: OpenPage) -> None:
    page = open_page("/pairs")
    expect(page.get_by_text("No pair sets yet")).to_be_visible()
    page.locator(".u-empty").get_by_role("button", name="Freeze votes").click()
    expect(page.get_by_text("There is no label task yet")).to_be_visible()
    expect(page.get_by_role("link", name="New label task")).to_have_attribute("href", "/label?new")
