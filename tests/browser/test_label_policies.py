"""Labelling two evaluations against each other: the page asks which policy of each, and the task says it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from backend.client import StudioClient
from tests.browser.conftest import OpenPage, performed

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_of_an_evaluation_with_several_policies_one_is_chosen(open_page: OpenPage, client: StudioClient) -> None:
    first, second = (
        performed(
            client,
            {
                "kind": "evaluate",
                "name": f"{steps} steps",
                "num_prompts": 6,
                "policy": {"num_threads": 1},
                "base": {"source": "shipped"},
                "policies": [{"label": "again", "source": "shipped"}],
                "sampling": {"num_unmasking_steps": steps},
            },
        )
        for steps in (2, 6)
    )
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
    expect(page.get_by_role("region", name="Pairs")).to_contain_text(
        "again of the first run against policy of the second"
    )
    assert client.list_label_tasks().data[0].source.run_policies == ("again", "policy")
