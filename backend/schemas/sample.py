"""The dictionary's samples: pictures with prompt, seed and rewards, their groups, and their unmasking trajectories."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from backend.schemas.base import Number, Timestamp, WireModel


class FoundObject(WireModel):
    """What the verifier saw: an object, where, and how sure."""

    shape: str
    colour: str
    box: tuple[float, float, float, float] = Field(description="left, top, right, bottom in pixels")
    confidence: Number


class Condition(WireModel):
    """One thing the prompt asks for, and whether it holds."""

    text: str
    is_satisfied: bool


class VerdictRecord(WireModel):
    """Why the verifier scored a picture as it did."""

    is_correct: bool
    is_strict: bool
    dense: float
    conditions: tuple[Condition, ...]
    found: tuple[FoundObject, ...]


class SampleRecord(WireModel):
    """One rollout of a group as a job reports it; the files lie in the run's folder."""

    index: int = Field(description="Place in the group")
    seed: int
    reward: Number
    reward_breakdown: dict[str, Number]
    advantage: Number
    image_path: str = Field(description="Path in the run's folder")
    image_sha256: str
    verdict: VerdictRecord | None = None


class GroupRecord(WireModel):
    """The rollouts of one prompt at one step as a job reports them."""

    step: int
    index: int = Field(description="Place in the step")
    prompt: str
    task: str | None
    mean_reward: Number
    reward_std: Number
    is_kept: bool
    reason: str = Field(description="Why it was kept or filtered, in words")
    num_tries: int = Field(1, description="Rollouts made for this group, re-samplings included")
    policy: str = Field("policy", description="Which policy made it: policy, base, or probe")
    trajectory_path: str | None = Field(description="The group's trajectories in the run's folder")
    samples: tuple[SampleRecord, ...]


class Sample(WireModel):
    """A sample as the API shows it."""

    id: UUID
    run_id: UUID
    group_id: UUID
    step: int
    group_index: int
    index: int
    purpose: str = Field(description="train, or the purpose of pictures that are no part of training")
    prompt: str
    seed: int
    reward: Number
    reward_breakdown: dict[str, Number]
    advantage: Number
    is_kept: bool
    reason: str
    image_url: str
    image_path: str = Field(description="Path in the run's folder; run:<run_id>/<image_path> names it for inpainting")
    image_sha256: str
    has_trajectory: bool
    verdict: VerdictRecord | None
    created_at: Timestamp


class Group(WireModel):
    """A group as the API shows it, its samples in order of advantage, best first."""

    id: UUID
    run_id: UUID
    step: int
    index: int
    prompt: str
    task: str | None
    purpose: str = Field(description="train, or the purpose of pictures that are no part of training")
    policy: str
    mean_reward: Number
    reward_std: Number
    is_kept: bool
    reason: str
    num_tries: int
    samples: list[Sample]


class GroupStep(WireModel):
    """The groups of one purpose and policy that a step has."""

    step: int
    purpose: str
    policy: str
    num_groups: int
    num_kept: int
    mean_reward: Number


class FollowedPrompt(WireModel):
    """A prompt of which a run stored pictures more than once."""

    prompt: str
    task: str | None
    num_groups: int = Field(description="How often: a group a step and policy")
    first_step: int
    last_step: int


class TrajectoryStep(WireModel):
    """One unmasking step of one sample; grids are row-major lists over the token grid."""

    step: int
    num_masked_before: int
    num_unmasked: int
    codes: list[int] = Field(description="Token codes after the step; -1 = still masked")
    is_newly_unmasked: list[bool]
    is_remasked: list[bool] = Field(
        description="Drawn and masked again; of a picture that grew, not where no window was yet"
    )
    confidence: list[Number] = Field(
        description="Probability of the drawn token; null where the token was already fixed"
    )
    entropy: list[Number] = Field(description="Entropy of the position's distribution in nats; null where fixed")
    mean_confidence: Number
    mean_entropy: Number
    log_prob: Number = Field(description="Transition log-prob under the policy that sampled")
    image_url: str | None = Field(None, description="The picture after this step, cells that are still masked in grey")


class Trajectory(WireModel):
    """The ordered unmasking steps of one sample."""

    sample_id: UUID
    num_rows: int
    num_columns: int
    window_side: int = Field(
        description="Rows and columns of the policy's own pictures: fewer than this one has where it grew"
    )
    codebook_size: int
    transition: str
    is_decoded: bool = Field(
        description="True where each step's picture was decoded; False where it is the finished picture with the "
        "still masked cells covered"
    )
    steps: list[TrajectoryStep]


class FramesState(StrEnum):
    """How a sample's frames, the pictures after each unmasking step, come to be."""

    COMPOSED = "composed"  # Nobody asked: they are the finished picture with the still masked cells covered.
    QUEUED = "queued"  # Decoding was asked for; composed until then.
    DECODING = "decoding"  # The interactive worker has it in hand.
    DECODED = "decoded"  # Each step's picture was decoded.
    FAILED = "failed"  # Answered as a problem that says why and the cure.


class SampleFrames(WireModel):
    """Where the decoding of a sample's frames stands."""

    sample_id: UUID
    state: FramesState
    num_done: int = Field(description="Frames that are decoded so far")
    num_steps: int = Field(description="Frames in all, one an unmasking step")
    seconds: Number = Field(None, description="What the decoding took; null until then, and for what its run decoded")
