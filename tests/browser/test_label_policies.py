"""Labelling two evaluations against each other: one policy of each is chosen and told; and votes for neither side."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from backend.client import StudioClient
from backend.schemas.preference import Choice
from backend.schemas.run import Run
from tests.browser.conftest import OpenPage, performed
from tests.browser.label_tasks import label_task, rater
from tests.browser.test_label import vote_all

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def evaluations(client: StudioClient) -> list[Run]:
    """Two evaluations of three policies on the same prompts and seeds, of few and of many unmasking steps."""
    wanted = {
        "kind": "evaluate",
        "num_prompts": 6,
        "policy": {"num_threads": 1},
        "base": {"source": "shipped"},
        "policies": [{"label": "again", "source": "shipped"}],
    }
    named = (("few", 2), ("many", 6))
    return [
        performed(client, wanted | {"name": name, "sampling": {"num_unmasking_steps": steps}}) for name, steps in named
    ]


def test_of_an_evaluation_with_several_policies_one_is_chosen(
    open_page: OpenPage, client: StudioClient, evaluations: list[Run]
) -> None:
    first, second = evaluations
    page = open_page(f"/label?run={first.id}")
    expect(page.get_by_label("Policies")).to_be_visible()
    expect(page.get_by_label("Its policy")).to_be_hidden()
    page.get_by_label("Pairs", exact=True).select_option("runs")
    expect(page.get_by_label("Policies")).to_be_hidden()
    page.get_by_label("The other run", exact=True).select_option(str(second.id))
    policies = [page.get_by_label(name) for name in ("Its policy", "The other run's policy")]
    for each in policies:
        expect(each).to_have_value("policy")
        expect(each.locator("option")).to_have_text(["base", "policy", "again"])
    expect(page.get_by_text("pairs take the pictures of this one alone").first).to_be_visible()
    policies[0].select_option("again")
    page.get_by_role("button", name="Create").click()
    page.wait_for_url("**/label?id=*")
    facts = page.get_by_role("region", name="Pairs")
    expect(facts).to_contain_text("again of the first run against policy of the second")
    assert client.list_label_tasks().data[0].source.run_policies == ("again", "policy")


def test_results_say_where_no_vote_is_decided(
    open_page: OpenPage, client: StudioClient, evaluations: list[Run]
) -> None:
    first, second = evaluations
    source = {"kind": "runs", "run_id": str(first.id), "other_run_id": str(second.id)}
    task = label_task(client, first, source=source)
    vote_all(client, rater(client, task), Choice.TIE)
    page = open_page(f"/label-results?id={task.id}")
    strengths = page.get_by_role("region", name="Strength")
    expect(strengths).to_contain_text("No vote is decided")
    expect(strengths).not_to_contain_text("Two equal policies tie with probability")
    vote_all(client, rater(client, task, "Ben"), Choice.LEFT)
    expect(strengths).to_contain_text("Two equal policies tie with probability")
    expect(strengths).not_to_contain_text("No vote is decided")
