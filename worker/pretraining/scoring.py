"""Held-out mini-GenEval of a policy in pretraining, at Show-o's own sampling settings: compounding temperature, no guidance."""

import math
from collections import defaultdict

import torch
from torch import Tensor

from worker.shapes.captions import all_captions
from worker.shapes.verifier import verify
from worker.showo.policy import ShowoPolicy


@torch.no_grad()
def unmask(policy: ShowoPolicy, prompts: list[str], num_steps: int, generator: torch.Generator) -> Tensor:
    """Return (B, N) codes drawn by Show-o's loop with temperature 1."""
    num_tokens, mask_code = policy.num_image_tokens, policy.codebook_size
    prefix = policy.prefix(prompts)
    codes = torch.full((len(prompts), num_tokens), mask_code)
    temperature = 1.0
    for step in range(num_steps):
        is_masked = codes == mask_code
        log_probs = policy.image_logits(prefix, codes).log_softmax(dim=-1)
        drawn = torch.multinomial(log_probs.exp().flatten(0, 1), 1, generator=generator).view_as(codes)
        confidence = log_probs.gather(-1, drawn[..., None])[..., 0]
        gumbel = -torch.empty_like(confidence).exponential_(generator=generator).log()
        temperature *= 1 - (step + 1) / num_steps
        confidence = (confidence + temperature * gumbel).masked_fill(~is_masked, math.inf)
        num_left = math.floor(num_tokens * math.cos(math.pi / 2 * (step + 1) / num_steps))
        num_left = 0 if step == num_steps - 1 else max(1, min(num_left, int(is_masked[0].sum()) - 1))
        order = confidence.argsort(dim=1).argsort(dim=1)
        codes = torch.where(is_masked, drawn, codes).masked_fill(order < num_left, mask_code)
    return codes


def score(policy: ShowoPolicy, num_prompts: int, seed: int, num_steps: int = 16) -> tuple[dict[str, float], Tensor]:
    """Return the shares of correct pictures by task, their mean as `overall`, `strict`, and the (B, H, W, 3) pictures."""
    captions = all_captions("heldout")[:num_prompts]
    generator = torch.Generator().manual_seed(seed)
    codes = unmask(policy, [caption.text for caption in captions], num_steps, generator)
    pictures = (policy.decode(codes).permute(0, 2, 3, 1) * 255).round().to(torch.uint8)
    verdicts = [verify(picture.numpy(), caption) for picture, caption in zip(pictures, captions, strict=True)]
    by_task: dict[str, list[bool]] = defaultdict(list)
    for caption, verdict in zip(captions, verdicts, strict=True):
        by_task[caption.task].append(verdict.is_correct)
    scores = {task: sum(right) / len(right) for task, right in by_task.items()}
    overall = sum(scores.values()) / len(scores)
    strict = sum(verdict.is_strict for verdict in verdicts) / len(verdicts)
    return scores | {"overall": overall, "strict": strict}, pictures
