"""What of a run's configuration makes memory and time: counts of sequences, rows and numbers. No bytes, no seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from backend.preflight.sizes import PolicySizes
from backend.schemas.algorithm import MaskGRPOConfig, MaskSchedule, SamplingConfig, StepSelection, TransitionDefinition
from backend.schemas.config import TrainConfig
from backend.schemas.mask_schedule import masked_counts
from backend.schemas.objective import Objective
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from backend.schemas.scaling import LoRATarget, Precision, Sharding

NUM_TEXT_TOKENS = 16
"""A prompt's tokens with its special ones: about a dozen words, the length of GenEval's longer prompts."""


PICTURES_A_SAMPLE_BATCH = 32
"""that a sample run makes at once"""


@dataclass(frozen=True)
class Batch:
    """Pictures that are unmasked at once."""

    num_prompts: int
    group_size: int
    num_steps: int
    is_guided: bool
    num_text_tokens: int
    mask_schedule: MaskSchedule

    @property
    def num_pictures(self) -> int:
        """Over all prompts."""
        return self.num_prompts * self.group_size

    @property
    def num_passes(self) -> int:
        """Sequences a picture: with guidance its unconditional twin too."""
        return 2 if self.is_guided else 1


@dataclass(frozen=True)
class Update:
    """One micro-batch of the loss, and how many there are."""

    num_micro_batches: int
    num_epochs: int
    num_sequences: int
    """that go through the model; the first steps of a group share one"""
    num_rows: int
    """positions with logits, of the conditional sequences"""
    num_transitions: int
    num_prompts: int
    """distinct ones of a micro-batch"""
    num_passes: int
    """sequences a transition: with guidance its unconditional twin too, but the forward process's loss has none"""


@dataclass(frozen=True)
class Plan:
    """One process's share of a run."""

    sizes: PolicySizes
    batch: Batch
    update: Update | None
    """None where nothing is trained"""
    num_steps: int
    """training steps, or batches of pictures over all policies"""
    num_policies: int
    """whole copies in memory: policy, and the reference or the base"""
    num_trained: int
    """parameters that get a gradient"""
    num_adapter: int
    """parameters of the LoRA factors, 0 without"""
    has_average: bool
    is_checkpointed: bool
    is_half: bool
    num_processes: int
    num_holders: int = 1
    """processes that hold weights, gradients, moments, average and reference between them, each a part"""


@dataclass(frozen=True)
class Judging:
    """The networks that judge an evaluation's pictures: see judges.py, which knows them one by one."""

    weight_bytes: int = 0
    """but for the rewards', which are counted with those of training runs"""
    activation_bytes: int = 0
    """the most that one of them holds while it looks"""
    operations: float = 0.0
    """of all, on one picture"""
    names: tuple[str, ...] = ()


NO_JUDGES = Judging()


