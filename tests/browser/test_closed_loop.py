"""The loop closed by pages alone: compare, ask people, freeze, learn a reward, train on it, compare again."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from backend.client import StudioClient
from backend.schemas.config import run_config_adapter
from backend.schemas.run import Run, RunCreate
from tests.browser.conftest import SMALL_TRAINING, OpenPage
from tests.browser.page_objects import RatingPage, RunPage
from tests.worker.preference_learning.votes import write_pair_set

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1200)]
# Pictures change within a step: what base and tuned made differs, and there is something to vote on.
FAST_LEARNING = {"num_steps": 2, "optimizer": {"learning_rate": 1e-3}}
PATIENCE_SECONDS = 400


@pytest.fixture(scope="module")
def tuned(client: StudioClient) -> Run:
    """A run that has trained to its end: the loop begins with its comparison."""
    wanted = SMALL_TRAINING | FAST_LEARNING | {"name": "first round"}
    run = client.create_run(RunCreate(config=run_config_adapter.validate_python(wanted)))
    list(client.watch(run.id))
    return client.get_run(run.id)


def votes_file(folder: Path) -> Path:
    """Votes of simulated raters who prefer the bluer picture, as the HPDv2 file that somebody else would bring."""
    sha256 = write_pair_set(folder, num_prompts=40, pairs_per_prompt=4, sharpness=150.0)
    made, entries = folder / "pair-sets" / sha256, []
    for line in (made / "pairs.jsonl").read_text().splitlines():
        pair = json.loads(line)
        entries.append(
            {
                "prompt": pair["prompt"],
                "image_path": [pair["image_0"], pair["image_1"]],
                "rank": [2, 1] if pair["label_0"] < 0.5 else [1, 2] if pair["label_0"] > 0.5 else [1, 1],
                "raw_annotations": [
                    {
                        "user_hash": vote["rater"],
                        "is_simulated": True,
                        "rank": {1.0: [1, 2], 0.0: [2, 1], 0.5: [1, 1]}[vote["label_0"]],
                    }
                    for vote in pair["votes"]
                ],
            }
        )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("test.json", json.dumps(entries))
        for picture in made.glob("*.png"):
            archive.write(picture, picture.name)
    path = folder / "bluer.zip"
    path.write_bytes(content.getvalue())
    return path


def enter(page: Page, **values: str) -> None:
    """Types values into the launch form; two underscores stand for a dot."""
    for path, value in values.items():
        field = page.locator(f"#field-{path.replace('__', '-')}:visible")
        field.locator("input, textarea").first.fill(value)


def launched(page: Page, line: str) -> str:
    """Waits until the configuration shows a line, launches, waits for the end; gives the run's id."""
    expect(page.locator("#launch-side pre").first).to_contain_text(line)
    page.click("#launch-button")
    page.wait_for_url(re.compile(r"/run\?id="))
    RunPage(page).expect_status("succeeded", PATIENCE_SECONDS)
    return page.url.split("id=")[1]


def compare_with_its_start(page: Page) -> None:
    """From a run's page to its comparison with the policy it began with."""
    page.get_by_role("link", name="Compare with its start").click()
    expect(page.locator("#launch-side pre").first).to_contain_text("kind: evaluate")
    enter(page, num_prompts="6", samples_per_prompt="2", policy__num_threads="1")
    page.get_by_role("button", name=re.compile("^Sampling")).click()
    enter(page, sampling__num_unmasking_steps="4")
    launched(page, "num_unmasking_steps: 4")
    page.get_by_role("link", name="Compare", exact=True).click()
    expect(page.get_by_role("article").first).to_be_visible()


