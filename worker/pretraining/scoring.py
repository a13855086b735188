"""Held-out mini-GenEval of a policy in pretraining, at the sampling settings of the run's configuration."""

from collections import defaultdict

import torch
from torch import Tensor

from backend.schemas.algorithm import SamplingConfig
from worker.maskgrpo.sampling import rollout
from worker.shapes.captions import Caption, all_captions
from worker.shapes.verifier import verify
from worker.showo.policy import ShowoPolicy

BATCH = 90


def score(policy: ShowoPolicy, num_prompts: int, sampling: SamplingConfig) -> tuple[dict[str, float], Tensor]:
    """Return the shares of correct pictures by task, their mean `overall`, `strict`, and (B, H, W, 3) pictures."""
    captions = all_captions("heldout")[:num_prompts]
    pictures = torch.cat([_pictures(policy, captions, first, sampling) for first in range(0, len(captions), BATCH)])
    verdicts = [verify(picture.numpy(), caption) for picture, caption in zip(pictures, captions, strict=True)]
    by_task: dict[str, list[bool]] = defaultdict(list)
    for caption, verdict in zip(captions, verdicts, strict=True):
        by_task[caption.task].append(verdict.is_correct)
    scores = {task: sum(right) / len(right) for task, right in by_task.items()}
    overall = sum(scores.values()) / len(scores)
    strict = sum(verdict.is_strict for verdict in verdicts) / len(verdicts)
    return scores | {"overall": overall, "strict": strict}, pictures


def _pictures(policy: ShowoPolicy, captions: tuple[Caption, ...], first: int, sampling: SamplingConfig) -> Tensor:
    batch = captions[first : first + BATCH]
    seeds = range(first, first + len(batch))
    trajectory = rollout(policy, [caption.text for caption in batch], seeds, sampling)
    return (policy.decode(trajectory.codes).permute(0, 2, 3, 1) * 255).round().to(torch.uint8)
