"""The command line against a real API over HTTP: what it prints, what it refuses, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.cli.configuration import checked
from backend.cli.output import print_table
from backend.db import transaction
from backend.errors import MalformedError
from backend.models import RunRow
from backend.runs import repository as runs
from backend.schemas.event import Alarm, JobStarted, StatusChanged, StepFinished
from backend.schemas.run import RunStatus
from backend.schemas.sample import GroupRecord
from tests.backend.shell import Shell
from worker import recorder

TRAIN_YAML = "kind: train\nname: from a file\nnum_steps: 3\nrollout:\n  num_prompts: 2\n  group_size: 4\n"


@pytest.fixture
def recipe_file(tmp_path: Path) -> str:
    path = tmp_path / "recipe.yaml"
    path.write_text(TRAIN_YAML)
    return str(path)


@pytest.fixture
def perform(sessions: sessionmaker[Session]) -> Callable[..., None]:
    """Has a run happen as a worker would record it, up to the given end."""

    def perform(run_id: UUID, attempt: int, *, status: RunStatus, groups: tuple[GroupRecord, ...] = ()) -> None:
        bodies: list[runs.Body] = [JobStarted(from_step=0, num_steps=1)]
        bodies.append(
            StepFinished(step=1, num_steps=1, metrics={"reward/mean": 0.5}, groups=groups, seconds=0.1),
        )
        bodies.append(
            Alarm(code="zero_gradient", severity="warning", message="No gradient.", cure="Raise the rate.", step=1)  # type: ignore[arg-type]
        )
        with transaction(sessions) as session:
            seq = runs.get_run(session, run_id=run_id).num_events
        for body in bodies:
            with transaction(sessions) as session:
                seq = recorder.record(session, run_id, attempt, body, seq).seq
        with transaction(sessions) as session:
            error = "no picture was found: check the prompts" if status is RunStatus.FAILED else None
            runs.finish(session, run_id=run_id, attempt=attempt, status=status, error=error)

    return perform


def test_create_from_a_file_with_changes(studio: str, shell: Shell, recipe_file: str) -> None:
    assert shell("run", "create", recipe_file, "--set", "rollout.group_size=8", "--tag", "mine", "--json") == 0
    run = json.loads(shell.out)
    assert run["status"] == "queued"
    assert run["config"]["rollout"] == {"num_prompts": 2, "group_size": 8}
    assert run["name"] == "from a file"
    assert run["tags"] == ["mine"]


def test_every_shipped_recipe_can_be_launched(studio: str, shell: Shell, tmp_path: Path) -> None:
    votes = "b" * 64
    (tmp_path / "pair-sets" / votes).mkdir(parents=True)
    # What a recipe cannot bring along: the votes that were collected here.
    needs = {"reward-from-votes": ("--set", f"pairs.source={votes}")}
    assert shell("recipes", "--json") == 0
    names = [recipe["name"] for recipe in json.loads(shell.out)]
    assert names
    for name in names:
        assert shell("run", "create", name, *needs.get(name, ()), "--json") == 0
        assert json.loads(shell.out)["recipe"] == name


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rollout.group_siz=8", "no field 'group_siz': did you mean 'group_size'?"),
        ("rolout.group_size=8", "no section 'rolout': did you mean 'rollout'?"),
        ("rollout.group_size=1", "rollout.group_size: must be at least 2, not 1"),
        ("rollout.group_size", "is not of the form field=value"),
        ("rewards.3.weight=2", "'3' is no place in a list of 1"),
    ],
)
def test_a_wrong_change_is_refused_with_the_cure(
    studio: str, shell: Shell, recipe_file: str, change: str, words: str
) -> None:
    assert shell("run", "create", recipe_file, "--set", change) == 2
    assert shell.err.startswith("error: ")
    assert words in shell.err
    assert shell("run", "list", "--json") == 0
    assert json.loads(shell.out) == []


def test_a_setting_that_cannot_take_effect_is_refused_in_words() -> None:
    with pytest.raises(MalformedError, match=r"num_selected_steps is 20, but sampling.num_unmasking_steps is 16"):
        checked({"kind": "train"}, ["grpo.step_selection=random", "grpo.num_selected_steps=20"])


def test_a_name_that_is_no_recipe_and_no_file_is_refused(studio: str, shell: Shell) -> None:
    assert shell("run", "create", "nonsense") == 2
    assert shell.err.startswith("error: 'nonsense' is no recipe and no YAML file")
    assert shell("run", "create", "missing.yaml") == 2
    assert "missing.yaml cannot be read: No such file" in shell.err


def test_without_a_studio_every_command_says_how_to_start_one(shell: Shell) -> None:
    assert shell("run", "list") == 2
    assert shell.out == ""
    assert shell.err.count("\n") == 1
    assert "start it with `unmask up`" in shell.err
    assert shell("run", "list", "--json") == 2
    assert json.loads(shell.err)["error"]["code"] == "unavailable"


def test_a_misused_option_is_refused(shell: Shell) -> None:
    assert shell("run", "list", "--limit", "0") == 2
    assert "limit" in shell.err


def test_list_reads_over_pages_and_filters(studio: str, shell: Shell, make_run: Callable[..., RunRow]) -> None:
    rows = [make_run(name=f"run {number}", tags=("odd",) if number % 2 else ()) for number in range(104)]
    assert shell("run", "list", "--limit", "103", "--json") == 0
    found = json.loads(shell.out)
    assert [run["id"] for run in found] == [str(row.id) for row in reversed(rows)][:103]
    assert shell("run", "list", "--tag", "odd", "--kind", "train", "--status", "queued", "--json") == 0
    assert {run["name"] for run in json.loads(shell.out)} <= {f"run {number}" for number in range(1, 104, 2)}
    assert shell("run", "list") == 0
    line = next(line for line in shell.out.splitlines() if "run 103" in line)
    assert str(rows[103].id)[-8:] in line, "a run is one line that begins with an id which commands accept"


def test_a_run_is_found_by_the_end_of_its_id_or_as_the_last(
    studio: str, shell: Shell, make_run: Callable[..., RunRow]
) -> None:
    first, second = make_run(name="first"), make_run(name="second")
    assert shell("run", "show", str(first.id)[-8:], "--json") == 0
    assert json.loads(shell.out)["name"] == "first"
    assert shell("run", "show", "last", "--json") == 0
    assert json.loads(shell.out)["id"] == str(second.id)
    assert shell("run", "show", "zzzz") == 2
    assert "'zzzz' matches none of the runs: see `unmask run list`" in shell.err
    # Both ids begin with the same milliseconds.
    assert shell("run", "show", str(first.id)[:4]) == 2
    assert "matches several runs" in shell.err


def test_steering_commands_answer_with_the_run(studio: str, shell: Shell, make_run: Callable[..., RunRow]) -> None:
    running = make_run(worker="a worker")
    assert shell("run", "save", str(running.id), "--json") == 0
    assert json.loads(shell.out)["flags"]["is_save_requested"] is True
    assert shell("run", "sample-now", str(running.id)) == 0
    assert "save asked, pictures asked" in shell.out
    assert shell("run", "cancel", str(running.id), "--json") == 0
    assert json.loads(shell.out)["flags"]["is_cancel_requested"] is True


def test_a_queued_run_pauses_resumes_and_cancels_at_once(
    studio: str, shell: Shell, make_run: Callable[..., RunRow]
) -> None:
    run_id = str(make_run().id)
    for command, status in (
        ("pause", "paused"),
        ("resume", "queued"),
        ("cancel", "cancelled"),
        ("cancel", "cancelled"),
    ):
        assert shell("run", command, run_id, "--json") == 0
        assert json.loads(shell.out)["status"] == status
    assert shell("run", "resume", run_id, "--json") == 0
    assert json.loads(shell.out)["status"] == "cancelled"


def test_watch_ends_with_0_after_success(
    studio: str, shell: Shell, make_run: Callable[..., RunRow], perform: Callable[..., None]
) -> None:
    row = make_run(worker="a worker")
    perform(row.id, row.attempt, status=RunStatus.SUCCEEDED)
    assert shell("run", "watch", str(row.id), "--json") == 0
    events = [json.loads(line) for line in shell.out.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["body"] == StatusChanged(status=RunStatus.SUCCEEDED).model_dump(mode="json")
    assert shell("run", "watch", str(row.id)) == 0
    assert shell.out == ""
    assert "warning at step 1: No gradient. Raise the rate." in shell.err


def test_watch_ends_with_1_after_a_failure_and_says_why(
    studio: str, shell: Shell, make_run: Callable[..., RunRow], perform: Callable[..., None]
) -> None:
    row = make_run(worker="a worker")
    perform(row.id, row.attempt, status=RunStatus.FAILED)
    assert shell("run", "watch", str(row.id)) == 1
    assert "The run failed: no picture was found: check the prompts" in shell.err


def test_groups_show_what_was_filtered_and_why(
    studio: str,
    shell: Shell,
    make_run: Callable[..., RunRow],
    make_group: Callable[..., GroupRecord],
    perform: Callable[..., None],
) -> None:
    row = make_run(worker="a worker")
    groups = (
        make_group(index=0),
        make_group(index=1, is_kept=False, reason="all rewards equal", prompt="two [red] squares"),
    )
    perform(row.id, row.attempt, status=RunStatus.SUCCEEDED, groups=groups)
    assert shell("run", "groups", str(row.id)) == 0
    assert "filtered" in shell.out
    assert "all rewards equal" in shell.out
    assert "two [red] squares" in shell.out
    assert shell("run", "groups", str(row.id), "--json") == 0
    assert [group["is_kept"] for group in json.loads(shell.out)] == [True, False]


def test_clone_takes_the_configuration_with_changes(studio: str, shell: Shell, make_run: Callable[..., RunRow]) -> None:
    parent = make_run(name="parent", num_steps=5)
    assert shell("run", "clone", str(parent.id), "--set", "seed=8", "--name", "child", "--json") == 0
    clone = json.loads(shell.out)
    assert clone["parent_run_id"] == str(parent.id)
    assert (clone["name"], clone["config"]["seed"], clone["config"]["num_steps"]) == ("child", 8, 5)


def test_what_a_new_run_is_warned_of_is_said_on_stderr(studio: str, shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "cats.yaml"
    path.write_text("kind: sample\nprompts: {texts: [a photo of a cat]}\n")
    assert shell("run", "create", str(path), "--json") == 0
    run = json.loads(shell.out)
    assert shell.err.startswith("warning: prompts.texts has words that the policy has never read: 'cat'")
    assert shell("run", "cancel", run["id"]) == 0
    assert shell("run", "watch", run["id"]) == 1
    assert "warning: prompts.texts has words" in shell.err


def test_version_and_openapi_need_no_studio(shell: Shell) -> None:
    assert shell("version", "--json") == 0
    assert json.loads(shell.out)["name"] == "unmask-studio"
    assert shell("openapi") == 0
    assert "/api/v1/runs" in json.loads(shell.out)["paths"]


def test_a_table_cuts_no_id_whatever_else_is_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    whole = "01a22169-b166-740c-9abc-0123456789ab"
    print_table(("id", "name", "tasks", "created"), [(whole, "n" * 300, "two words " * 9, "3 min ago")], "none")
    told = capsys.readouterr().out
    assert whole in told
    assert "3 min ago" in told
    assert told.count("two") == 9
    assert max(map(len, told.splitlines())) < 130
