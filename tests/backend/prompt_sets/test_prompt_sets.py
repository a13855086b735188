"""Prompt sets over the API: versions, edits that cross, downloads, deletion, and the runs that name one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.prompt_files import shipped_sets
from tests.backend.shell import Shell

ROOT = "/api/v1/prompt-sets"
TWO = "text,task,tags\na photo of a star,single_object,short\na photo of two circles,counting,\n"


@pytest.fixture
def two(api: TestClient) -> dict[str, Any]:
    answer = api.post(ROOT, json={"name": "two", "format": "csv", "content": TWO})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"{ROOT}/{made['id']}"
    return made


def run_with(sha256: str) -> dict[str, Any]:
    return {"config": {"kind": "sample", "name": "names it", "prompts": {"prompt_set": sha256}}}


def test_a_set_is_stored_under_the_hash_of_its_file_and_counted(
    api: TestClient, two: dict[str, Any], tmp_path: Path
) -> None:
    latest = two["latest"]
    assert (tmp_path / "prompt-sets" / f"{latest['sha256']}.jsonl").is_file()
    assert (latest["version"], latest["num_prompts"], latest["num_duplicates"]) == (1, 2, 0)
    assert latest["tasks"] == {"single_object": 1, "counting": 1}
    page = api.get(f"{ROOT}/{two['id']}/prompts?limit=1").json()
    assert page["data"] == [{"text": "a photo of a star", "task": "single_object", "tags": ["short"], "geneval": None}]
    rest = api.get(f"{ROOT}/{two['id']}/prompts", params={"after": page["next_cursor"]}).json()
    assert [each["text"] for each in rest["data"]] == ["a photo of two circles"]
    assert not rest["has_more"]


def test_lists_go_by_pages_and_end_with_the_shipped_sets(api: TestClient, two: dict[str, Any]) -> None:
    seen, cursor = [], None
    while True:
        page = api.get(ROOT, params={"limit": 1} | ({"after": cursor} if cursor else {})).json()
        seen += page["data"]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break
    assert [each["is_builtin"] for each in seen] == [False, True, True]
    assert {each["latest"]["sha256"] for each in seen[1:]} == set(shipped_sets())
    assert [each["latest"]["num_prompts"] for each in seen[1:]] == [540, 574]


def test_an_edit_makes_a_version_and_the_earlier_one_stays(api: TestClient, two: dict[str, Any]) -> None:
    url = f"{ROOT}/{two['id']}"
    etag = api.get(url).headers["ETag"]
    body = {"prompts": [{"text": "a photo of a cross", "task": "single_object"}], "note": "crosses"}
    edited = api.patch(url, json=body, headers={"If-Match": etag})
    assert edited.status_code == 200
    assert [each["version"] for each in edited.json()["versions"]] == [2, 1]
    late = api.patch(url, json={"name": "mine"}, headers={"If-Match": etag})
    assert (late.status_code, late.json()["code"]) == (412, "outdated")
    assert api.get(f"{url}/prompts?version=1").json()["data"][0]["text"] == "a photo of a star"
    assert api.get(f"{url}/prompts?version=3").status_code == 404
    again = api.patch(url, json=body, headers={"If-Match": edited.headers["ETag"]}).json()
    assert again["latest"]["version"] == 2


def test_duplicates_are_kept_and_told(api: TestClient) -> None:
    made = api.post(ROOT, json={"name": "twice", "content": "a star\na star\na circle\n"}).json()
    assert (made["latest"]["num_prompts"], made["latest"]["num_duplicates"]) == (3, 1)


def test_a_file_makes_a_set_or_the_next_version(api: TestClient, two: dict[str, Any]) -> None:
    files = {"file": ("more.txt", "\ufeffa star\n".encode())}
    data = {"format": "text", "name": "two", "prompt_set_id": two["id"]}
    made = api.post(f"{ROOT}/upload", data=data, files=files).json()
    assert (made["id"], made["latest"]["version"], made["latest"]["note"]) == (two["id"], 2, "uploaded from more.txt")
    bad = api.post(f"{ROOT}/upload", data={"format": "text", "name": "x"}, files={"file": ("x", b"\xff")})
    assert bad.status_code == 422
    assert "save the file as UTF-8" in bad.json()["detail"]


def test_what_a_run_names_is_not_deleted_and_the_run_is_named(
    api: TestClient, two: dict[str, Any], tmp_path: Path
) -> None:
    url, sha256 = f"{ROOT}/{two['id']}", two["latest"]["sha256"]
    run = api.post("/api/v1/runs", json=run_with(sha256))
    assert run.status_code == 201, run.text
    refused = api.delete(url)
    assert refused.status_code == 409
    assert run.json()["id"] in refused.json()["detail"]
    assert [user["run_id"] for user in api.get(url).json()["used_by"]] == [run.json()["id"]]
    other = api.post(ROOT, json={"name": "other", "content": "a ring\n"}).json()
    assert api.delete(f"{ROOT}/{other['id']}").status_code == 204
    assert api.get(f"{ROOT}/{other['id']}").status_code == 404
    assert [path.stem for path in (tmp_path / "prompt-sets").glob("*.jsonl")] == [sha256]


def test_a_run_that_names_an_unknown_version_is_refused_with_the_known_ones(
    api: TestClient, two: dict[str, Any]
) -> None:
    answer = api.post("/api/v1/runs", json=run_with("0" * 64))
    assert answer.status_code == 422
    problem = answer.json()["errors"][0]
    assert problem["pointer"] == "/config/prompts/prompt_set"
    assert two["latest"]["sha256"] in problem["message"]


def test_shipped_sets_are_read_and_never_changed(api: TestClient) -> None:
    shipped = api.get(ROOT).json()["data"][0]
    url = f"{ROOT}/{shipped['id']}"
    assert api.get(f"{url}/prompts?task=position&limit=3").json()["data"][0]["task"] == "position"
    assert api.delete(url).status_code == 409
    assert api.patch(url, json={"name": "mine"}).status_code == 409
    assert api.post("/api/v1/runs", json=run_with(shipped["latest"]["sha256"])).status_code == 201


def test_downloads_are_read_back(api: TestClient, two: dict[str, Any]) -> None:
    for format in ("csv", "jsonl"):
        answer = api.get(f"{ROOT}/{two['id']}/download?format={format}")
        assert f'filename="two-1.{format}"' in answer.headers["Content-Disposition"]
        again = api.post(ROOT, json={"name": "again", "format": format, "content": answer.text}).json()
        assert again["latest"]["sha256"] == two["latest"]["sha256"]
    assert api.get(f"{ROOT}/{two['id']}/download?format=text").text.splitlines()[0] == "a photo of a star"


def test_a_changed_file_is_told_and_not_shown(api: TestClient, two: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "prompt-sets" / f"{two['latest']['sha256']}.jsonl"
    path.write_text("{}")
    answer = api.get(f"{ROOT}/{two['id']}/prompts")
    assert answer.status_code == 409
    assert "was changed since it was stored" in answer.json()["detail"]


def test_the_commands_upload_show_and_download(studio: str, shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(TWO)
    assert shell("prompts", "upload", str(path)) == 0
    assert len(shell.out.strip()) == 64
    assert shell("prompts", "list") == 0
    assert "mine" in shell.out
    assert shell("prompts", "show", "mine") == 0
    assert "a photo of two circles" in shell.out
    out = tmp_path / "out.csv"
    assert shell("prompts", "download", "mine", "--out", str(out)) == 0
    assert out.read_text() == TWO
    assert shell("prompts", "upload", str(path.rename(tmp_path / "b.txt")), "--to", "mine") == 0
    assert "version 2: 3 prompts" in shell.err
    assert shell("prompts", "show", "nothing") == 2
    assert "unmask prompts list" in shell.err
