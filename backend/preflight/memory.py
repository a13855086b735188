"""Bytes by part and by moment of a run, counted from the tensors that the worker's code holds at the same time.

The moments follow each other within a step: rollout, decoding, backward, optimizer. What lasts (weights, moments of
AdamW, average) is in all of them. The coefficients count tensors of worker/showo and worker/maskgrpo; docs/preflight.md
says how, and tests/bench/measured_peaks.py compares with measured peaks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from backend.preflight.plan import NO_JUDGES, Judging, Plan

FLOAT, HALF, INDEX = 4, 2, 8
MIB = 1 << 20

# Python, torch and the libraries, before any weight is loaded; on a GPU its context and the libraries' workspaces.
PROCESS_BYTES: Mapping[str, int] = {"cpu": 720 * MIB, "cuda": 700 * MIB}
# What the allocator holds beside the tensors. glibc, as jobs set it up, keeps small blocks in a heap with holes: 0.65
# to 0.76 of a step's tensors, as measured; blocks from 32 MiB on come and go with their tensors. The GPU's allocator
# rounds up and keeps parts of its segments: an assumption.
HEAP_HOLES, MAPPED_HOLES, CUDA_HOLES = 0.7, 0.1, 0.1
SMALLEST_MAPPED = 32 * MIB
# Feature maps of full size that a block of the decoder holds at once: input, normed, activated, convolved, skipped.
DECODER_MAPS = 4.5
DECODED_NUMBERS = 1 << 26
# What travels over gloo is copied on its way, by threads whose heaps keep what they once held: 2.8 times, as measured.
GLOO_COPIES = 3
# Copies of the logits: at the first step of a rollout, beside the next step's forward pass, and in the backward pass.
FIRST_STEP_COPIES, HELD_COPIES, LOSS_COPIES = 4, 2, 5
# Numbers a picture token and step in a trajectory: draw, confidence, entropy, terms, order, masks; stacked, then taken
# apart by group.
GROUPS_BYTES = 2 * INDEX + 3 * FLOAT + 2
TRAJECTORY_BYTES = 2 * GROUPS_BYTES + 2 * FLOAT


@dataclass(frozen=True)
class Memory:
    """Bytes by part at each moment; every moment lists only what is there then."""

    by_moment: Mapping[str, Mapping[str, int]]

    @property
    def peak_moment(self) -> str:
        """When the most is held."""
        return max(self.by_moment, key=lambda name: sum(self.by_moment[name].values()))

    @property
    def peak_bytes(self) -> int:
        """The most that is held at once."""
        return sum(self.by_moment[self.peak_moment].values())


def memory_of(plan: Plan, device: str, reward_bytes: int = 0, judging: Judging = NO_JUDGES) -> Memory:
    """What one process holds at each moment of a step.

    Args:
        plan: the process's share.
        device: cpu or cuda.
        reward_bytes: weights of the reward networks.
        judging: the other networks that judge an evaluation's pictures.
    """
    lasting = _lasting(plan, device, reward_bytes) | {"judges": judging.weight_bytes}
    moments = {"rollout": _rollout(plan) | _gathered(plan, device), "decoding": _decoding(plan)}
    if judging.activation_bytes:
        moments["judging"] = {"activations": judging.activation_bytes, "rollout buffers": _buffers(plan) + _shown(plan)}
    if plan.update is not None:
        gathered = _gathered(plan, device, 2)
        moments |= {"backward": _backward(plan) | gathered, "optimizer": _apply(plan) | gathered}
    by_moment = {"loading": _loading(plan, device)} if plan.num_holders > 1 else {}
    for name, passing in moments.items():
        tensors = passing.get("activations", 0) + passing.get("logits", 0)
        whole = lasting | passing | {"allocator": int(_holes(plan, name, device) * tensors)}
        by_moment[name] = {part: size for part, size in whole.items() if size}
    return Memory(by_moment)


def _holes(plan: Plan, moment: str, device: str) -> float:
    """The allocator's share, by the size of the tensors that the moment is made of."""
    if device == "cuda":
        return CUDA_HOLES
    if moment == "judging":
        return MAPPED_HOLES
    if moment == "decoding":
        numbers = _pictures_at_once(plan) * plan.sizes.picture_side**2 * plan.sizes.tokenizer.channels
    else:
        is_update = plan.update is not None and moment != "rollout"
        part = plan.update if is_update and plan.update else None
        sequences = part.num_sequences * part.num_passes if part else plan.batch.num_pictures * plan.batch.num_passes
        numbers = sequences * _rows(plan) * plan.sizes.hidden_size
    return HEAP_HOLES if numbers * FLOAT < SMALLEST_MAPPED else MAPPED_HOLES


