"""When a training run raises its voice: bounds of one step's numbers, and of what a whole run drifts to."""

from __future__ import annotations

from pydantic import Field

from backend.schemas.base import Section, unit


class AlarmConfig(Section):
    """When the studio raises its voice."""

    entropy_floor: float = Field(
        0.25,
        ge=0,
        le=1,
        title="Entropy floor",
        description="Alarm when the mean entropy falls under this share of the run's first value.",
    )
    gradient_norm_ceiling: float = Field(
        100.0,
        gt=0,
        title="Gradient ceiling",
        description="Alarm when the gradient norm before clipping exceeds this.",
    )
    window: int = Field(
        10,
        ge=2,
        le=1000,
        title="Window",
        description="Steps that the bounds below are taken over: the run's first ones against its last ones.",
        json_schema_extra=unit("steps"),
    )
    divergence: float = Field(
        3.0,
        gt=0,
        le=100,
        title="Divergence",
        description="Alarm when the reward rose and a reward of weight 0, or the probe, fell: in standard errors.",
    )
    diversity_floor: float = Field(
        0.5,
        ge=0,
        le=1,
        title="Diversity floor",
        description="Alarm when the pictures of a prompt differ less than this share of what they did at first.",
    )
    duplicates_ceiling: float = Field(
        0.5,
        gt=0,
        le=1,
        title="Near-duplicates",
        description="Alarm when more than this share of a prompt's pairs of pictures are nearly the same.",
    )
    dominance_ceiling: float = Field(
        0.9,
        gt=0,
        le=1,
        title="Dominance",
        description="Alarm when one of several rewards makes more than this share of the spread within groups.",
    )
    kl_ceiling: float = Field(
        2.0,
        gt=0,
        le=1000,
        title="KL ceiling",
        description="Alarm when the policy is farther than this from where the run began.",
        json_schema_extra=unit("nats a token"),
    )
