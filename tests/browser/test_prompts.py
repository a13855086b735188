"""Prompt sets: made of pasted lines and of files, shown, edited, and brought into a run's form."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from backend.client import StudioClient
from backend.schemas.prompt_set import PromptFormat, PromptSetCreate, PromptSetEdit
from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

GENEVAL = {"tag": "counting", "include": [{"class": "bench", "count": 2}], "prompt": "a photo of two benches"}


def test_pasted_lines_become_a_set_that_is_edited_and_launched(open_page: OpenPage) -> None:
    page = open_page("/prompts")
    expect(page.get_by_role("link", name="small world, held-out captions")).to_be_visible()
    page.get_by_role("button", name="New set").first.click()
    page.get_by_label("Name", exact=True).fill("my shapes")
    page.get_by_label("Prompts", exact=True).fill("a photo of a star\na photo of two circles\n")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("h1")).to_have_text("my shapes")
    expect(page.get_by_role("cell", name="a photo of two circles")).to_be_visible()
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Task").first.fill("single_object")
    page.get_by_role("button", name="Store as the next version").click()
    expect(page.locator(".u-head")).to_contain_text("version 2 of 2")
    expect(page.get_by_role("cell", name="single_object")).to_be_visible()
    page.get_by_role("link", name="version 1").click()
    expect(page.locator(".u-head")).to_contain_text("version 1 of 2")
    href = page.get_by_role("link", name="Train on it").get_attribute("href")
    assert href is not None
    page.goto(href)
    expect(page.locator("#launch-side pre").first).to_contain_text(f"prompt_set: {href.partition('=')[2]}")
    choice = page.locator("#field-prompts-prompt_set input:visible")
    choice.click()
    page.get_by_role("option", name="my shapes, version 2").click()
    expect(page.locator("#launch-side pre").first).not_to_contain_text(href.partition("=")[2])
    expect(page.locator("#launch-side pre").first).to_contain_text("prompt_set: ")


def test_genevals_file_is_taken_whole_and_a_bad_one_is_refused_by_its_row(open_page: OpenPage) -> None:
    page = open_page("/prompts?new", width=390, height=844, scheme="dark")
    upload = page.get_by_label("File", exact=True)
    upload.set_input_files({"name": "bad.txt", "mimeType": "text/plain", "buffer": b"a star\n\xff\n"})
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert")).to_contain_text("row 2: byte 0xff is no UTF-8")
    content = (json.dumps(GENEVAL) + "\n").encode()
    upload.set_input_files({"name": "evaluation_metadata.jsonl", "mimeType": "text/plain", "buffer": content})
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("cell", name="counting")).to_be_visible()
    expect(page.get_by_text("GenEval", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_shipped_set_is_shown_by_task_and_cannot_be_edited(open_page: OpenPage, client: StudioClient) -> None:
    shipped = next(each for each in client.list_prompt_sets(limit=100).data if each.is_builtin)
    page = open_page(f"/prompts?id={shipped.id}")
    page.get_by_label("Task", exact=True).select_option("position")
    expect(page.locator("tbody td:nth-child(2)").first).to_have_text("position")
    expect(page.get_by_role("button", name="Edit")).to_have_count(0)


def test_an_edit_that_was_overtaken_is_refused(open_page: OpenPage, client: StudioClient) -> None:
    made = client.create_prompt_set(PromptSetCreate(name="overtaken", format=PromptFormat.TEXT, content="a star\n"))
    page = open_page(f"/prompts?id={made.id}")
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Prompt", exact=True).fill("a cross")
    client.edit_prompt_set(made.id, PromptSetEdit(name="overtaken, renamed"))
    page.get_by_role("button", name="Store as the next version").click()
    expect(page.get_by_role("alert")).to_contain_text("was edited since it was read")
