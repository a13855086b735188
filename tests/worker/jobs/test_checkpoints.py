"""Checkpoints are there whole or not at all; a damaged one is passed over and named."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from backend.artifacts import RunFolder
from backend.schemas.event import CheckpointSaved
from worker.jobs.checkpoints import newest_whole, prune, save_checkpoint, saved_again, saved_steps, set_damaged_aside
from worker.showo import weights


def write_model(path: Path) -> None:
    path.mkdir()
    (path / "config.json").write_text("{}")


def save(folder: RunFolder, step: int, num_kept: int = 10) -> CheckpointSaved:
    return save_checkpoint(folder, step, {"weight": torch.full((4,), float(step))}, write_model, num_kept)


def test_the_newest_checkpoint_is_read_back_with_the_hash_it_was_written_with(folder: RunFolder) -> None:
    save(folder, 2)
    saved = save(folder, 10)
    checkpoint, problems = newest_whole(folder)
    assert problems == []
    assert checkpoint is not None
    assert checkpoint.step == 10
    assert torch.equal(checkpoint.state["weight"], torch.full((4,), 10.0))
    assert checkpoint.written_hash == checkpoint.read_hash == saved.state_hash
    assert saved_again(folder, checkpoint) == saved


@pytest.mark.parametrize("name", ["state.safetensors", "state.json", "policy/config.json", "manifest.json"])
def test_a_truncated_file_makes_the_one_before_count_and_is_named(folder: RunFolder, name: str) -> None:
    save(folder, 2)
    save(folder, 4)
    path = folder.path("checkpoints/000004").joinpath(name)
    path.write_bytes(path.read_bytes()[:-1])
    checkpoint, problems = newest_whole(folder)
    assert checkpoint is not None
    assert checkpoint.step == 2
    assert len(problems) == 1
    assert "step 4 is damaged" in problems[0]


def test_a_missing_file_is_damage_too_and_all_damaged_means_from_the_start(folder: RunFolder) -> None:
    save(folder, 2)
    folder.path("checkpoints/000002/state.safetensors").unlink()
    checkpoint, problems = newest_whole(folder)
    assert checkpoint is None
    assert "state.safetensors" in problems[0]


def test_a_damaged_checkpoint_is_replaced_when_its_step_comes_again(folder: RunFolder) -> None:
    save(folder, 2)
    folder.path("checkpoints/000002/state.json").write_text("[")
    save(folder, 2)
    checkpoint, problems = newest_whole(folder)
    assert checkpoint is not None
    assert problems == []


def test_a_full_disk_leaves_nothing_half_written(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    save(folder, 2)

    def full(path: Path) -> None:
        path.mkdir()
        (path / "config.json").write_text("{")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(folder, 4, {"weight": torch.ones(4)}, full, 10)
    assert [path.name for path in folder.path("checkpoints").iterdir()] == ["000002"]

    def cannot_write(*_args: object, **_options: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(weights, "save_file", cannot_write)
    with pytest.raises(OSError, match="No space left"):
        save(folder, 4)
    assert [path.name for path in folder.path("checkpoints").iterdir()] == ["000002"]


def test_what_a_killed_process_left_half_written_is_ignored_and_removed(folder: RunFolder) -> None:
    save(folder, 2)
    leftover = folder.path("checkpoints") / ".000004.abcd.tmp"
    leftover.mkdir()
    assert saved_steps(folder) == [2]
    save(folder, 6)
    assert not leftover.exists()


def test_retention_names_the_oldest_first_and_never_the_newest(folder: RunFolder) -> None:
    assert save(folder, 2, num_kept=2).deleted_steps == ()
    assert save(folder, 4, num_kept=2).deleted_steps == ()
    saved = save(folder, 6, num_kept=2)
    assert saved.deleted_steps == (2,)
    assert saved_steps(folder) == [2, 4, 6]
    prune(folder, saved.deleted_steps)
    assert saved_steps(folder) == [4, 6]


def test_a_damaged_newer_checkpoint_never_costs_the_one_just_saved(folder: RunFolder) -> None:
    save(folder, 5, num_kept=1)
    save(folder, 20, num_kept=1)
    folder.path("checkpoints/000020/state.json").write_text("[")
    assert save(folder, 10, num_kept=1).deleted_steps == (5,)


def test_damaged_checkpoints_are_set_aside_on_resume_and_no_longer_count(folder: RunFolder) -> None:
    save(folder, 5)
    for step in (15, 20):
        save(folder, step)
        folder.path(f"checkpoints/{step:06d}/state.json").write_text("[")
    checkpoint, _ = newest_whole(folder)
    assert checkpoint is not None
    set_damaged_aside(folder, checkpoint.step)
    assert saved_steps(folder) == [5]
    assert folder.path("checkpoints/000020.damaged/state.json").read_text() == "["
    saved = save(folder, 10, num_kept=1)
    prune(folder, saved.deleted_steps)
    assert saved_steps(folder) == [10]
    assert newest_whole(folder)[1] == []
