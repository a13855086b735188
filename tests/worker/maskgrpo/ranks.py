"""Runs a function in several real processes over gloo, as torchrun would start them, and gives what each returned."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import multiprocessing

from worker.maskgrpo.processes import Processes

LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


def in_processes(function: Callable[[Processes], Any], num_processes: int, folder: Path) -> list[Any]:
    """What the function returned in each process. It must be importable, and is given the process's view."""
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.spawn(
        _perform, (function, num_processes, str(folder)), nprocs=num_processes, join=False, daemon=True
    )
    while not context.join(timeout=120):
        pass
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(num_processes)]


def _perform(rank: int, function: Callable[[Processes], Any], num_processes: int, folder: str) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = LOOPBACK
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=num_processes,
        timeout=timedelta(seconds=60),
    )
    try:
        torch.save(function(Processes(rank, num_processes)), Path(folder) / f"{rank}.pt")
    finally:
        dist.destroy_process_group()
