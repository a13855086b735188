"""Models: listed, named, traced, fetched and deleted in a browser, the refusal of a used one included."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from backend.bundles.manifest import verify
from backend.client import StudioClient
from backend.schemas.config import run_config_adapter
from backend.schemas.registry import AliasSet
from backend.schemas.run import Run, RunCreate
from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TINY = {
    "kind": "train",
    "policy": {"num_threads": 1},
    "num_steps": 2,
    "rollout": {"num_prompts": 1, "group_size": 2},
    "sampling": {"num_unmasking_steps": 2},
    "evaluation_sampling": {"num_unmasking_steps": 2},
    "checkpoints": {"every_num_steps": 1},
    "probe": {"num_prompts": 0},
}


def train(client: StudioClient, name: str, source: str) -> Run:
    """A run of two steps, to its end."""
    config = TINY | {"name": name, "policy": {"num_threads": 1, "source": source}}
    run = client.create_run(RunCreate(config=run_config_adapter.validate_python(config)))
    list(client.watch(run.id))
    return client.get_run(run.id)


@pytest.fixture(scope="module")
def family(client: StudioClient) -> tuple[Run, Run]:
    """A run, and one that was started from its first checkpoint by an alias."""
    parent = train(client, "the parent", "shipped")
    client.set_alias("start", AliasSet(target=f"run:{parent.id}@1"))
    child = train(client, "the child", "alias:start")
    client.delete_alias("start")
    return parent, child


def row_of(page: Page, source: str) -> object:
    """The table's row of a model."""
    exact = re.compile(rf"^{re.escape(source)}$")
    return page.locator("tbody tr").filter(has=page.locator(".source").get_by_text(exact))


def test_a_model_is_named_and_the_name_is_moved_with_its_history(
    open_page: OpenPage, client: StudioClient, family: tuple[Run, Run]
) -> None:
    parent, child = family
    page = open_page("/models")
    for source, note in ((f"run:{parent.id}@2", "the first"), (f"run:{child.id}", "better")):
        row_of(page, source).get_by_role("button", name="Name").click()  # type: ignore[attr-defined]
        page.get_by_label("Alias", exact=True).fill("champion")
        page.get_by_label("Why").fill(note)
        page.get_by_role("button", name="Set").click()
        expect(page.locator("[aria-label=Aliases]").get_by_text(source, exact=True)).to_be_visible()
    expect(row_of(page, f"run:{child.id}").locator(".u-alias")).to_have_text("champion")  # type: ignore[attr-defined]
    assert client.get_alias("champion").revision == 2
    # Other tests of this studio may have left names.
    name = page.locator("[aria-label=Aliases] li").filter(has=page.get_by_text("champion", exact=True))
    name.get_by_role("button", name="History").click()
    expect(page.locator("dialog li")).to_have_text([re.compile("better"), re.compile("the first")])
    page.keyboard.press("Escape")
    name.get_by_role("button", name="Give up").click()
    expect(name).to_have_count(0)


def test_a_lineage_is_drawn_and_its_address_can_be_shared(open_page: OpenPage, family: tuple[Run, Run]) -> None:
    parent, child = family
    page = open_page("/models")
    row_of(page, f"run:{child.id}@1").get_by_role("button", name="Lineage").click()  # type: ignore[attr-defined]
    drawn = page.get_by_role("img", name=re.compile("the child starts from the parent"))
    expect(drawn.locator("text.focus")).to_have_text("the child")
    expect(drawn.get_by_text("from step 1")).to_be_visible()
    page.reload()
    expect(page.locator(".u-lineage text.focus")).to_have_text("the child")
    xs = {
        name: page.locator(".u-lineage").get_by_text(name, exact=True).bounding_box()
        for name in ("Tiny Show-o", "the child")
    }
    assert xs["Tiny Show-o"]["x"] < xs["the child"]["x"], "what is made later stands further right"  # type: ignore[index]
    page.locator(".u-lineage").get_by_text("the parent", exact=True).click()
    page.wait_for_url(re.compile(f"/run\\?id={parent.id}"))


