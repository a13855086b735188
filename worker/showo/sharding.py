"""Cuts a transformer's weights into one part a process, layer by layer, by torch's FSDP2 (`fully_shard`).

Each layer is a unit, and embedding, last norm and head are one more; a unit is gathered for the time that it computes,
forward and backward, and its gradient is summed over the processes into each one's part. It knows no training.
"""

from __future__ import annotations

import warnings

import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

from worker.showo.model import Showo
from worker.showo.policy import ShowoPolicy

_OF_A_LAYER = ("keys_and_values", "of_tokens")
_OF_THE_ROOT = ("prefix", "image_logits")


def shard(policy: ShowoPolicy) -> None:
    """Leave each process of the default group its part of every tensor of the transformer, in place.

    From here on `prefix` and `code_logits` are common work: all processes must make as many calls, in the same order,
    and as many backward passes. The gradient of a part is the sum over the processes, not their mean. The image
    tokenizer stays whole.
    """
    # Its output may be a view, and nothing of ours writes into it.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    showo = policy.showo
    mesh = init_device_mesh(policy.device.type, (dist.get_world_size(),))
    # The root too is given back after its part of a pass: its gathered copy must not outlive a change of the weights.
    for layer in showo.showo.model.blocks():
        fully_shard(layer, mesh=mesh, reshard_after_forward=True)
        for name in _OF_A_LAYER:
            register_fsdp_forward_method(layer, name)
    fully_shard(showo, mesh=mesh, reshard_after_forward=True)
    for name in _OF_THE_ROOT:
        register_fsdp_forward_method(showo, name)
    for module in showo.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            # Gloo can only add; NCCL would else be asked to multiply by that 1 first.
            module.set_force_sum_reduction_for_comms(True)


def forget_passes(showo: Showo) -> None:
    """Drop FSDP's record of passes without gradient, which else grows until a backward pass that never comes."""
    if isinstance(showo, FSDPModule):
        showo.reset_iter_state()
