"""The train job: exact resume from any cut, what is asked is honoured within one step, and failures leave nothing."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from backend.artifacts import RunFolder, sha256_of
from backend.schemas.config import TrainConfig
from backend.schemas.event import (
    Alarm,
    Body,
    CheckpointSaved,
    JobStarted,
    Log,
    SamplesMade,
    ScoreMeasured,
    StepFinished,
)
from backend.schemas.run import RequestFlags, RunStatus
from tests.worker.jobs.driving import WALL_TIMES, drive, tiny_train_config
from worker.jobs import pictures, run_job
from worker.jobs.checkpoints import read_checkpoint, saved_steps
from worker.showo.loading import load_policy


@pytest.fixture(scope="module")
def undisturbed(policy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, list[Body]]:
    """A run that nobody touched."""
    folder = RunFolder(tmp_path_factory.mktemp("undisturbed") / "run")
    bodies, outcome = drive(run_job(tiny_train_config(policy_folder), folder))
    assert outcome is RunStatus.SUCCEEDED
    return folder, bodies


def of_kind(bodies: list[Body], kind: type) -> list[Any]:
    return [body for body in bodies if isinstance(body, kind)]


def facts(bodies: list[Body]) -> dict[int, tuple[object, ...]]:
    """What each step said, without wall times; what a later attempt said of a step replaces what an earlier one did."""
    return {
        body.step: (
            {name: value for name, value in body.metrics.items() if not name.startswith(WALL_TIMES)},
            body.credit,
            body.groups,
            body.standing,
        )
        for body in of_kind(bodies, StepFinished)
    }


def files(folder: RunFolder) -> dict[str, str]:
    """Every file of the run by hash: pictures, trajectories, checkpoints with parameters and optimizer, the export."""
    return {
        str(path.relative_to(folder.root)): sha256_of(path)
        for path in sorted(folder.root.rglob("*"))
        if path.is_file() and path.name != "lock" and ".damaged" not in str(path)
    }


def test_the_events_of_a_whole_run_come_in_order(undisturbed: tuple[RunFolder, list[Body]]) -> None:
    _, bodies = undisturbed
    started = bodies[0]
    assert isinstance(started, JobStarted)
    assert (started.from_step, started.num_steps, started.state_hash) == (0, 6, None)
    assert [body.step for body in of_kind(bodies, StepFinished)] == [1, 2, 3, 4, 5, 6]
    assert [(body.step, body.deleted_steps) for body in of_kind(bodies, CheckpointSaved)] == [
        (2, ()),
        (4, ()),
        (6, (2,)),
    ]
    scores = [(body.step, body.policy) for body in of_kind(bodies, ScoreMeasured)]
    assert scores == [(0, "base"), (3, "policy"), (3, "difference"), (6, "policy"), (6, "difference")]
    assert [(body.step, body.purpose) for body in of_kind(bodies, SamplesMade)] == [
        (0, "probe"),
        (3, "probe"),
        (6, "probe"),
    ]


def test_every_picture_and_trajectory_that_a_record_names_lies_there(undisturbed: tuple[RunFolder, list[Body]]) -> None:
    folder, bodies = undisturbed
    groups = [group for body in of_kind(bodies, StepFinished) for group in body.groups]
    assert len(groups) == 12
    for group in groups:
        assert folder.path(group.trajectory_path).is_file()
        assert len(group.samples) == 3
        for sample in group.samples:
            assert sha256_of(folder.path(sample.image_path)) == sample.image_sha256


def test_the_best_of_every_training_group_and_the_first_of_every_probe_group_has_decoded_frames(
    undisturbed: tuple[RunFolder, list[Body]],
) -> None:
    folder, bodies = undisturbed
    wanted = set()
    for group in [group for body in of_kind(bodies, StepFinished) for group in body.groups]:
        best = max(group.samples, key=lambda sample: sample.reward)
        wanted.add(best.image_path.replace("samples/", "frames/"))
    for group in [group for body in of_kind(bodies, SamplesMade) for group in body.groups]:
        wanted.add(group.samples[0].image_path.replace("samples/", "frames/"))
    found = {str(path.relative_to(folder.root)) for path in folder.path("frames").rglob("*.png")}
    assert len(wanted) == 12 + 3 * 6
    assert found == wanted


def test_the_export_is_the_average_and_the_checkpoint_holds_both(undisturbed: tuple[RunFolder, list[Body]]) -> None:
    folder, _ = undisturbed
    optimizer = read_checkpoint(folder, 6).state["trainer"]["optimizer"]
    exported = dict(load_policy(folder.path("exports/policy")).named_parameters())
    in_checkpoint = dict(load_policy(folder.path("checkpoints/000006/policy")).named_parameters())
    names = list(optimizer["average"])
    assert all(torch.equal(exported[name], optimizer["average"][name]) for name in names)
    assert all(torch.equal(in_checkpoint[name], exported[name]) for name in names)
    assert not all(torch.equal(optimizer["parameters"][name], optimizer["average"][name]) for name in names)


@pytest.mark.parametrize("cut", [5, *(pytest.param(cut, marks=pytest.mark.slow) for cut in (1, 3, 6, 9, 11, 14))])
def test_a_run_cut_after_any_event_resumes_to_the_same_bits(
    undisturbed: tuple[RunFolder, list[Body]], policy_folder: Path, folder: RunFolder, cut: int
) -> None:
    whole_folder, whole = undisturbed
    config = tiny_train_config(policy_folder)
    first, outcome = drive(run_job(config, folder), stop_after=cut)
    assert outcome is None
    second, outcome = drive(run_job(config, folder))
    assert outcome is RunStatus.SUCCEEDED
    started = second[0]
    assert isinstance(started, JobStarted)
    if started.from_step:
        assert started.is_state_equal
    assert facts(first + second) == facts(whole)
    assert files(folder) == files(whole_folder)


@pytest.mark.slow
def test_a_paused_run_saves_at_once_and_resumes_to_the_same_bits(
    undisturbed: tuple[RunFolder, list[Body]], policy_folder: Path, folder: RunFolder
) -> None:
    whole_folder, whole = undisturbed
    config = tiny_train_config(policy_folder)
    first, outcome = drive(run_job(config, folder), ask=at_step(3, is_pause_requested=True))
    assert outcome is RunStatus.PAUSED
    assert [body.step for body in of_kind(first, StepFinished)] == [1, 2, 3]
    assert isinstance(first[-1], CheckpointSaved)
    assert first[-1].step == 3
    second, outcome = drive(run_job(config, folder))
    assert outcome is RunStatus.SUCCEEDED
    assert second[0].from_step == 3
    assert facts(first + second) == facts(whole)
    final = read_checkpoint(folder, 6), read_checkpoint(whole_folder, 6)
    assert final[0].written_hash == final[1].written_hash


def test_a_cancelled_run_ends_after_the_step_in_hand_without_a_checkpoint(
    policy_folder: Path, folder: RunFolder
) -> None:
    bodies, outcome = drive(
        run_job(tiny_train_config(policy_folder), folder),
        ask=at_step(4, is_cancel_requested=True, is_pause_requested=True),
    )
    assert outcome is RunStatus.CANCELLED
    assert isinstance(bodies[-1], StepFinished)
    assert bodies[-1].step == 4
    assert saved_steps(folder) == [2]
    assert not folder.path("exports").exists()


@pytest.mark.slow
def test_save_now_and_sample_now_follow_the_step_in_hand_and_change_nothing(
    undisturbed: tuple[RunFolder, list[Body]], policy_folder: Path, folder: RunFolder
) -> None:
    asked: list[Body] = []

    def ask(body: Body) -> RequestFlags:
        asked.append(body)
        is_made = any(isinstance(each, SamplesMade) and each.purpose == "sample_now" for each in asked)
        is_saved = any(isinstance(each, CheckpointSaved) and each.step == 1 for each in asked)
        return RequestFlags(is_sample_requested=not is_made, is_save_requested=not is_saved)

    bodies, outcome = drive(run_job(tiny_train_config(policy_folder), folder), ask=ask)
    assert outcome is RunStatus.SUCCEEDED
    place = bodies.index(of_kind(bodies, StepFinished)[0])
    made, saved = bodies[place + 1], bodies[place + 2]
    assert isinstance(made, SamplesMade)
    assert (made.step, made.purpose, made.num_done) == (1, "sample_now", 24)
    assert folder.path(made.groups[0].samples[0].image_path).is_file()
    assert isinstance(saved, CheckpointSaved)
    assert saved.step == 1
    assert facts(bodies) == facts(undisturbed[1])


@pytest.mark.slow
def test_a_damaged_checkpoint_is_passed_over_with_a_warning_and_the_run_still_ends_the_same(
    undisturbed: tuple[RunFolder, list[Body]], policy_folder: Path, folder: RunFolder
) -> None:
    config = tiny_train_config(policy_folder)
    drive(run_job(config, folder), stop_after=12)
    assert saved_steps(folder) == [2, 4]
    state = folder.path("checkpoints/000004/state.safetensors")
    state.write_bytes(state.read_bytes()[:1000])
    bodies, _ = drive(run_job(config, folder))
    assert bodies[0].from_step == 2
    assert isinstance(bodies[1], Log)
    assert bodies[1].level == "warning"
    assert "step 4 is damaged" in bodies[1].message
    assert [body.deleted_steps for body in of_kind(bodies, CheckpointSaved)] == [(), (), (2,)]
    assert folder.path("checkpoints/000004.damaged/state.safetensors").is_file()
    assert files(folder) == files(undisturbed[0])


@pytest.mark.slow
def test_the_source_may_go_while_the_run_trains(policy_folder: Path, folder: RunFolder, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(policy_folder, source)
    config = tiny_train_config(source, num_steps=2, probe={"num_prompts": 0})
    drive(run_job(config, folder), stop_after=2)
    shutil.rmtree(source)
    assert drive(run_job(config, folder))[1] is RunStatus.SUCCEEDED


def test_a_full_disk_ends_the_run_and_the_step_leaves_no_event(
    policy_folder: Path, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = run_job(tiny_train_config(policy_folder, probe={"num_prompts": 0}), folder)
    next(job)
    first = job.send(RequestFlags())
    assert isinstance(first, StepFinished)

    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device", "003-05.png")

    monkeypatch.setattr(pictures, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        job.send(RequestFlags())
    assert not list(folder.root.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policy": {"source": "/nowhere/at/all", "device": "cpu"}}, "no model folder at /nowhere/at/all"),
        (
            {"policy": {"source": "run:no-such-run", "device": "cpu"}},
            "there is no run no-such-run at .*, or it has not begun",
        ),
        ({"policy": {"source": "run:other@7", "device": "cpu"}}, "there is no run other at"),
        ({"policy": {"source": "run:../escape", "device": "cpu"}}, "write run:<id> or run:<id>@<step>"),
        ({"probe": {"num_prompts": 3}}, "probe.num_prompts is 3: give at least 6"),
        ({"prompts": {"tasks": ["juggling"]}}, "juggling"),
        ({"sampling": {"num_unmasking_steps": 65}}, "65"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(
    policy_folder: Path, folder: RunFolder, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        drive(run_job(tiny_train_config(policy_folder, **changes), folder))


@pytest.mark.slow
def test_another_run_starts_from_an_export_and_from_a_checkpoint(
    undisturbed: tuple[RunFolder, list[Body]], policy_folder: Path
) -> None:
    other = RunFolder(undisturbed[0].root.parent / "next")
    for source in ("run:run", "run:run@4"):
        config = TrainConfig.model_validate(
            tiny_train_config(policy_folder, num_steps=1, probe={"num_prompts": 0}).model_dump()
            | {"policy": {"source": source, "device": "cpu", "num_threads": 1}}
        )
        assert drive(run_job(config, RunFolder(other.root.with_name(f"next-{source[-1]}"))))[1] is RunStatus.SUCCEEDED


def test_the_trainers_alarms_become_events(policy_folder: Path, folder: RunFolder) -> None:
    config = tiny_train_config(policy_folder, rewards=[{"name": "strict"}], num_steps=1, probe={"num_prompts": 0})
    bodies, _ = drive(run_job(config, folder))
    assert "zero_reward_spread" in [alarm.code for alarm in of_kind(bodies, Alarm)]


def at_step(step: int, **flags: bool) -> Callable[[Body], RequestFlags]:
    """Asks from the end of a step on."""
    seen: set[int] = set()

    def ask(body: Body) -> RequestFlags:
        if isinstance(body, StepFinished):
            seen.add(body.step)
        return RequestFlags(**flags) if step in seen else RequestFlags()

    return ask