def test_what_is_used_is_refused_with_its_users_and_what_is_not_goes(
    open_page: OpenPage, client: StudioClient, family: tuple[Run, Run]
) -> None:
    parent, _ = family
    page = open_page("/models")
    row_of(page, f"run:{parent.id}@1").get_by_role("button", name="Delete").click()  # type: ignore[attr-defined]
    dialog = page.locator("dialog")
    expect(dialog.get_by_text("This model is used")).to_be_visible()
    expect(dialog.get_by_role("link", name="the child")).to_be_visible()
    expect(dialog.get_by_role("button", name="Delete")).to_have_count(0)
    page.keyboard.press("Escape")
    row_of(page, f"run:{parent.id}@2").get_by_role("button", name="Delete").click()  # type: ignore[attr-defined]
    page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(row_of(page, f"run:{parent.id}@2")).to_have_count(0)  # type: ignore[arg-type]
    assert [each.step for each in client.list_checkpoints(parent.id).data] == [1]


def test_a_model_is_fetched_as_a_zip_and_a_bad_import_says_why(open_page: OpenPage, family: tuple[Run, Run]) -> None:
    page = open_page("/models")
    with page.expect_download() as found:
        row_of(page, "shipped").get_by_role("link", name="Download").click()  # type: ignore[attr-defined]
    assert found.value.suggested_filename == "Tiny-Show-o.zip"
    page.keyboard.press("i")
    page.get_by_label("Source").fill("/nowhere")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.locator("dialog [role=alert]")).to_contain_text("is no folder with a config.json on the server")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_shows_all_of_it(open_page: OpenPage, family: tuple[Run, Run], scheme: str) -> None:
    page = open_page("/models", width=390, height=844, scheme=scheme)
    expect(page.locator(".u-lineage").get_by_text("the child", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator(".u-lineage").get_by_text("the child", exact=True).bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 390
    assert box["height"] >= 12, "it is as large as on a wide screen"


def test_a_run_is_fetched_as_a_bundle_that_is_whole(
    open_page: OpenPage, family: tuple[Run, Run], tmp_path: Path
) -> None:
    page = open_page(f"/run?id={family[1].id}")
    with page.expect_download() as found:
        page.get_by_role("link", name="Bundle").click()
    found.value.save_as(tmp_path / "it.zip")
    assert found.value.suggested_filename == f"run-{family[1].id}.zip"
    assert verify(tmp_path / "it.zip") == []


def test_a_reward_model_has_names_of_its_own_kind(open_page: OpenPage, client: StudioClient) -> None:
    client.set_alias("champion", AliasSet(target="shipped"))
    reward = {
        "source": "run:0190f5fe-7c00-7a00-8000-000000000001",
        "kind": "reward_model",
        "name": "people's taste, reward model",
        "run_id": "0190f5fe-7c00-7a00-8000-000000000001",
        "step": None,
        "num_parameters": None,
        "num_bytes": 2_450_000,
        "aliases": ["taste"],
        "created_at": None,
        "description": "Learned from votes",
    }
    times = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    taste = {"name": "taste", "target": reward["source"], "kind": "reward_model", "revision": 1} | times
    champion = client.get_alias("champion").model_dump(mode="json")
    one_page = {"has_more": False, "next_cursor": None}
    page = open_page("/models")
    # A reward model takes people's votes and minutes: the page is shown one that another studio made.
    page.route("**/api/v1/models?*", lambda route: route.fulfill(json={"data": [reward]} | one_page))
    page.route("**/api/v1/aliases?*", lambda route: route.fulfill(json={"data": [champion, taste]} | one_page))
    page.reload()
    names = page.locator("[aria-label=Aliases] li")
    expect(names.filter(has_text="champion").locator(".u-tag")).to_have_text("policy")
    expect(names.filter(has_text="taste").locator(".u-tag")).to_have_text("reward model")
    page.locator("tbody tr").get_by_role("button", name="Name").click()
    name = page.get_by_label("Alias", exact=True)
    expect(page.locator("#u-aliases option")).to_have_count(1)
    name.fill("taste")
    expect(page.get_by_text(f"Moves from {reward['source']}.")).to_be_visible()
    name.fill("champion")
    expect(
        page.get_by_text("champion means a policy, and this is a reward model: choose another name.")
    ).to_be_visible()
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.locator("dialog [role=alert]")).to_be_visible()
    client.delete_alias("champion")
