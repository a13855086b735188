"""`unmask label`: tasks, raters and their links from the command line, and refusals with exit code 2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from tests.backend.preferences.conftest import DOOR, TASKS
from tests.backend.shell import Shell


def made(shell: Shell, evaluation: str, *more: str) -> dict[str, Any]:
    assert shell("label", "create", evaluation, "--name", "Base or tuned?", *more, "--json") == 0, shell.err
    task: dict[str, Any] = json.loads(shell.out)
    return task


def link(shell: Shell, task_id: str, *labels: str) -> str:
    """The first of the links that are printed, as its rater gets it."""
    assert shell("label", "raters", "add", task_id, *labels) == 0, shell.err
    return shell.out.splitlines()[0].split("\t")[1]


def test_create_makes_the_task_that_was_described(
    studio: str, shell: Shell, api: TestClient, evaluation: str, tmp_path: Path
) -> None:
    guideline = tmp_path / "guideline.txt"
    guideline.write_text("Count the shapes.\n")
    words = ("--pairs", "5", "--votes", "2", "--gold", "2", "--strategy", "most_informative")
    task = made(shell, evaluation[-8:], *words, "--guideline", str(guideline))
    assert (task["num_pairs"], task["num_gold"], task["votes_per_pair"]) == (5, 2, 2)
    assert (task["strategy"], task["guideline"]) == ("most_informative", "Count the shapes.")
    assert api.get(f"{TASKS}/{task['id']}").json() == task


def test_a_source_without_pairs_is_refused_with_the_cure(studio: str, shell: Shell, evaluation: str) -> None:
    assert shell("label", "create", evaluation, "--name", "x", "--kind", "checkpoints") == 2
    assert "train with the probe on" in shell.err
    assert shell("label", "create", evaluation, "--name", "x", "--gold", "1000") == 2
    assert "ask for fewer" in shell.err


def test_ask_makes_a_task_of_a_runs_samples_without_being_told_more(
    studio: str, shell: Shell, api: TestClient, evaluation: str
) -> None:
    assert shell("label", "ask", evaluation, "--samples", "6", "--votes", "1", "--json") == 0, shell.err
    task = json.loads(shell.out)
    assert (task["name"], task["num_pairs"], task["votes_per_pair"]) == ("the-secret-run", 3, 1)
    assert shell("label", "ask", evaluation, "--votes", "4") == 2
    run = api.post("/api/v1/runs", json={"config": {"kind": "pretrain"}}).json()
    assert shell("label", "ask", run["id"]) == 2
    assert "nothing to judge" in shell.err


def test_a_printed_link_opens_the_raters_door_until_it_is_revoked(
    studio: str, shell: Shell, api: TestClient, evaluation: str
) -> None:
    task = made(shell, evaluation)
    url = link(shell, task["id"][-6:], "Ada", "Bob")
    assert url.startswith(f"{studio}/rate#")
    opened = {"Authorization": f"Bearer {url.partition('#')[2]}"}
    assert api.get(DOOR, headers=opened).status_code == 200
    assert shell("label", "raters", "list", task["id"], "--json") == 0
    ada, bob = json.loads(shell.out)
    assert (ada["label"], bob["label"]) == ("Ada", "Bob")
    assert "token" not in ada
    assert shell("label", "raters", "revoke", ada["id"]) == 0
    assert api.get(DOOR, headers=opened).status_code == 403
    assert shell("label", "raters", "list", task["id"]) == 0
    assert "link withdrawn" in shell.out


def test_programs_are_marked_and_a_rater_can_be_left_out_and_back_in(
    studio: str, shell: Shell, evaluation: str
) -> None:
    task = made(shell, evaluation)
    link(shell, task["id"], "taste of red", "--simulated")
    shell("label", "raters", "list", task["id"], "--json")
    rater = json.loads(shell.out)[0]["id"]
    assert shell("label", "raters", "exclude", rater) == 0
    assert shell("label", "raters", "list", task["id"]) == 0
    assert "simulated, excluded" in shell.out
    assert shell("label", "raters", "exclude", rater, "--undo") == 0
    assert shell("label", "raters", "list", task["id"]) == 0
    assert "excluded" not in shell.out


def test_list_show_and_edit_tell_how_far_a_task_is(
    studio: str, shell: Shell, api: TestClient, evaluation: str, tmp_path: Path
) -> None:
    assert shell("label", "list") == 0
    assert "unmask label create" in shell.err
    task = made(shell, evaluation)
    opened = {"Authorization": f"Bearer {link(shell, task['id'], 'Ada').partition('#')[2]}"}
    pair = api.get(f"{DOOR}/next", headers=opened).json()["data"][0]["pair_id"]
    api.post(f"{DOOR}/flags", headers=opened, json={"pair_id": pair, "reason": "is [broken]"})
    assert shell("label", "show", task["id"]) == 0
    assert f"0 of {task['num_votes_wanted']} votes by 1 raters" in shell.out
    assert "is [broken]" in shell.out
    newer = tmp_path / "newer.txt"
    newer.write_text("Look at the colours.")
    assert shell("label", "edit", task["id"], "--guideline", str(newer), "--status", "closed", "--json") == 0
    assert json.loads(shell.out)["guideline_version"] == 2
    assert shell("label", "list", "--status", "open", "--json") == 0
    assert json.loads(shell.out) == []
    assert shell("label", "show", "ffffffff") == 2
    assert "unmask label list" in shell.err