def _lasting(plan: Plan, device: str, reward_bytes: int) -> dict[str, int]:
    transformer = _part(plan, plan.sizes.num_transformer_parameters)
    policy = (transformer + plan.sizes.tokenizer.num_parameters) * FLOAT
    trained = _part(plan, plan.num_trained) * FLOAT
    return {
        "process": PROCESS_BYTES[device],
        "weights": policy + plan.num_adapter * FLOAT,
        "reference": policy * (plan.num_policies - 1),
        "optimizer": 2 * trained,
        "average": trained if plan.has_average else 0,
        "rewards": reward_bytes,
    }


def _part(plan: Plan, num_numbers: int) -> int:
    """What one process holds of them."""
    return math.ceil(num_numbers / plan.num_holders)


def _loading(plan: Plan, device: str) -> dict[str, int]:
    """A policy is read whole before it is cut; the reference the same, beside the policy's part."""
    whole = plan.sizes.num_transformer_parameters
    lasting = _lasting(plan, device, 0)
    return {name: lasting[name] for name in ("process", "weights", "reference")} | {
        "gathered": (whole - _part(plan, whole)) * FLOAT
    }


def _gathered(plan: Plan, device: str, num_kinds: int = 1) -> dict[str, int]:
    """What FSDP has whole at once, `num_kinds` 2 where gradients are, too: embedding and head, and of layers two.

    Each is there twice for a moment: as it travels, in one piece, and by tensor. Of embedding and head that moment is
    another one than that of the layers.
    """
    if plan.num_holders == 1:
        return {}
    layer = plan.sizes.num_layer_parameters
    root = plan.sizes.num_transformer_parameters - plan.sizes.num_layers * layer
    copies = GLOO_COPIES if device == "cpu" else 1
    return {"gathered": copies * max(num_kinds * (root + 2 * 2 * layer), 2 * root) * FLOAT}


def _buffers(plan: Plan) -> int:
    """The process's own trajectories, and the others' groups, which each process gets after the rollout and keeps."""
    batch = plan.batch
    bytes_of_a_step = TRAJECTORY_BYTES + (plan.num_processes - 1) * GROUPS_BYTES
    return batch.num_pictures * batch.num_steps * plan.sizes.num_image_tokens * bytes_of_a_step


def _rollout(plan: Plan) -> dict[str, int]:
    """The larger of two instants: the first step's draw, and the second step's layers beside what the first left."""
    batch, sizes = plan.batch, plan.sizes
    logits = batch.num_pictures * sizes.num_image_tokens * sizes.codebook_size * FLOAT
    sequences = batch.num_pictures * batch.num_passes
    layer = sequences * _rows(plan) * (7 * sizes.hidden_size + 2 * sizes.intermediate_size) * _activation_bytes(plan)
    texts = _text_keys(plan, sequences)
    instants = [
        {"logits": FIRST_STEP_COPIES * logits, "activations": texts},
        {"logits": HELD_COPIES * logits, "activations": int(layer) + texts + _half_weights(plan)},
    ]
    largest = max(instants if batch.num_steps > 1 else instants[:1], key=lambda parts: sum(parts.values()))
    return largest | {"rollout buffers": _buffers(plan)}


def _decoding(plan: Plan) -> dict[str, int]:
    sizes, pictures = plan.sizes, plan.batch.num_pictures
    widths = [sizes.tokenizer.channels * each for each in sizes.tokenizer.decoder_multiples]
    widest = max(
        (sizes.picture_side >> depth) ** 2 * max(width, widths[min(depth + 1, len(widths) - 1)])
        for depth, width in enumerate(widths)
    )
    a_map = widest * FLOAT
    shown = pictures * 3 * sizes.picture_side**2 * FLOAT
    return {
        "activations": int(DECODER_MAPS * a_map * _pictures_at_once(plan)),
        "rollout buffers": _buffers(plan) + 2 * shown,
    }


