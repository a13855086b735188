"""A prompt is followed from step to step: what came once is no strip, and nothing is lost between pages."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import httpx
import pytest
from fastapi.testclient import TestClient

from backend.client import StudioClient
from backend.models import RunRow
from backend.schemas.sample import GroupRecord


@pytest.fixture
def run_id(make_run: Callable[..., RunRow], make_group: Callable[..., GroupRecord], add: Callable[..., None]) -> UUID:
    """Probes of two prompts at three steps, the first by the base too; one prompt came once; training has its own."""
    found = make_run(worker="w").id
    for index, prompt in enumerate(("two stars", "a red circle")):
        probes = [make_group(step=0, index=index, policy="base", prompt=prompt)]
        probes += [make_group(step=step, index=index, policy="policy", prompt=prompt) for step in (10, 20, 30)]
        add(found, *probes, purpose="probe")
    add(found, make_group(step=40, index=0, prompt="once"), purpose="probe")
    add(found, make_group(step=10, prompt="two stars"), make_group(step=11, prompt="two stars"))
    return found


def test_prompts_that_came_more_than_once_are_listed_by_page(api: TestClient, run_id: UUID) -> None:
    url = f"/api/v1/runs/{run_id}/prompts"
    whole = api.get(url).json()
    assert [(each["prompt"], each["num_groups"], each["first_step"], each["last_step"]) for each in whole["data"]] == [
        ("a red circle", 4, 0, 30),
        ("two stars", 4, 0, 30),
    ]
    first = api.get(url, params={"limit": 1}).json()
    assert first["has_more"]
    second = api.get(url, params={"limit": 1, "after": first["next_cursor"]}).json()
    assert first["data"] + second["data"] == whole["data"]
    assert not second["has_more"]
    trained = api.get(url, params={"purpose": "train"}).json()["data"]
    assert [(each["prompt"], each["num_groups"]) for each in trained] == [("two stars", 2)]


def test_a_prompts_pictures_come_step_after_step(api: TestClient, run_id: UUID) -> None:
    url, wanted = f"/api/v1/runs/{run_id}/prompts/groups", {"prompt": "two stars"}
    whole = api.get(url, params=wanted).json()["data"]
    steps = [(group["step"], group["policy"]) for group in whole]
    assert steps == [(0, "base"), (10, "policy"), (20, "policy"), (30, "policy")]
    assert {group["prompt"] for group in whole} == {"two stars"}
    assert all(group["samples"][0]["image_url"] for group in whole)
    seen, after = [], None
    while True:
        page = api.get(url, params=wanted | {"limit": 1} | ({"after": after} if after else {})).json()
        seen += page["data"]
        after = page["next_cursor"]
        if not page["has_more"]:
            break
    assert seen == whole
    assert api.get(url, params={"prompt": "no such"}).json()["data"] == []


def test_a_run_that_is_unknown_is_told(api: TestClient, run_id: UUID) -> None:
    missing = UUID(int=run_id.int + 1)
    for path in ("prompts", "prompts/groups?prompt=x"):
        assert api.get(f"/api/v1/runs/{missing}/{path}").status_code == 404
    assert api.get(f"/api/v1/runs/{run_id}/prompts", params={"after": "x"}).status_code == 422
    assert api.get(f"/api/v1/runs/{run_id}/prompts/groups").status_code == 422


def test_the_client_reads_what_the_api_answers(api: TestClient, run_id: UUID) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        found = api.get(str(request.url))
        return httpx.Response(found.status_code, content=found.content)

    client = StudioClient("http://testserver", transport=httpx.MockTransport(answer))
    prompts = client.list_followed_prompts(run_id).data
    assert prompts[0].prompt == "a red circle"
    assert len(client.list_groups_of_prompt(run_id, prompts[0].prompt).data) == prompts[0].num_groups