def plan_of(config: TrainConfig | SampleConfig | EvaluateConfig, sizes: PolicySizes) -> Plan:
    """What a process of this run holds and does."""
    if isinstance(config, TrainConfig):
        return _plan_of_training(config, sizes)
    seeds, num_windows = config.samples_per_prompt, 1
    if isinstance(config, SampleConfig):
        num_prompts, texts, num_policies = len(config.prompts.texts) or config.num_prompts, config.prompts.texts, 1
        at_once = max(1, PICTURES_A_SAMPLE_BATCH // seeds)
        if config.extrapolation is not None:
            at_once, num_windows = 1, config.extrapolation.num_windows(math.isqrt(sizes.num_image_tokens))
    else:
        num_prompts, texts = len(config.prompts.texts) or config.num_prompts, config.prompts.texts
        num_policies = len(config.candidates)
        at_once = max(1, config.batch_size // seeds)
    return Plan(
        sizes=sizes,
        batch=_batch(sizes, config.sampling, min(at_once, num_prompts), seeds, texts),
        update=None,
        num_steps=math.ceil(num_prompts / at_once) * num_policies * num_windows,
        num_policies=num_policies,
        num_trained=0,
        num_adapter=0,
        has_average=False,
        is_checkpointed=False,
        is_half=config.policy.precision is Precision.BFLOAT16,
        num_processes=1,
    )


def num_lora_parameters(config: TrainConfig, sizes: PolicySizes) -> int:
    """Numbers in the factors of all layers."""
    h, f = sizes.hidden_size, sizes.intermediate_size
    ends = dict.fromkeys(LoRATarget, 2 * h) | {LoRATarget.FC1: h + f, LoRATarget.FC2: h + f}
    return sizes.num_layers * config.lora.rank * sum(ends[name] for name in config.lora.target_modules)


def _plan_of_training(config: TrainConfig, sizes: PolicySizes) -> Plan:
    shares = config.scaling.num_processes
    num_prompts = math.ceil(config.rollout.num_prompts / shares)
    batch = _batch(sizes, config.sampling, num_prompts, config.rollout.group_size, config.prompts.texts)
    num_adapter = num_lora_parameters(config, sizes) if config.lora.is_enabled else 0
    return Plan(
        sizes=sizes,
        batch=batch,
        update=_update(config, batch, sizes),
        num_steps=config.num_steps,
        # With LoRA the reference is the policy without its adapter, and the picture tokenizer is shared.
        num_policies=1 if num_adapter else 2,
        num_trained=num_adapter or sizes.num_transformer_parameters,
        num_adapter=num_adapter,
        has_average=config.optimizer.ema_decay > 0,
        is_checkpointed=config.scaling.is_gradient_checkpointed,
        is_half=config.policy.precision is Precision.BFLOAT16,
        num_processes=shares,
        num_holders=shares if config.scaling.sharding is Sharding.FSDP else 1,
    )


def _batch(
    sizes: PolicySizes, sampling: SamplingConfig, num_prompts: int, group_size: int, texts: tuple[str, ...] = ()
) -> Batch:
    longest = max((len(text.split()) for text in texts), default=0)
    # A word makes about 1.3 tokens; task, begin and end come on top.
    num_text_tokens = min(sizes.max_text_tokens + 1, max(NUM_TEXT_TOKENS, round(1.3 * longest) + 3))
    steps = min(sampling.num_unmasking_steps, sizes.num_image_tokens)
    is_guided = sampling.guidance_scale > 0
    return Batch(num_prompts, group_size, steps, is_guided, num_text_tokens, sampling.mask_schedule)


def _update(config: TrainConfig, batch: Batch, sizes: PolicySizes) -> Update:
    remaskings = _remasked_counts(config.grpo, sizes.num_image_tokens)
    is_every = config.grpo.step_selection is StepSelection.ALL and not remaskings
    num_selected = batch.num_steps if is_every else min(config.grpo.num_selected_steps, batch.num_steps)
    num_selected = len(remaskings) or num_selected
    num_transitions = batch.num_pictures * num_selected
    num_parts = min(config.optimizer.num_micro_batches, num_transitions)
    of_a_part = math.ceil(num_transitions / num_parts)
    counts = masked_counts(sizes.num_image_tokens, batch.num_steps, batch.mask_schedule)
    if remaskings:
        rows_by_step = remaskings
    elif config.grpo.transition is TransitionDefinition.CANDIDATE_2:
        rows_by_step = [before - after for before, after in pairwise(counts)]
    else:
        rows_by_step = list(counts[:-1])
    chosen = {StepSelection.FIRST: rows_by_step[:num_selected], StepSelection.LAST: rows_by_step[-num_selected:]}
    rows = chosen.get(config.grpo.step_selection, rows_by_step)
    has_first_step = is_every or config.grpo.step_selection is StepSelection.FIRST
    shared = of_a_part / num_selected * (1 - 1 / batch.group_size) if has_first_step else 0.0
    return Update(
        num_micro_batches=num_parts,
        num_epochs=config.grpo.num_epochs,
        num_sequences=max(1, math.ceil(of_a_part - shared)),
        num_rows=math.ceil(of_a_part * sum(rows) / len(rows)),
        num_transitions=of_a_part,
        num_prompts=min(batch.num_prompts, math.ceil(of_a_part / (num_selected * batch.group_size)) + 1),
        num_passes=1 if remaskings else batch.num_passes,
    )


def _remasked_counts(grpo: MaskGRPOConfig, num_image_tokens: int) -> list[int]:
    """Masked tokens of the forward process's states, by its even ladder of mask ratios; none with a trajectory."""
    if grpo.objective is not Objective.FORWARD_PROCESS:
        return []
    least, number = grpo.forward_process.least_mask_ratio, grpo.forward_process.num_remaskings
    return [math.ceil(num_image_tokens * (least + (1 - least) * (place + 1) / number)) for place in range(number)]