def _pictures_at_once(plan: Plan) -> int:
    """Pictures are decoded a few at a time, see worker/showo/policy.py."""
    numbers = plan.sizes.picture_side**2 * plan.sizes.tokenizer.channels
    return max(1, min(plan.batch.num_pictures, DECODED_NUMBERS // numbers))


def _backward(plan: Plan) -> dict[str, int]:
    update, sizes = plan.update, plan.sizes
    assert update is not None
    gradient = _part(plan, plan.num_trained) * FLOAT
    if update.num_micro_batches == 1 and not plan.num_adapter:
        # The head's is the first that comes; the others take the place of activations that go.
        gradient = sizes.vocab_size * sizes.hidden_size * FLOAT if plan.num_holders == 1 else 0
    rows = update.num_rows * update.num_passes
    return {
        "gradients": gradient,
        "activations": saved_activations(plan),
        "logits": (LOSS_COPIES + (update.num_passes - 1)) * rows * sizes.codebook_size * FLOAT,
        "rollout buffers": _buffers(plan) + _shown(plan),
    }


def _apply(plan: Plan) -> dict[str, int]:
    sizes = plan.sizes
    largest = sizes.vocab_size * sizes.hidden_size if not plan.num_adapter else 0
    return {
        "gradients": _part(plan, plan.num_trained) * FLOAT,
        # The last gradients of a backward pass are the embedding's: of the text and of the codes, dense both.
        "activations": 2 * largest * FLOAT,
        "rollout buffers": _buffers(plan) + _shown(plan),
    }


def saved_activations(plan: Plan) -> int:
    """What a micro-batch keeps for its backward pass, and the workspace of one layer's backward pass."""
    update, sizes = plan.update, plan.sizes
    assert update is not None
    h, f, layers = sizes.hidden_size, sizes.intermediate_size, sizes.num_layers
    sequences = update.num_sequences * update.num_passes
    rows, wanted = sequences * _rows(plan), update.num_rows * update.num_passes
    text = update.num_prompts * plan.batch.num_text_tokens
    keys = 2 * sequences * plan.batch.num_text_tokens * h
    # Input and normed input, queries and keys before and after their norm, values, what was attended to, and the MLP.
    a_row = 8 * h + 2 * f
    workspace = 6 * h * rows
    if plan.is_checkpointed:
        kept = layers * (h * (rows + text) + keys) + a_row * rows + keys
    else:
        # The first layer is looked up by code where the batch repeats most codes; the last one's MLP sees loss rows.
        codes = sizes.codebook_size + 3
        first = 4 * h * rows + (a_row + 4 * h) * codes if rows > 2 * codes and layers > 1 else a_row * rows
        last = 8 * h * rows + (4 * h + 2 * f) * wanted
        middle = a_row * rows * max(0, layers - 2)
        kept = (first if layers > 1 else 0) + middle + last + layers * (keys + a_row * text)
    size = _activation_bytes(plan)
    return int((kept + workspace) * size) + _text_keys(plan, sequences) + _half_weights(plan)


def _activation_bytes(plan: Plan) -> float:
    """Bytes a number: under autocast what goes into products is half as wide, the stream and the norms' input not."""
    return 0.75 * FLOAT if plan.is_half else FLOAT


def _half_weights(plan: Plan) -> int:
    """Autocast's copies of the layers' matrices, held for a whole pass; of frozen ones (LoRA) it keeps none."""
    sizes = plan.sizes
    return sizes.num_layers * sizes.num_layer_parameters * HALF if plan.is_half and not plan.num_adapter else 0


def _rows(plan: Plan) -> int:
    return plan.sizes.num_image_tokens + 2


def _text_keys(plan: Plan, num_sequences: int) -> int:
    """The texts' keys and values, laid out for every sequence."""
    width = plan.batch.num_text_tokens * plan.sizes.hidden_size
    return 2 * plan.sizes.num_layers * num_sequences * width * (HALF if plan.is_half else FLOAT)


def _shown(plan: Plan) -> int:
    return plan.batch.num_pictures * 3 * plan.sizes.picture_side**2 * FLOAT
