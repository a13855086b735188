"""Rewards: every reward by name, the learned ones with their figures, and the way from one to a run."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from backend.client import StudioClient
from backend.schemas.config import run_config_adapter
from backend.schemas.known_reward import RewardModel
from backend.schemas.run import RunCreate
from tests.browser.conftest import OpenPage
from tests.worker.preference_learning.votes import write_pair_set

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SMALL = {
    "kind": "reward_model",
    "policy": {"num_threads": 1, "device": "cpu"},
    "tuning": {"batch_size": 24, "learning_rate": 3e-4, "num_warmup_steps": 2},
    "probe_every": 10,
}


def train(client: StudioClient, data_dir: Path, name: str, sharpness: float, num_steps: int) -> RewardModel:
    """A reward model of simulated raters, to its end."""
    sha256 = write_pair_set(data_dir, num_prompts=40, pairs_per_prompt=4, sharpness=sharpness)
    config = SMALL | {"name": name, "pairs": {"source": sha256}, "num_steps": num_steps}
    run = client.create_run(RunCreate(config=run_config_adapter.validate_python(config)))
    list(client.watch(run.id))
    return client.get_reward_model(run.id)


@pytest.fixture(scope="module")
def proven(client: StudioClient, _up: tuple[str, Path]) -> RewardModel:
    return train(client, _up[1], "bluer is better", 150.0, 40)


@pytest.fixture(scope="module")
def refused(client: StudioClient, _up: tuple[str, Path]) -> RewardModel:
    return train(client, _up[1], "coin tossers", 0.0, 4)


def test_a_learned_reward_shows_what_it_is_worth_and_leads_to_a_run(open_page: OpenPage, proven: RewardModel) -> None:
    assert proven.refusal is None
    assert proven.report is not None
    assert proven.report.accuracy is not None
    page = open_page("/rewards")
    model = page.get_by_role("region", name="bluer is better")
    expect(model.get_by_text("simulated raters", exact=True)).to_be_visible()
    for words in ("accuracy", "new raters", "a rater", "untuned CLIP"):
        expect(model.get_by_role("cell", name=re.compile(f"^{words}"))).to_be_visible()
    expect(model).to_contain_text(f"{proven.report.accuracy.value:.3g}")
    expect(model.get_by_role("img", name=re.compile("^Calibration, expected error"))).to_be_visible()
    model.get_by_role("link", name="Train a run on it").click()
    expect(page.locator("#launch-side pre").first).to_contain_text(f"source: {proven.source}")
    expect(page.locator("#launch-side")).not_to_contain_text("no better than chance")


def test_one_that_is_no_better_than_chance_says_why_it_is_refused(open_page: OpenPage, refused: RewardModel) -> None:
    page = open_page("/rewards")
    model = page.get_by_role("region", name="coin tossers")
    expect(model.get_by_role("status")).to_contain_text("No run may train on it")
    expect(model.get_by_role("status")).to_contain_text("no better than chance; collect more votes")
    expect(model.get_by_role("link", name="Train a run on it")).to_have_count(0)
    page.goto(f"/launch?reward={refused.source}")
    expect(page.locator("#launch-side")).to_contain_text("no better than chance")


def test_its_run_shows_its_figures_and_leads_back(open_page: OpenPage, proven: RewardModel) -> None:
    page = open_page(f"/run?id={proven.run_id}")
    expect(page.locator("[aria-label=Figures]")).to_contain_text("expected calibration error")
    expect(page.get_by_role("link", name="Compare")).to_have_count(0)
    page.get_by_role("link", name="What it is worth").click()
    expect(page.locator("h1")).to_have_text("Rewards")


def test_every_reward_is_listed_on_any_width_in_both_colours(open_page: OpenPage, proven: RewardModel) -> None:
    for width, scheme in ((1280, "light"), (390, "dark")):
        page = open_page("/rewards", width=width, height=844, scheme=scheme)
        expect(page.locator(".u-rewards tbody tr")).to_have_count(11)
        expect(page.locator(".u-rewards tr", has_text="pickscore")).to_contain_text("not here")
        expect(page.get_by_role("region", name="bluer is better")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_link_brings_a_pair_set_into_the_form(open_page: OpenPage) -> None:
    sha256 = uuid4().hex * 2
    page = open_page(f"/launch?recipe=reward-from-votes&pairs={sha256}")
    expect(page.locator("#launch-side pre").first).to_contain_text(f"source: {sha256}")
    expect(page.locator("#launch-side")).to_contain_text("there is no pair set")
