"""The choices that later papers, and this project, add to Mask-GRPO's objective: one section for each idea."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from backend.schemas.base import Section, unit


class Objective(StrEnum):
    """On which states the loss compares the new policy with the old one."""

    TRAJECTORY = "trajectory"  # Mask-GRPO: the unmasking steps that the rollout went through.
    FORWARD_PROCESS = "forward_process"  # UDM-GRPO, MaskGRPO: random re-maskings of the finished picture.


class AdvantageKind(StrEnum):
    """How a group's rewards become advantages."""

    Z_SCORE = "z_score"  # Mask-GRPO: (R - mean) / (std + epsilon).
    WIN_RATE = "win_rate"  # Pref-GRPO: the share of the group that a picture beats, then as the z-score.
    MEAN_ONLY = "mean_only"  # Dr. GRPO: R - mean, not divided.


class MaskRatioSchedule(StrEnum):
    """Which mask ratios the re-maskings of a picture have."""

    EVEN = "even"  # MaskGRPO: evenly spaced from the least ratio to 1.
    UNIFORM = "uniform"  # Drawn uniformly between the least ratio and 1.
    COSINE = "cosine"  # Show-o's pre-training: cos(pi/2 u) of a uniform u, those under the least ratio left out.


class ForwardProcessConfig(Section):
    """The forward-process loss: random re-maskings of the finished picture instead of its trajectory."""

    num_remaskings: int = Field(
        4,
        ge=1,
        le=64,
        title="Re-maskings",
        description="States a rollout, the same ones in every epoch over it.",
    )
    schedule: MaskRatioSchedule = Field(
        MaskRatioSchedule.EVEN, title="Mask ratios", description="Even is MaskGRPO's; cosine is that of pre-training."
    )
    least_mask_ratio: float = Field(
        0.6,
        ge=0,
        lt=1,
        title="Least mask ratio",
        description="No state has a smaller share masked; MaskGRPO takes .8 for images, UDM-GRPO the noisier half.",
    )


class WindowConfig(Section):
    """How the sliding window of step selection moves (MixGRPO)."""

    shift_interval: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        title="Shift every",
        description="Training steps until the window shifts (MixGRPO: 25); empty = it crosses once in the run.",
        json_schema_extra=unit("steps"),
    )
    stride: int = Field(
        1,
        ge=1,
        le=256,
        title="Stride",
        description="Unmasking steps by which it shifts; at the end it starts anew.",
        json_schema_extra=unit("steps"),
    )


class Normalisation(StrEnum):
    """Over what the terms of a transition are averaged, at the mean and token ratios."""

    JOINT = "joint"  # All terms alike: the many remasked positions outweigh the few newly unmasked ones.
    SEPARATE = "separate"  # The mean over the newly unmasked plus the mean over the remasked.


class Candidate1Config(Section):
    """What may make the exact candidate 1 train: the weight and the bound of its second term."""

    normalisation: Normalisation = Field(
        Normalisation.JOINT,
        title="Normalisation",
        description="Separate gives newly unmasked and remasked positions the same weight at the mean and token ratio.",
    )
    mass_floor: float = Field(
        0.0,
        ge=0,
        lt=1,
        title="Mass floor",
        description="A remasked position with less probability below the threshold has no gradient; 0 = the exact one.",
    )


class SelectionForm(StrEnum):
    """What of the noisy choice has its probability in the selection term."""

    SET = "set"  # Which positions were kept, in whatever order.
    ORDER = "order"  # In which order they came out: Plackett-Luce.


class SelectionTermConfig(Section):
    """The selection term: the probability that the noisy choice keeps what it kept."""

    form: SelectionForm = Field(
        SelectionForm.SET,
        title="Form",
        description="The order says more than the next state knows, so its gradient is noisier.",
    )
    temperature_floor: float = Field(
        0.0,
        ge=0,
        le=100,
        title="Least temperature",
        description="The term's gradient grows as 1 / temperature, which falls to 0; 0 = no bound, the exact one.",
    )
