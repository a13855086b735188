"""Finds and loads the policy that a configuration names: shipped, a folder, or what another run made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from backend.artifacts import RunFolder
from backend.machine import num_cores
from backend.schemas.every_run import ALIAS_PREFIX, PolicyConfig
from backend.schemas.scaling import Precision
from worker.jobs.checkpoints import checkpoint_path
from worker.jobs.ranks import is_rank, local_rank, num_local_processes
from worker.jobs.whole_folder import whole_folder
from worker.showo.loading import SHIPPED_WEIGHTS, load_policy, save_policy
from worker.showo.lora import base_of, is_adapter, merge_adapter
from worker.showo.policy import ShowoPolicy

EXPORTED_POLICY = "exports/policy"
EXPORTED_ADAPTER = "exports/adapter"
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
        if source.startswith(ALIAS_PREFIX):
            raise ValueError(f"policy.source is {source!r}: only a studio knows aliases; name the model itself")
        return Path(source).expanduser()
    other = RunFolder(folder.root.parent / match["run"])
    if not other.root.is_dir():
        raise ValueError(
            f"policy.source is {source!r}, but there is no run {match['run']} at {other.root.parent}, or it has not "
            "begun: see `unmask run list`"
        )
    if match["step"] is None:
        path = other.path(EXPORTED_POLICY)
        if not path.is_dir() and is_adapter(other.path(EXPORTED_ADAPTER)):
            path = other.path(EXPORTED_ADAPTER)
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
    return _load(policy_folder(config.source, folder), config)


def device_of(config: PolicyConfig) -> torch.device:
    """The device to work on.

    Raises:
        ValueError: when a GPU is asked for and there is none.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("policy.device is cuda, but this machine shows no GPU to torch: take auto or cpu")
    wanted = config.device
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted != "cuda" or not is_rank():
        return torch.device(wanted)
    if local_rank() >= torch.cuda.device_count():
        raise ValueError(
            f"scaling.num_processes asks for {num_local_processes()} processes, but this machine shows "
            f"{torch.cuda.device_count()} GPUs to torch: one process needs one GPU"
        )
    return torch.device("cuda", local_rank())


def prepare_torch(config: PolicyConfig) -> None:
    """Threads, this process's GPU, and determinism."""
    torch.set_num_threads(config.num_threads or max(1, num_cores() // num_local_processes()))
    if is_rank() and (device := device_of(config)).type == "cuda":
        torch.cuda.set_device(device)
    # Not `use_deterministic_algorithms`: it does the same, and imports the compiler for seconds.
    torch.set_deterministic_debug_mode("warn" if torch.cuda.is_available() else "error")
    # It would also fill what is about to be written, on a GPU a third of all kernels; nothing of ours reads it before.
    torch.utils.deterministic.fill_uninitialized_memory = False


def keep_start(config: PolicyConfig, folder: RunFolder) -> None:
    """Copies the policy that a run starts from into its folder, once: the source may change or go while it trains."""
    start = folder.path(START_POLICY)
    if not start.is_dir():
        write_policy(load(config, folder), start)


def load_start(config: PolicyConfig, folder: RunFolder) -> ShowoPolicy:
    """The policy that a run started from."""
    return _load(folder.path(START_POLICY), config)


def _load(path: Path, config: PolicyConfig) -> ShowoPolicy:
    """A policy in the published format, or one that an adapter makes of its base; in the wanted precision."""
    if config.is_compiled and device_of(config).type != "cuda":
        raise ValueError(
            "policy.is_compiled is on, but the run works on the CPU, where compiling costs minutes and saves none: "
            "switch it off, or take policy.device cuda"
        )
    if is_adapter(path):
        policy = load_policy(base_of(path), device_of(config))
        merge_adapter(policy.showo, path)
    else:
        policy = load_policy(path, device_of(config))
    policy.showo.autocast_dtype = torch.bfloat16 if config.precision is Precision.BFLOAT16 else None
    if config.is_compiled:
        policy.showo.compile_layers()
    return policy


def export_policy(policy: ShowoPolicy, folder: RunFolder, weights: Mapping[str, Tensor] | None = None) -> None:
    """Writes the run's final policy, which other runs and other programs load; `weights` as in `save_policy`."""
    write_policy(policy, folder.path(EXPORTED_POLICY), weights)


def write_policy(policy: ShowoPolicy, path: Path, weights: Mapping[str, Tensor] | None = None) -> None:
    """Writes a model folder in Show-o's published format, whole or not at all, in the place of an earlier one.

    Raises:
        OSError: when the disk is full or cannot be written; nothing is left behind.
    """
    with whole_folder(path) as temporary:
        save_policy(policy, temporary, weights)
