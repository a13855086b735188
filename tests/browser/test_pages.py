"""Every page at its word: forms that check, boards and replays that answer keys, failures in plain words."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from backend.client import StudioClient
from backend.schemas.config import run_config_adapter
from backend.schemas.run import Run, RunCreate
from tests.browser.conftest import OpenPage
from tests.browser.page_objects import LaunchPage, RunPage, SamplePage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_refused_value_is_told_by_its_field_and_the_cure_ends_it(open_page: OpenPage) -> None:
    form = LaunchPage(open_page("/launch"))
    form.enter("rollout.group_size", "1")
    refusal = form.page.locator("#launch-side .u-error")
    expect(refusal).to_contain_text("Group size: must be at least 2, not 1")
    form.page.click("#launch-button")
    expect(refusal).to_be_visible()
    assert "/launch" in form.page.url, "nothing was launched"
    form.enter("rollout.group_size", "5")
    form.expect_yaml("group_size: 5")
    expect(form.page.locator("#launch-side")).to_contain_text("× 5 a group")
    expect(form.page.locator("#launch-side")).to_contain_text("rollout.group_size")


def test_a_clone_starts_from_the_runs_own_configuration(open_page: OpenPage, trained: Run) -> None:
    form = LaunchPage(open_page(f"/launch?clone={trained.id}"))
    expect(form.page.locator("#field-rollout-group_size input")).to_have_value("4")
    expect(form.page.locator("#launch-side")).to_contain_text("Exactly run small training")


def test_the_kinds_of_run_have_forms_of_their_own(open_page: OpenPage) -> None:
    form = LaunchPage(open_page("/launch"))
    form.page.locator("#kind label", has_text="Sample").click()
    form.expect_yaml("kind: sample")
    form.enter("samples_per_prompt", "3")
    form.expect_yaml("samples_per_prompt: 3")


def test_tasks_are_ticked(open_page: OpenPage) -> None:
    form = LaunchPage(open_page("/launch"))
    form.page.locator("#field-prompts-tasks").get_by_label("counting").check()
    form.expect_yaml("- counting")


def test_a_reward_that_is_added_shows_its_settings_and_the_next_choice(open_page: OpenPage) -> None:
    form = LaunchPage(open_page("/launch"))
    source, added, later = (form.page.locator(f"#field-rewards-{name}") for name in ("2-source", "3-name", "4-name"))
    for hidden in (source, added, later):
        expect(hidden).to_be_hidden()
    form.page.locator("#field-rewards-2-name input").click()
    form.page.get_by_role("option", name="clip", exact=True).click()
    form.expect_yaml("- name: clip")
    expect(source).to_be_visible()
    expect(added).to_be_visible()
    expect(later).to_be_hidden()


def test_the_launch_form_is_shown_when_the_recipe_has_filled_it(open_page: OpenPage) -> None:
    page = open_page("/")
    page.goto("/launch", wait_until="commit")
    expect(page.locator(".u-boot")).to_be_attached()
    expect(page.locator(".u-boot")).to_have_count(0)
    assert page.locator("#recipe input").input_value() != ""
    assert "num_steps" in page.locator("#launch-side pre").inner_text()


def test_links_of_earlier_versions_still_open(open_page: OpenPage, trained: Run) -> None:
    page = open_page(f"/groups?run={trained.id}")
    expect(page.locator(".u-tile").first).to_be_visible()
    assert f"/groups?id={trained.id}&step=" in page.url


def test_each_part_of_a_board_has_the_key_to_its_own_bars(open_page: OpenPage) -> None:
    page = open_page("/")
    script = """async () => {
      const { groupRows } = await import("/studio/board.js");
      const group = (purpose, num_samples, parts) => {
        const sample = { reward_breakdown: parts, reward: 1, advantage: null, image_url: "data:,", prompt: "p" };
        return { purpose, prompt: "p", is_kept: true, samples: Array(num_samples).fill(sample) };
      };
      const training = group("train", 2, { strict: 1, jpeg_size: 0 });
      const rows = groupRows([training, group("probe", 1, { correct: 1, dense: 1 })]);
      const keys = (row) => (row.matches(".u-reward-key") ? [row] : [...row.querySelectorAll(".u-reward-key")]);
      return rows.map((row) => keys(row).map((key) => key.textContent));
    }"""
    assert page.evaluate(script) == [["strictjpeg size"], [], ["correctdense"]]


def test_sizes_are_told_in_binary_units(open_page: OpenPage) -> None:
    page = open_page("/")
    script = "sizes => import('/studio/format.js').then(({ bytes }) => sizes.map(bytes))"
    assert page.evaluate(script, [1023, 2048, 9_437_184, 3 * 2**30]) == ["1023 B", "2 KiB", "9 MiB", "3 GiB"]


def test_the_board_steps_with_the_arrow_keys(open_page: OpenPage, trained: Run) -> None:
    page = open_page(f"/groups?id={trained.id}")
    expect(page.locator(".u-tile").first).to_be_visible()
    newest = page.url
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("old => location.href !== old", arg=newest)
    expect(page.locator("strong", has_text=re.compile(r"^step \d+$"))).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("old => location.href === old", arg=newest)


def test_samples_stand_in_order_of_advantage_with_their_prompt_as_alt_text(open_page: OpenPage, trained: Run) -> None:
    page = open_page(f"/groups?id={trained.id}")
    group = page.locator(".u-group", has=page.locator(".u-tile")).first
    expect(group.locator(".u-tile")).to_have_count(4)
    figures = group.locator('[title="advantage"]').all_inner_texts()
    advantages = [float(text.replace("−", "-")) for text in figures]
    assert advantages == sorted(advantages, reverse=True)
    prompt = group.locator(".prompt").inner_text().strip("“”")
    assert {image.get_attribute("alt") for image in group.locator("img").all()} == {prompt}


def test_the_replay_plays_scrubs_and_shows_its_layers(open_page: OpenPage, trained: Run) -> None:
    page = open_page(f"/groups?id={trained.id}")
    page.locator(".u-tile").first.click()
    sample = SamplePage(page)
    expect(page.locator(".u-crumb")).to_contain_text(f"Runs › {trained.name} › step")
    sample.press("Home")
    assert sample.caption() == "Picture at step 1/4"
    mask = sample.grid()
    sample.press("2")
    assert sample.grid() != mask, "confidence is another layer than mask"
    page.locator(".u-replay canvas[tabindex]").hover(position={"x": 20, "y": 20})
    expect(page.locator(".u-replay")).to_contain_text("row 1, column 1")
    sample.press("Space")
    expect(page.locator(".u-replay strong").first).to_have_text("Picture at step 4/4")


def test_the_exports_of_a_replay_are_real_files(open_page: OpenPage, trained: Run) -> None:
    page = open_page(f"/groups?id={trained.id}")
    page.locator(".u-tile").first.click()
    SamplePage(page)
    for name, begins in (("GIF", b"GIF8"), ("WebP", b"RIFF"), ("JSON", b"{")):
        link = page.get_by_role("link", name=name, exact=True)
        answer = page.request.get(str(link.get_attribute("href")))
        assert answer.ok, (name, answer.text())
        assert answer.body().startswith(begins), name


def test_the_hover_reads_every_reward_at_that_step(open_page: OpenPage, trained: Run) -> None:
    page = open_page(f"/run?id={trained.id}")
    chart = page.locator('[aria-label="reward by step"]')
    expect(chart.locator("path.line").first).to_be_attached()
    chart.hover(position={"x": 60, "y": 80})
    legend = page.locator('section[aria-label="Reward"] .u-legend')
    expect(legend).to_contain_text("step 1")
    for name in ("total", "strict", "dense"):
        expect(legend).to_contain_text(name)


def test_a_page_shows_itself_as_an_api_call(open_page: OpenPage, trained: Run) -> None:
    page = open_page(f"/run?id={trained.id}")
    page.get_by_role("button", name="as API call").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"/api/v1/runs/{trained.id}/events/stream")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_keys_go_to_pages_and_show_their_map(open_page: OpenPage) -> None:
    page = open_page("/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Go to Runs")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url("**/runs")


def test_a_run_that_does_not_exist_is_a_plain_sentence_with_the_request_id(open_page: OpenPage) -> None:
    page = open_page("/run?id=00000000-0000-7000-8000-000000000000")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("there is no run")
    expect(alert).to_contain_text("Request ")
    expect(alert.get_by_role("button", name="Try again")).to_be_visible()


def test_a_failed_run_says_what_happened_and_the_cure(open_page: OpenPage, client: StudioClient) -> None:
    config = run_config_adapter.validate_python({"kind": "sample", "policy": {"source": "/nowhere"}})
    run = client.create_run(RunCreate(config=config))
    page = open_page(f"/run?id={run.id}")
    RunPage(page).expect_status("failed", seconds=120)
    expect(page.get_by_role("alert")).to_contain_text("no model folder at /nowhere")
    expect(page.locator('section[aria-label="Groups"]')).to_contain_text("the run ended before it had stored any")
    for promise in ("come with", "comes with", "yet", "Waits"):
        expect(page.locator(".u-chart-none:visible", has_text=promise)).to_have_count(0)


def test_the_list_filters_by_status(open_page: OpenPage, trained: Run) -> None:
    page = open_page("/runs")
    link = page.locator(f"a[href$='{trained.id}']").first
    expect(link).to_be_visible()
    page.get_by_label("Every status").select_option("paused")
    expect(link).to_be_hidden()
    page.get_by_label("Every status").select_option("cancelled")
    expect(link).to_be_visible()
    page.get_by_role("searchbox").fill("a name that no run has")
    expect(page.get_by_text("No run matches")).to_be_visible()
