"""The processes that share one training: who does what, and what they must agree on. It knows no Show-o and no files.

In the paper's released code the loss passes DistributedDataParallel by, so that every process trains a policy of its
own; here one explicit sum gives all of them the same gradient (docs/decisions/0009).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

from worker.maskgrpo.memory import is_out_of_memory

Item = TypeVar("Item")


class PeerLostError(RuntimeError):
    """Another process of the training has gone, or was silent for too long; what became of it is its own to say."""


class PeerFailedError(ValueError):
    """Another process of the training made a mistake that it could tell."""


class Processes:
    """The processes of one training as this one sees them; alone, every call is free and changes nothing."""

    def __init__(self, rank: int = 0, num_processes: int = 1) -> None:
        self.rank = rank
        self.num_processes = num_processes

    @property
    def is_first(self) -> bool:
        """Whether this is the process that reports, records and saves."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether there is no other."""
        return self.num_processes == 1

    def share(self, num_items: int) -> range:
        """The places of `num_items` in order that are this process's: even to within one, perhaps none."""
        least, surplus = divmod(num_items, self.num_processes)
        start = self.rank * least + min(self.rank, surplus)
        return range(start, start + least + (self.rank < surplus))

    def gathered(self, own: Sequence[Item]) -> list[Item]:
        """The items of all processes in the order of their shares, the same list in every process.

        Tensors in them must be on the CPU.

        Raises:
            PeerLostError: a process has gone.
        """
        if self.is_alone:
            return list(own)
        parts: list[list[Item]] = [[] for _ in range(self.num_processes)]
        with _peers():
            dist.all_gather_object(parts, list(own))
        return [item for part in parts for item in part]

    def told(self, value: Item) -> Item:
        """The first process's value, in every process; the others' are ignored.

        Raises:
            PeerLostError: a process has gone.
        """
        if self.is_alone:
            return value
        box = [value]
        with _peers():
            dist.broadcast_object_list(box, src=0)
        return box[0]

    @contextmanager
    def together(self) -> Iterator[None]:
        """A block that each process does for itself; what fails in one ends it in all of them, with its words.

        Raises:
            PeerFailedError: another process failed, MemoryError where for want of memory; in the one that failed, its
                own error goes on.
            PeerLostError: a process has gone.
        """
        own: Exception | None = None
        try:
            yield
        except PeerLostError:
            raise
        except Exception as error:
            own = error
            if self.is_alone:
                raise
        failures = self.gathered([] if own is None else [(self.rank, str(own), is_out_of_memory(own))])
        if own is not None:
            raise own
        if failures:
            rank, words, is_memory = failures[0]
            told = f"process {rank} of {self.num_processes}: {words}"
            raise MemoryError(told) if is_memory else PeerFailedError(told)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces the gradient of every parameter by the sum over all processes, bit for bit the same everywhere.

        A parameter that has no gradient in any process keeps none; an optimizer leaves it alone.

        Raises:
            PeerLostError: a process has gone.
        """
        if self.is_alone:
            return
        listed = list(parameters)
        has_gradient = torch.tensor([parameter.grad is not None for parameter in listed], dtype=torch.uint8)
        with _peers():
            dist.all_reduce(has_gradient, dist.ReduceOp.MAX)
            pending = []
            for parameter, is_wanted in zip(listed, has_gradient.tolist(), strict=True):
                if is_wanted:
                    if parameter.grad is None:
                        parameter.grad = torch.zeros_like(parameter)
                    pending.append(dist.all_reduce(parameter.grad, async_op=True))
            for each in pending:
                each.wait()

    def check_agreement(self, parameters: Iterable[nn.Parameter], step: int) -> None:
        """Makes sure that all processes have the same parameters, by their sums.

        Raises:
            ValueError: they have not: one of the machines computes otherwise than the others.
            PeerLostError: a process has gone.
        """
        if self.is_alone:
            return
        with torch.no_grad():
            sums = torch.stack([parameter.sum(dtype=torch.float64) for parameter in parameters])
        found = self.gathered([sums.tolist()])
        # Compared as text, in which every bit counts and NaN equals NaN.
        others = [rank for rank, each in enumerate(found) if repr(each) != repr(found[0])]
        if others:
            raise ValueError(
                f"after step {step} the parameters of process {others[0]} differ from those of process 0: the "
                "machines compute differently; use equal devices and versions, and resume from the last checkpoint"
            )


ALONE = Processes()
"""One process, which does everything itself."""


@contextmanager
def _peers() -> Iterator[None]:
    """Turns what torch says when a process has gone into one sentence."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise PeerLostError(
            "another process of this training has gone or was silent for too long; its own last words say why"
        ) from error
