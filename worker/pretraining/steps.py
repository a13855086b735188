"""What a pretraining stage yields, and the learning-rate course that all stages share."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PretrainStep:
    """One optimizer step that is done."""

    stage: str
    """tokenizer, transformer or clip"""
    step: int
    """counts from 1 within the stage"""
    num_steps: int
    metrics: dict[str, float]
    """the losses by name, before the step"""
    seconds: float


def rate_factor(step: int, num_steps: int, num_warmup_steps: int, decay_fraction: float) -> float:
    """Return the share of the peak rate at `step` (from 1): linear warm-up, level, linear fall over the last share."""
    warmup = min(1.0, step / max(1, num_warmup_steps))
    num_decay_steps = decay_fraction * num_steps
    left = num_steps - step + 1
    return min(warmup, left / num_decay_steps) if num_decay_steps > 0 else warmup
