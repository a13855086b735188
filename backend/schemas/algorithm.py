"""The settings of Mask-GRPO: sampling, objective, sample filter, optimizer. They say what, never where.

Defaults are the paper's (arXiv 2510.13418) unless the field's help says otherwise; recipes override them.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from backend.schemas.base import Section, unit
from backend.schemas.objective import (
    AdvantageKind,
    Candidate1Config,
    ForwardProcessConfig,
    Objective,
    SelectionTermConfig,
    WindowConfig,
)


class TemperatureSchedule(StrEnum):
    """How the Gumbel temperature on the confidences falls over the unmasking steps."""

    COMPOUNDING = "compounding"  # Show-o: the temperature is multiplied by 1 - (t+1)/T at every step.
    LINEAR = "linear"  # MaskGIT: the temperature is the first one times 1 - (t+1)/T.


class MaskSchedule(StrEnum):
    """The share of tokens that are still masked at progress t, from 0 to 1."""

    COSINE = "cosine"  # cos(pi/2 t): few tokens first, many last; Show-o's and the paper's.
    LINEAR = "linear"  # 1 - t: as many tokens at every step.
    SQUARE = "square"  # 1 - t^2, Show-o's "pow2".
    SIGMOID = "sigmoid"  # A sigmoid's stretch from -3 to 3: few tokens first and last.


class TransitionDefinition(StrEnum):
    """How the log-probability of one unmasking step is defined (docs/algorithm.md)."""

    CANDIDATE_1 = "candidate_1"
    CANDIDATE_2 = "candidate_2"
    AUTOREGRESSIVE = "autoregressive"
    # The same three with the probability of the noisy choice, for rollouts with a temperature above 0.
    CANDIDATE_1_SELECTION = "candidate_1_selection"  # The transition's own: remasked draws summed out.
    CANDIDATE_2_SELECTION = "candidate_2_selection"  # Given what the remasked positions drew.
    AUTOREGRESSIVE_SELECTION = "autoregressive_selection"  # All draws and the choice together.


class RatioLevel(StrEnum):
    """Where the probability ratio between new and old policy is formed."""

    SEQUENCE = "sequence"  # The paper: one ratio a step, the product over its tokens.
    MEAN = "mean"  # One ratio a step, the geometric mean over its tokens.
    TOKEN = "token"  # One ratio a token, each clipped on its own.


class StepSelection(StrEnum):
    """Which unmasking steps enter the loss (computational reduction)."""

    ALL = "all"
    FIRST = "first"
    LAST = "last"
    RANDOM = "random"
    WINDOW = "window"  # A window that slides over the trajectory as training goes on (MixGRPO).
    INFORMATION = "information"  # Those that bring a rollout's picture nearest to its end (MaskFocus).


class LearningRateSchedule(StrEnum):
    """The learning rate's course after warm-up."""

    CONSTANT = "constant"
    LINEAR = "linear"
    COSINE = "cosine"


class SamplingConfig(Section):
    """How a picture is unmasked."""

    num_unmasking_steps: int = Field(
        16,
        ge=1,
        le=256,
        title="Unmasking steps",
        description="T: parallel decoding passes a picture.",
        json_schema_extra=unit("steps"),
    )
    mask_schedule: MaskSchedule = Field(
        MaskSchedule.COSINE,
        title="Mask schedule",
        description="The share still masked, by progress: cosine is Show-o's and fixes few tokens first.",
    )
    temperature: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Temperature",
        description="Weight of the Gumbel noise on the confidences; 0 keeps the most confident draws.",
    )
    temperature_schedule: TemperatureSchedule = Field(
        TemperatureSchedule.COMPOUNDING,
        title="Temperature schedule",
        description="Compounding is Show-o's, linear is MaskGIT's.",
    )
    guidance_scale: float = Field(
        0.0,
        ge=0,
        le=30,
        title="Guidance scale",
        description="Classifier-free guidance weight w in (1+w)*cond - w*uncond; 0 = none.",
    )


class SampleFilterConfig(Section):
    """Re-samples groups whose rewards hardly differ ("vanishing samples")."""

    is_enabled: bool = Field(
        True,
        title="Sample filter",
        description="Re-sample groups whose reward spread lies under the history's percentile.",
    )
    percentile: float = Field(
        10.0,
        ge=0,
        le=100,
        title="Percentile",
        description="Groups under this percentile of past spreads are re-sampled.",
        json_schema_extra=unit("%"),
    )
    history_size: int = Field(
        500,
        ge=1,
        le=100_000,
        title="History",
        description="Number of past group spreads that are kept.",
        json_schema_extra=unit("groups"),
    )
    max_tries: int = Field(
        2,
        ge=0,
        le=16,
        title="Tries",
        description="Re-samplings of one group before it is dropped from the step.",
    )


