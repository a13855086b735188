"""Joins the processes of a run, and performs the part of those that only follow the first one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch.distributed as dist

from backend.artifacts import RunFolder
from backend.schemas.config import RunConfig, TrainConfig, run_config_adapter
from backend.schemas.scaling import Sharding
from worker.jobs import follow_job
from worker.jobs.launch import PEER_LOST, leave_words
from worker.jobs.mistakes import last_words
from worker.jobs.policies import device_of
from worker.jobs.ranks import is_orphan, is_rank, rank
from worker.maskgrpo.processes import ALONE, PeerLostError, Processes, is_of_a_peer


@contextmanager
def joined_processes(config: RunConfig) -> Iterator[Processes]:
    """Joins the other processes for the time of the block; alone, there is nothing to join.

    Raises:
        ValueError: several processes were started for a run that does not train, or there are not enough GPUs.
        PeerLostError: not all of them came.
    """
    if not is_rank():
        yield ALONE
        return
    if not isinstance(config, TrainConfig):
        raise ValueError("only training is made by several processes: start this run without torchrun")
    is_on_gpu = device_of(config.policy).type == "cuda"
    try:
        dist.init_process_group(
            # Tensors on a GPU go from GPU to GPU, everything else from host to host.
            "cpu:gloo,cuda:nccl" if is_on_gpu else "gloo",
            timeout=timedelta(minutes=config.scaling.timeout_minutes),
        )
    except RuntimeError as error:
        raise PeerLostError(f"the processes of this run could not find each other: {error}") from error
    try:
        is_sharded = config.scaling.sharding is Sharding.FSDP and dist.get_world_size() > 1
        yield Processes(dist.get_rank(), dist.get_world_size(), is_sharded=is_sharded)
    except RuntimeError as error:
        if isinstance(error, PeerLostError) or not is_of_a_peer(error):
            raise
        raise PeerLostError from error
    finally:
        dist.destroy_process_group()


def follow_first(folder: RunFolder, config: RunConfig | None = None) -> int:
    """The whole of a process that is not the first: its exit code.

    Args:
        folder: the run's, for which all processes see the same files.
        config: the run's; None to read it there.
    """
    # What it says goes to the log: the pipe to the runner is the first one's.
    os.dup2(2, 1)
    if is_orphan():
        return PEER_LOST
    try:
        if config is None:
            config = run_config_adapter.validate_json(folder.read("config.json"))
        with joined_processes(config) as processes:
            follow_job(config, folder, processes)
    except PeerLostError as error:
        print(f"process {rank()}: {error}", file=sys.stderr, flush=True)
        return PEER_LOST
    except (ValueError, OSError) as error:
        print(f"process {rank()}: {last_words(error)}", file=sys.stderr, flush=True)
        leave_words(last_words(error))
        return 1
    return 0
