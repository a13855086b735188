"""Finds and loads the policy that a configuration names: shipped, a folder, or what another run made."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch

from backend.artifacts import RunFolder
from backend.schemas.config import PolicyConfig
from worker.jobs.checkpoints import checkpoint_path
from worker.jobs.whole_folder import whole_folder
from worker.showo.loading import SHIPPED_WEIGHTS, load_policy, save_policy
from worker.showo.policy import ShowoPolicy

EXPORTED_POLICY = "exports/policy"
START_POLICY = "start/policy"

_RUN_SOURCE = re.compile(r"run:(?P<run>[A-Za-z0-9][A-Za-z0-9_-]*)(?:@(?P<step>\d+))?")


def policy_folder(source: str, folder: RunFolder) -> Path:
    """The model folder that a source names; other runs lie beside this run's folder.

    Raises:
        ValueError: when it names nothing that is there.
    """
    if source == "shipped":
        return SHIPPED_WEIGHTS
    match = _RUN_SOURCE.fullmatch(source)
    if match is None:
        if source.startswith("run:"):
            raise ValueError(f"policy.source is {source!r}: write run:<id> or run:<id>@<step>")
        return Path(source).expanduser()
    other = RunFolder(folder.root.parent / match["run"])
    if match["step"] is None:
        path = other.path(EXPORTED_POLICY)
        cure = "it exports one when it succeeds; until then take one of its checkpoints, run:<id>@<step>"
    else:
        path = other.path(f"{checkpoint_path(int(match['step']))}/policy")
        cure = "see the run's page for the checkpoints that are kept"
    if not path.is_dir():
        raise ValueError(f"policy.source is {source!r}, but there is no policy at {path}: {cure}")
    return path


def load(config: PolicyConfig, folder: RunFolder) -> ShowoPolicy:
    """The policy, on the device that the configuration asks for.

    Raises:
        ValueError: when it cannot be found or read, or the device is not there.
    """
    return load_policy(policy_folder(config.source, folder), device_of(config))


def device_of(config: PolicyConfig) -> torch.device:
    """The device to work on.

    Raises:
        ValueError: when a GPU is asked for and there is none.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("policy.device is cuda, but this machine shows no GPU to torch: take auto or cpu")
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(config.device)


def prepare_torch(config: PolicyConfig) -> None:
    """Threads and determinism."""
    torch.set_num_threads(config.num_threads or len(os.sched_getaffinity(0)))
    # Not `use_deterministic_algorithms`: it does the same, and imports the compiler for seconds.
    torch.set_deterministic_debug_mode("warn" if torch.cuda.is_available() else "error")


def keep_start(config: PolicyConfig, folder: RunFolder) -> None:
    """Copies the policy that a run starts from into its folder, once: the source may change or go while it trains."""
    start = folder.path(START_POLICY)
    if not start.is_dir():
        write_policy(load(config, folder), start)


def load_start(config: PolicyConfig, folder: RunFolder) -> ShowoPolicy:
    """The policy that a run started from."""
    return load_policy(folder.path(START_POLICY), device_of(config))


def export_policy(policy: ShowoPolicy, folder: RunFolder) -> None:
    """Writes the run's final policy, which other runs and other programs load."""
    write_policy(policy, folder.path(EXPORTED_POLICY))


def write_policy(policy: ShowoPolicy, path: Path) -> None:
    """Writes a model folder in Show-o's published format, whole or not at all, in the place of an earlier one.

    Raises:
        OSError: when the disk is full or cannot be written; nothing is left behind.
    """
    with whole_folder(path) as temporary:
        save_policy(policy, temporary)
