"""Show-o at its published size, random, in float32 at 256 px: one unmasking step and one loss step, timed and weighed.

A process of its own (`python -m tests.worker.showo.full_size`), so that its memory is measured and given back whole. No
optimizer state: each gradient is looked at and let go once text and image have both added to it. Measured: 13.5 GB at
the peak, 95 s of processor time (21 minutes by the clock on two cores shared by twenty).
"""

from __future__ import annotations

import json
import resource
import time
from itertools import pairwise

import torch

from backend.schemas.algorithm import MaskGRPOConfig, RatioLevel, SamplingConfig, TransitionDefinition
from worker.maskgrpo.loss import mask_grpo_loss
from worker.maskgrpo.replay import replay, transitions_of
from worker.maskgrpo.sampling import rollout
from worker.maskgrpo.types import Trajectory
from worker.showo.config import ShowoConfig
from worker.showo.model import Showo
from worker.showo.policy import ShowoPolicy
from worker.showo.prompting import build_word_tokenizer

PROMPTS = ["word1 word2 word3"]
STAGES = ("build", "unmasking_step", "loss_step")
DEFINITION = TransitionDefinition.CANDIDATE_2


def random_policy() -> ShowoPolicy:
    """The published 256 px model with random weights: memory is taken once, and filled in place."""
    tokenizer = build_word_tokenizer([f"word{place}" for place in range(50293)])
    config = ShowoConfig(num_image_tokens=256, bos_token_id=0, eos_token_id=0)
    with torch.device("meta"):
        showo = Showo(config)
    showo.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in showo.named_parameters():
            if "layernorm" in name:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)
            else:
                parameter.normal_(std=config.initializer_range, generator=generator)
    return ShowoPolicy(showo.eval(), None, tokenizer)


def one_unmasking_step(policy: ShowoPolicy) -> Trajectory:
    """Half a picture is known; the step draws and keeps the other half."""
    start = torch.arange(256)[None] * 31 % policy.codebook_size
    start[:, 128:] = policy.codebook_size
    return rollout(policy, PROMPTS, [1], SamplingConfig(num_unmasking_steps=1), DEFINITION, start=start)


def one_loss_step(policy: ShowoPolicy, trajectory: Trajectory) -> tuple[float, dict[str, float]]:
    """The largest difference between a recorded and a replayed log-prob, and each parameter's gradient norm."""
    norms: dict[str, float] = {}

    def weigh(name: str, parameter: torch.nn.Parameter) -> None:
        assert parameter.grad is not None
        norms[name] = float(parameter.grad.norm())
        parameter.grad = None

    for name, parameter in policy.showo.named_parameters():
        parameter.register_post_accumulate_grad_hook(lambda tensor, name=name: weigh(name, tensor))
    first = torch.zeros(1, 1, dtype=torch.int64)
    made = transitions_of(trajectory, PROMPTS, torch.ones(1), first, policy.codebook_size, DEFINITION)
    replayed = replay(policy, made, DEFINITION, guidance_scale=0.0)
    config = MaskGRPOConfig(transition=DEFINITION, ratio=RatioLevel.MEAN)
    loss, _ = mask_grpo_loss(replayed.terms, made.old_terms, None, made.has_term, made.advantages, config, 1)
    loss.backward()
    return float((replayed.terms.detach() - made.old_terms).abs().max()), norms


def main() -> None:
    marks = [time.perf_counter()]
    policy = random_policy()
    marks.append(time.perf_counter())
    trajectory = one_unmasking_step(policy)
    marks.append(time.perf_counter())
    difference, norms = one_loss_step(policy, trajectory)
    marks.append(time.perf_counter())
    report = {
        "num_parameters": sum(parameter.numel() for parameter in policy.parameters()),
        "codes": trajectory.codes[0].tolist(),
        "log_prob": float(trajectory.log_prob[0, 0]),
        "difference": difference,
        "norms": norms,
        "seconds": {name: after - before for name, (before, after) in zip(STAGES, pairwise(marks), strict=True)},
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
