"""Seconds of a training step: operations over the rate of matrix products, and bytes over the memory's bandwidth."""

from __future__ import annotations

from dataclasses import dataclass

from backend.preflight.operations import Forward, forward_operations, rollout_operations, text_operations
from backend.preflight.plan import Plan
from backend.schemas.mask_schedule import masked_counts
from backend.schemas.preflight import PreflightDevice

FLOAT = 4
# Numbers that norms, rotation, activation and sums read and write, a row and layer: in hidden and in MLP widths.
MOVED_HIDDEN, MOVED_MLP = 30, 4
# Passes over a row of logits in a rollout's draw, and in loss and gradient.
DRAW_PASSES, LOSS_PASSES = 14, 16
# A backward pass takes both gradients of every product; without the weights' (LoRA) only the one of its input.
BACKWARD, BACKWARD_OF_INPUTS = 2.0, 1.0
# A GPU waits for the host where its kernels are short. Kernels a layer, counted on an H200: forward, and backward with
# the sums into the gradients; with LoRA's factors half as many again; and the host's seconds for each.
FORWARD_KERNELS, BACKWARD_KERNELS, LORA_KERNELS, LAUNCH_SECONDS = 45, 100, 1.55, 25e-6


@dataclass(frozen=True)
class Seconds:
    """Of one step, by part."""

    rollout: float
    update: float
    judging: float = 0.0

    @property
    def total(self) -> float:
        """All of them."""
        return self.rollout + self.update + self.judging


def seconds_of(plan: Plan, device: PreflightDevice, judged: float = 0.0) -> Seconds:
    """How long one process takes for its share of a step; a training run's rewards are no part of it.

    Args:
        plan: the process's share.
        device: where it runs.
        judged: operations of an evaluation's judges on one picture.
    """
    judging = plan.batch.num_pictures * judged / device.operations_per_second
    return Seconds(_rollout(plan, device), _update(plan, device), judging)


def _rollout(plan: Plan, device: PreflightDevice) -> float:
    batch, sizes = plan.batch, plan.sizes
    operations = rollout_operations(
        sizes,
        batch.num_steps,
        num_prompts=batch.num_prompts,
        group_size=batch.group_size,
        num_text_tokens=batch.num_text_tokens,
        is_guided=batch.is_guided,
        mask_schedule=batch.mask_schedule,
    )
    counts = masked_counts(sizes.num_image_tokens, batch.num_steps, batch.mask_schedule)[:-1]
    sequences = batch.num_passes * (batch.num_prompts + batch.num_pictures * (batch.num_steps - 1))
    rows = sequences * (sizes.num_image_tokens + 2)
    drawn = batch.num_pictures * sum(counts)
    moved = rows * _moved_a_row(plan) + drawn * sizes.codebook_size * DRAW_PASSES * FLOAT
    busy = operations / device.operations_per_second + moved / device.bytes_per_second
    return max(busy, (1 + batch.num_steps) * _launched(plan, device, FORWARD_KERNELS))


def _update(plan: Plan, device: PreflightDevice) -> float:
    update, batch, sizes = plan.update, plan.batch, plan.sizes
    if update is None:
        return 0.0
    rows = update.num_rows * update.num_passes
    passed = Forward(update.num_sequences * update.num_passes, rows)
    forward = forward_operations(sizes, passed, batch.num_text_tokens)
    forward += text_operations(sizes, update.num_prompts, batch.num_text_tokens)
    backward = BACKWARD_OF_INPUTS if plan.num_adapter else BACKWARD
    times = 1 + backward + (1 if plan.is_checkpointed else 0)
    moved = passed.num_sequences * (sizes.num_image_tokens + 2) * _moved_a_row(plan) * times
    moved += rows * sizes.codebook_size * LOSS_PASSES * FLOAT
    # Each micro-batch adds to all gradients once.
    moved += 3 * plan.num_trained / plan.num_holders * FLOAT
    a_part = forward * times / device.operations_per_second + moved / device.bytes_per_second
    kernels = FORWARD_KERNELS * (2 if plan.is_checkpointed else 1) + BACKWARD_KERNELS
    # The texts go through all layers apart.
    a_part = max(a_part, 2 * _launched(plan, device, kernels))
    # AdamW reads and writes weight, gradient and two moments; the average one more.
    trained = plan.num_trained / plan.num_holders
    applied = (10 if plan.has_average else 7) * trained * FLOAT / device.bytes_per_second
    return update.num_epochs * (update.num_micro_batches * a_part + applied)


def _launched(plan: Plan, device: PreflightDevice, kernels_a_layer: int) -> float:
    """Seconds in which the host sends one pass's kernels to a GPU, whatever their size; a CPU has no such bound."""
    if device.kind != "cuda":
        return 0.0
    return plan.sizes.num_layers * kernels_a_layer * (LORA_KERNELS if plan.num_adapter else 1.0) * LAUNCH_SECONDS


def _moved_a_row(plan: Plan) -> int:
    sizes = plan.sizes
    numbers = MOVED_HIDDEN * sizes.hidden_size + MOVED_MLP * sizes.intermediate_size
    return numbers * sizes.num_layers * FLOAT
