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
_WORDS_OF_PEERS = ("gloo/", "Connection closed by peer", "Connection reset by peer", "NCCL")
_PEER_LOST = "another process of this training has gone or was silent for too long; its own last words say why"


class PeerLostError(RuntimeError):
    """Another process of the training has gone, or was silent for too long; what became of it is its own to say."""

    def __init__(self, words: str = _PEER_LOST) -> None:
        super().__init__(words)


class PeerFailedError(ValueError):
    """Another process of the training made a mistake that it could tell."""


class Processes:
    """The processes of one training as this one sees them; alone, every call is free and changes nothing."""

    def __init__(self, rank: int = 0, num_processes: int = 1, *, is_sharded: bool = False) -> None:
        """One of `num_processes`.

        Args:
            rank: this one's number.
            num_processes: at least 1.
            is_sharded: whether each holds a part of the weights only, and gathers the rest in every pass, so that all
                must make the same passes (docs/decisions/0014).
        """
        self.rank = rank
        self.num_processes = num_processes
        self.is_sharded = is_sharded

    @property
    def is_first(self) -> bool:
        """Whether this is the process that reports, records and saves."""
        return self.rank == 0

    @property
    def is_measuring(self) -> bool:
        """Whether this process makes passes that change nothing: the first does, and where weights are sharded all."""
        return self.is_first or self.is_sharded

    @property
    def is_alone(self) -> bool:
        """Whether there is no other."""
        return self.num_processes == 1

    def share(self, num_items: int) -> range:
        """The places of `num_items` in order that are this process's: even to within one, perhaps none."""
        least, surplus = divmod(num_items, self.num_processes)
        start = self.rank * least + min(self.rank, surplus)
        return range(start, start + least + (self.rank < surplus))

    def num_idle(self, num_items: int, num_parts: int) -> int:
        """How many passes for nothing this process owes to the others, when each makes one a part of its share.

        Args:
            num_items: of all shares together, at least 1.
            num_parts: at most as many parts does each make of its share, none of them empty.

        Returns:
            0 where weights are not gathered pass by pass: there each goes its own way.
        """
        largest = -(-num_items // self.num_processes)
        return min(largest, num_parts) - min(len(self.share(num_items)), num_parts) if self.is_sharded else 0

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

        Where the weights are sharded the others may be waiting within a pass, where no word reaches them: the one that
        failed goes at once, and they lose it.

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
            if self.is_alone or self.is_sharded:
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

        A parameter that has no gradient in any process keeps none; an optimizer leaves it alone. Where the weights are
        sharded, the backward pass has summed each part already.

        Raises:
            PeerLostError: a process has gone.
        """
        if self.is_alone or self.is_sharded:
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
        """Makes sure that all processes have the same parameters, by their sums; of a sharded one there is one copy.

        Raises:
            ValueError: they have not: one of the machines computes otherwise than the others.
            PeerLostError: a process has gone.
        """
        if self.is_alone or self.is_sharded:
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


def is_of_a_peer(error: RuntimeError) -> bool:
    """Whether torch says by an error that another process has gone, in a pass that needed its part of the weights."""
    is_told = isinstance(error, dist.DistError) or any(words in str(error) for words in _WORDS_OF_PEERS)
    return is_told and not is_out_of_memory(error)


@contextmanager
def _peers() -> Iterator[None]:
    """Turns what torch says when a process has gone into one sentence."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise PeerLostError from error
