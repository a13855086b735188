"""Tensors of which each process holds a part, beside those that it holds whole: one way to read and write both.

A sharded tensor is torch's DTensor, cut along its first dimension as FSDP2 does. It knows no policy and no layer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def is_sharded(value: Tensor) -> bool:
    """Whether this process holds a part of the tensor only."""
    return hasattr(value, "full_tensor")


def own_part(value: Tensor) -> Tensor:
    """What this process holds of a tensor, without gradient, in the same memory: all of it where it is whole."""
    held: Any = value.detach()
    part: Tensor = held.to_local() if is_sharded(held) else held
    return part


def kept(value: Tensor) -> Tensor:
    """The whole tensor as a copy on the CPU, which training does not change; a GPU has no room for another one.

    Of a sharded one all processes must ask together, and the first alone gets it; the others get an empty tensor.
    """
    if not is_sharded(value):
        return value.detach().to("cpu", copy=True)
    held: Any = value.detach()
    whole: Tensor = held.full_tensor()
    return whole.to("cpu", copy=True) if dist.get_rank() == 0 else torch.empty(0)


def fill(value: Tensor, whole: Tensor) -> None:
    """Writes a whole tensor into what this process holds of it, in place and without a word to the others."""
    part = own_part(value)
    if not is_sharded(value):
        part.copy_(whole)
        return
    mesh: Any = value.device_mesh  # type: ignore[attr-defined]
    chunks = whole.chunk(mesh.size())
    # The last processes hold nothing of a tensor with fewer rows than there are processes.
    if mesh.get_local_rank() < len(chunks):
        part.copy_(chunks[mesh.get_local_rank()])


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> float:
    """Scales all gradients down to a global L2 norm of at most `max_norm`; gives the norm before, over all parts."""
    listed = list(parameters)
    if not any(is_sharded(parameter) for parameter in listed):
        return float(nn.utils.clip_grad_norm_(listed, max_norm))
    gradients = [own_part(parameter.grad) for parameter in listed if parameter.grad is not None]
    square = torch.zeros((), dtype=torch.float64, device=listed[0].device)
    for gradient in gradients:
        square += torch.linalg.vector_norm(gradient, dtype=torch.float64).square()
    dist.all_reduce(square)
    norm = float(square.sqrt())
    # As `clip_grad_norm_` does it; where the norm is not finite the step is not made.
    for gradient in gradients:
        gradient.mul_(min(1.0, max_norm / (norm + 1e-6)))
    return norm
