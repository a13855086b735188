"""The rater's document stands alone: no chrome of the studio, nothing from elsewhere, there before the pages are."""

from __future__ import annotations

import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ui.app import STATIC, mount_pages


@pytest.fixture
def starting() -> TestClient:
    """A studio whose pages are not built: the client enters no lifespan."""
    return TestClient(mount_pages(FastAPI()))


def test_the_raters_page_is_served_while_the_pages_are_still_built(starting: TestClient) -> None:
    answer = starting.get("/rate")
    assert answer.status_code == 200
    assert "u-rate" in answer.text
    assert 'http-equiv="refresh"' not in answer.text


def test_nothing_of_the_studio_is_loaded_with_it_and_no_address_is_told_to_others(starting: TestClient) -> None:
    answer = starting.get("/rate")
    assert "shell.js" not in answer.text, "no navigation, no keys of the studio"
    assert "gradio" not in answer.text.lower()
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_its_scripts_reach_no_page_and_no_route_of_the_owners() -> None:
    scripts = {path.name: path.read_text() for path in STATIC.glob("rate*.js")}
    assert len(scripts) >= 4
    for name, text in scripts.items():
        assert set(re.findall(r'from "\./([\w.]+)"', text)) <= {*scripts, "api.js", "dom.js", "format.js"}, name
        paths = re.findall(r'"(?:GET|PUT|POST|DELETE)", [`"](/[^`"]*)', text)
        assert all(path.startswith("/rating") for path in paths), (name, paths)
    assert "/rating/next" in "".join(scripts.values())
