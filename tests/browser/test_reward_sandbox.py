"""The reward sandbox: a picture is asked of every reward and found again by its address; what is missing is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from worker.shapes.captions import all_captions, scene_for
from worker.shapes.renderer import render

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CAPTION = next(each for each in all_captions("heldout") if each.task == "single_object")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "picture.png"
    Image.fromarray(render(scene_for(CAPTION, rng), rng)).save(path)
    return path


@pytest.mark.parametrize("width", [1280, 390])
def test_a_picture_is_asked_of_every_reward_and_found_again_by_its_address(
    open_page: OpenPage, picture: Path, width: int
) -> None:
    page = open_page("/reward-test", width=width)
    expect(page.get_by_text("Nothing is tested yet")).to_be_visible()
    expect(page.get_by_role("checkbox", name="strict")).to_be_checked()
    num_ticked = page.get_by_role("checkbox", checked=True).count()
    page.get_by_role("button", name="Test rewards").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no picture yet")
    page.get_by_label("Picture", exact=True).set_input_files(picture)
    page.get_by_role("button", name="Test rewards").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no prompt yet")
    page.get_by_label("Prompt", exact=True).fill(CAPTION.text)
    page.get_by_role("button", name="Test rewards").click()
    strict = page.locator("tr", has=page.get_by_text("strict", exact=True))
    expect(strict.locator("td.num").first).to_have_text("1")
    expect(page.get_by_alt_text(f"mirrored: {CAPTION.text}")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(num_ticked)


def test_a_test_that_is_gone_is_told(open_page: OpenPage) -> None:
    page = open_page("/reward-test?id=01890000-0000-7000-8000-000000000001")
    expect(page.get_by_role("alert")).to_contain_text("the newest 200 are kept")