class MaskGRPOConfig(Section):
    """The objective: transition definition, ratio, clipping, KL, step selection."""

    objective: Objective = Field(
        Objective.TRAJECTORY,
        title="Objective",
        description="Trajectory is Mask-GRPO's; forward process re-masks the finished picture at random.",
    )
    transition: TransitionDefinition = Field(
        TransitionDefinition.CANDIDATE_1,
        title="Transition log-prob",
        description="Candidate 1 is the paper's; the shipped recipe uses candidate 2, which trains under noise.",
    )
    ratio: RatioLevel = Field(
        RatioLevel.SEQUENCE,
        title="Ratio",
        description="Sequence is the paper's; mean is per token, geometrically.",
    )
    clip_low: float = Field(0.1, gt=0, lt=1, title="Clip low", description="The ratio is clipped below 1 - this.")
    clip_high: float = Field(0.2, gt=0, le=10, title="Clip high", description="The ratio is clipped above 1 + this.")
    kl_beta: float = Field(
        0.0,
        ge=0,
        le=10,
        title="KL weight",
        description="Weight of the k3 KL to the frozen reference policy; 0 = off.",
    )
    num_epochs: int = Field(
        1,
        ge=1,
        le=16,
        title="Epochs a rollout",
        description="Optimizer passes over one rollout; above 1 the ratio matters.",
    )
    step_selection: StepSelection = Field(
        StepSelection.ALL,
        title="Step selection",
        description="Which unmasking steps enter the loss.",
    )
    num_selected_steps: int = Field(
        3,
        ge=1,
        le=256,
        title="Selected steps",
        description="Steps in the loss unless the selection is all.",
        json_schema_extra=unit("steps"),
    )
    advantage: AdvantageKind = Field(
        AdvantageKind.Z_SCORE,
        title="Advantage",
        description="Win rate ranks within the group, so tiny differences of reward are not blown up.",
    )
    advantage_epsilon: float = Field(
        1e-6,
        gt=0,
        le=1,
        title="Advantage epsilon",
        description="Added to the group's reward std before division.",
    )
    filter: SampleFilterConfig = Field(default_factory=SampleFilterConfig, title="Sample filter")
    window: WindowConfig = Field(default_factory=WindowConfig, title="Sliding window")
    candidate_1: Candidate1Config = Field(default_factory=Candidate1Config, title="Candidate 1's second term")
    selection_term: SelectionTermConfig = Field(default_factory=SelectionTermConfig, title="Selection term")
    forward_process: ForwardProcessConfig = Field(default_factory=ForwardProcessConfig, title="Forward process")


class OptimizerConfig(Section):
    """AdamW, its schedule, clipping and the moving average of the weights."""

    learning_rate: float = Field(3e-6, gt=0, le=1, title="Learning rate", description="Peak rate; the paper uses 3e-6.")
    schedule: LearningRateSchedule = Field(
        LearningRateSchedule.CONSTANT,
        title="Schedule",
        description="The rate's course after warm-up.",
    )
    num_warmup_steps: int = Field(
        0, ge=0, le=100_000, title="Warm-up", description="Linear warm-up.", json_schema_extra=unit("steps")
    )
    decay_steps: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        title="Decay steps",
        description="Steps over which the rate decays; empty = the run's length.",
        json_schema_extra=unit("steps"),
    )
    final_fraction: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Final rate",
        description="Share of the peak rate that is left after the decay.",
    )
    beta_1: float = Field(0.9, ge=0, lt=1, title="Beta 1", description="AdamW's first moment decay.")
    beta_2: float = Field(0.95, ge=0, lt=1, title="Beta 2", description="AdamW's second moment decay.")
    weight_decay: float = Field(0.02, ge=0, le=1, title="Weight decay", description="Decoupled weight decay.")
    max_gradient_norm: float = Field(
        1.0, gt=0, le=1e6, title="Gradient clip", description="Largest global gradient norm."
    )
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        title="EMA decay",
        description="Decay of the weights' moving average; 0 = off. Evaluation and export use the average.",
    )
    num_micro_batches: int = Field(
        1,
        ge=1,
        le=1024,
        title="Micro-batches",
        description="Parts in which a step's gradient is accumulated: changes memory, nothing else.",
    )


class RolloutConfig(Section):
    """How many pictures a step makes: prompts x group size."""

    num_prompts: int = Field(16, ge=1, le=4096, title="Prompts a step", description="Groups in one optimizer step.")
    group_size: int = Field(6, ge=2, le=1024, title="Group size", description="G: rollouts of one prompt.")
