"""A run's checkpoints: written whole or not at all, checked by hash when read, pruned by age.

A checkpoint is a folder with state.safetensors, state.json, policy/ and a manifest with the hash of every file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.artifacts import RunFolder, sha256_of
from backend.schemas.event import CheckpointSaved
from worker.jobs.state_files import join_state, read_safetensors, split_state, state_hash, write_safetensors
from worker.jobs.whole_folder import whole_folder

_MANIFEST = "manifest.json"


class DamagedError(Exception):
    """A checkpoint is not what was written: a file is missing, cut short or changed."""


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint that was read back."""

    step: int
    state: Any
    """the nested state, as it was saved"""
    written_hash: str
    """the state's hash when it was saved"""
    read_hash: str
    """the hash of what was read"""


def checkpoint_path(step: int) -> str:
    """Where a step's checkpoint lies in the run's folder."""
    return f"checkpoints/{step:06d}"


def save_checkpoint(
    folder: RunFolder, step: int, state: object, write_policy: Callable[[Path], None], num_kept: int
) -> CheckpointSaved:
    """Writes a checkpoint atomically and says which older ones are now too many; `prune` deletes those.

    Raises:
        OSError: when the disk is full or cannot be written; nothing is left behind.
    """
    target = folder.path(checkpoint_path(step))
    os.sync()  # The pictures of the steps that this checkpoint makes count.
    tensors, tree = split_state(state)
    hash_of_state = state_hash(tensors, tree)
    with whole_folder(target) as temporary:
        write_safetensors(tensors, temporary / "state.safetensors")
        (temporary / "state.json").write_text(json.dumps(tree))
        write_policy(temporary / "policy")
        manifest = _manifest(temporary, step, hash_of_state)
        (temporary / _MANIFEST).write_bytes(manifest)
    num_bytes = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    older = [each for each in saved_steps(folder) if each < step]
    return CheckpointSaved(
        step=step,
        sha256=hashlib.sha256(manifest).hexdigest(),
        num_bytes=num_bytes,
        state_hash=hash_of_state,
        path=checkpoint_path(step),
        deleted_steps=tuple(older[: max(0, len(older) + 1 - num_kept)]),
    )


def saved_steps(folder: RunFolder) -> list[int]:
    """The steps that have a checkpoint, whole or damaged, oldest first."""
    checkpoints = folder.path("checkpoints")
    if not checkpoints.is_dir():
        return []
    return sorted(int(path.name) for path in checkpoints.iterdir() if re.fullmatch(r"\d{6,}", path.name))


def prune(folder: RunFolder, steps: tuple[int, ...]) -> None:
    """Deletes checkpoints; done after the rows that named them are gone, and again where a crash came between."""
    for step in steps:
        shutil.rmtree(folder.path(checkpoint_path(step)), ignore_errors=True)


def newest_whole(folder: RunFolder) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole, or None, and a sentence for each newer one that was passed over."""
    problems: list[str] = []
    for step in reversed(saved_steps(folder)):
        try:
            return read_checkpoint(folder, step), problems
        except DamagedError as error:
            problems.append(f"checkpoint of step {step} is damaged and is passed over: {error}")
    return None, problems


def set_damaged_aside(folder: RunFolder, loaded_step: int) -> None:
    """Renames every checkpoint above the loaded one, 0 for none: all of these were found damaged.

    As `000020.damaged` it counts neither as a checkpoint nor against those that are kept, and a person can look at it.
    """
    for step in saved_steps(folder):
        if step > loaded_step:
            path = folder.path(checkpoint_path(step))
            aside = path.with_name(f"{path.name}.damaged")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)


def read_checkpoint(folder: RunFolder, step: int) -> Checkpoint:
    """Reads a checkpoint back and checks every file's hash.

    Raises:
        DamagedError: when anything differs from what was written.
    """
    root = folder.path(checkpoint_path(step))
    try:
        manifest = json.loads((root / _MANIFEST).read_bytes())
        for name, expected in manifest["files"].items():
            if sha256_of(root / name) != expected:
                raise DamagedError(f"{name} differs from what was written")
        tensors = read_safetensors(root / "state.safetensors")
        tree = json.loads((root / "state.json").read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(str(error)) from error
    return Checkpoint(
        step=step,
        state=join_state(tensors, tree),
        written_hash=manifest["state_hash"],
        read_hash=state_hash(tensors, tree),
    )


def saved_again(folder: RunFolder, checkpoint: Checkpoint) -> CheckpointSaved:
    """The event of a checkpoint that lies there already: its writer may have died before it could say so."""
    root = folder.path(checkpoint_path(checkpoint.step))
    return CheckpointSaved(
        step=checkpoint.step,
        sha256=sha256_of(root / _MANIFEST),
        num_bytes=sum(path.stat().st_size for path in root.rglob("*") if path.is_file()),
        state_hash=checkpoint.written_hash,
        path=checkpoint_path(checkpoint.step),
    )


def _manifest(root: Path, step: int, hash_of_state: str) -> bytes:
    files = {str(path.relative_to(root)): sha256_of(path) for path in sorted(root.rglob("*")) if path.is_file()}
    return json.dumps({"step": step, "state_hash": hash_of_state, "files": files}, indent=1).encode()