def ask_and_vote(page: Page) -> int:
    """From a comparison to a label task, a rater's link, and votes given by it; how many votes those were."""
    page.get_by_role("link", name="Send to people").click()
    page.get_by_label("Votes a pair").fill("1")
    page.get_by_role("button", name="Create").click()
    page.wait_for_url("**/label?id=*")
    page.get_by_role("button", name="Copy a rater's link").click()
    link = page.get_by_role("dialog").get_by_label("Link").input_value()
    page.keyboard.press("Escape")
    asked = page.get_by_text(re.compile(r"^\d+ of \d+ votes$"))
    wanted = int(re.findall(r"\d+", asked.inner_text())[1])
    person = RatingPage(page.context.new_page())
    person.page.goto(link)
    for number in range(wanted):
        person.wait_for_pair()
        if number + 1 < wanted:
            person.press("ArrowLeft")
        else:
            person.page.keyboard.press("ArrowRight")
    person.expect_sent()
    person.page.close()
    expect(asked).to_have_text(f"{wanted} of {wanted} votes")
    return wanted


def freeze(page: Page, num_votes: int) -> None:
    """From a task over its results to a pair set, and a look at what it holds."""
    page.get_by_role("link", name="Results and export").click()
    expect(page.get_by_role("button", name="Freeze as pair set")).to_be_visible()
    page.get_by_role("button", name="Freeze as pair set").click()
    page.get_by_role("dialog").get_by_role("link", name="Look at its pairs").click()
    page.wait_for_url("**/pairs?id=*")
    expect(page.get_by_role("region", name="Pairs").get_by_role("article")).to_have_count(num_votes)


def learn(page: Page, file: Path) -> str:
    """From an imported file to a reward model that has learned from it; gives its run's id."""
    page.get_by_role("navigation").get_by_role("link", name="Pair sets").click()
    page.get_by_role("button", name="Import a file").first.click()
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("combobox", name="Format").select_option("hpdv2")
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url("**/pairs?id=*")
    expect(page.get_by_role("region", name="Where it comes from")).to_contain_text("all simulated")
    page.get_by_role("link", name="Train a reward model").click()
    expect(page.locator("#launch-side pre").first).to_contain_text("kind: reward_model")
    enter(page, name="likes blue", num_steps="40", probe_every="10", policy__num_threads="1")
    enter(page, tuning__batch_size="24", tuning__learning_rate="0.0003", tuning__num_warmup_steps="2")
    return launched(page, "num_warmup_steps: 2")


def train_on(page: Page, model: str) -> str:
    """From what was learned, over its worth, to a run that trains on it; gives the run's id."""
    page.get_by_role("link", name="What it is worth").click()
    learned = page.locator(f"[id='{model}']")
    for words in ("accuracy", "a rater", "untuned CLIP"):
        expect(learned.get_by_role("cell", name=re.compile(f"^{words}"))).to_be_visible()
    learned.get_by_role("link", name="bluer").click()
    made = page.get_by_role("region", name="Learned from it")
    expect(made).to_contain_text("accuracy")
    made.get_by_role("link", name="Use as a reward in a new run").first.click()
    expect(page.locator("#launch-side pre").first).to_contain_text(f"source: run:{model}")
    enter(page, name="second round", num_steps="2", policy__num_threads="1")
    enter(page, rollout__num_prompts="2", rollout__group_size="4")
    page.get_by_role("button", name=re.compile("^Held-out probe")).click()
    enter(page, probe__num_prompts="0")
    return launched(page, "group_size: 4")


def test_the_loop_is_closed_by_pages_alone(
    open_page: OpenPage, client: StudioClient, tuned: Run, tmp_path: Path
) -> None:
    page = open_page(f"/run?id={tuned.id}")
    compare_with_its_start(page)
    freeze(page, ask_and_vote(page))
    model = learn(page, votes_file(tmp_path))
    second = train_on(page, model)
    breakdown = client.list_groups(second).data[0].samples[0].reward_breakdown
    assert set(breakdown) == {"learned"}
    compare_with_its_start(page)
    page.goto(f"/rewards#{model}")
    learned = page.locator(f"[id='{model}']")
    expect(learned.get_by_role("link", name=second[-8:])).to_be_visible()
    learned.get_by_role("link", name="compare again").click()
    expect(page.locator("#launch-side pre").first).to_contain_text(f"source: run:{second}")
