"""The rater's document stands alone: no chrome of the studio, nothing from elsewhere, there before the pages are."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ui.app import STATIC, mount_pages
from ui.pages.rating import rating_worker


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


def test_the_service_worker_is_for_the_raters_page_alone_and_keeps_all_that_it_loads(starting: TestClient) -> None:
    answer = starting.get("/studio/rate_worker.js")
    assert (answer.status_code, answer.headers["service-worker-allowed"]) == (200, "/rate")
    first, _, _ = answer.text.partition("\n")
    kept = json.loads(first.removeprefix("const KEPT = ").removesuffix(";"))
    files = [Path(name).name for name in kept["files"]]
    scripts = {path.name for path in STATIC.glob("rate*.js")} - {"rate_worker.js"}
    assert {*scripts, "api.js", "dom.js", "format.js", "rate.css", "studio.css", "theme.css", "icon.svg"} == set(files)
    assert len(files) == len(set(files))
    assert all(starting.get(name).status_code == 200 for name in kept["files"])
    assert not re.search(r"url\(", (STATIC / "rate.css").read_text()), "no file that is not on the list"


def test_a_browser_asks_each_time_whether_its_copy_of_a_script_is_still_the_newest(starting: TestClient) -> None:
    answer = starting.get("/studio/rate.js")
    assert answer.headers["cache-control"] == "no-cache"
    again = starting.get("/studio/rate.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, "no-cache")


def test_its_version_changes_with_each_file_that_it_keeps(tmp_path: Path) -> None:
    static = Path(shutil.copytree(STATIC, tmp_path / "static"))
    seen = {rating_worker(static).body}
    for name in ("api.js", "rate_view.js", "rate.css"):
        (static / name).write_text((static / name).read_text() + "\n")
        seen.add(rating_worker(static).body)
    assert len(seen) == 4
    (static / "label.js").write_text("")
    assert rating_worker(static).body in seen
