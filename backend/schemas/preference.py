"""The dictionary's label tasks, blind pairs, raters and votes. What a rater is shown names no run, sample or policy."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from backend.schemas.base import Number, Timestamp, WireModel
from backend.schemas.pair_source import PairSourceConfig

Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
Guideline = Annotated[str, StringConstraints(strip_whitespace=True, max_length=10_000)]

MAX_LATENCY_MS = 24 * 3600 * 1000
DEFAULT_GUIDELINE = (
    "Choose the picture that shows what the prompt says: the right things, their number, colours and places. Where "
    "both do, choose the one that looks better. Where neither comes near, press Both bad."
)


class PairStrategy(StrEnum):
    """Which pair a rater sees next."""

    SHUFFLED = "shuffled"  # In an order of the rater's own.
    MOST_INFORMATIVE = "most_informative"  # Where the votes so far leave most open.


class TaskStatus(StrEnum):
    """Whether raters are served."""

    OPEN = "open"
    CLOSED = "closed"


class Choice(StrEnum):
    """What a rater presses."""

    LEFT = "left"
    RIGHT = "right"
    TIE = "tie"
    BOTH_BAD = "both_bad"
    SKIP = "skip"


class VoteOutcome(StrEnum):
    """The same in terms of the pair's pictures, whatever their sides were."""

    FIRST = "0"
    SECOND = "1"
    TIE = "tie"
    BOTH_BAD = "both_bad"
    SKIP = "skip"


class GoldConfig(WireModel):
    """Pairs with a known answer, mixed among the others unmarked: they tell whether a rater looks."""

    num_pairs: int = Field(0, ge=0, le=1000, description="Taken from the source's clearest pairs, beside the others")
    least_gap: float = Field(0.5, gt=0, le=1000, description="Rewards that differ by this much make a clear pair")


class GoldPair(WireModel):
    """A pair whose answer its owner knows."""

    sample_0: UUID
    sample_1: UUID
    known: Literal["0", "1", "tie", "both_bad"] = Field(
        description="0 = the first picture, 1 = the second, tie or both_bad"
    )


class LabelTaskCreate(WireModel):
    """A task for people: which pairs, how often each, and what to look at."""

    name: Label
    guideline: Guideline = DEFAULT_GUIDELINE
    source: PairSourceConfig
    strategy: PairStrategy = PairStrategy.SHUFFLED
    num_pairs: int = Field(100, ge=1, le=10_000, description="At most; prompts take turns")
    votes_per_pair: int = Field(3, ge=1, le=100, description="By as many raters; gold pairs are shown to everybody")
    gold: GoldConfig = Field(default_factory=GoldConfig)
    gold_pairs: tuple[GoldPair, ...] = Field((), max_length=1000, description="Gold pairs of your own")


class SamplesForPeople(WireModel):
    """How many samples of a run people are asked about; which pairs they make is the studio's to choose."""

    num_samples: int = Field(50, ge=2, le=1000, description="At most, two a pair, each in one pair")
    step: int | None = Field(None, ge=0, le=2**31 - 1, description="Nothing later than this; empty = all there is")
    votes_per_pair: int = Field(3, ge=1, le=3, description="By as many raters")


class LabelTaskEdit(WireModel):
    """What can be changed later. A new guideline is a new version; each vote knows the one it was made under."""

    name: Label | None = None
    guideline: Guideline | None = None
    status: TaskStatus | None = None


class LabelTask(WireModel):
    """A label task and how far it is."""

    id: UUID
    name: str
    guideline: str
    guideline_version: int
    source: PairSourceConfig
    strategy: PairStrategy
    votes_per_pair: int
    status: TaskStatus
    num_pairs: int = Field(description="Gold pairs not counted")
    num_gold: int
    num_votes: int = Field(
        description="Votes that stand on pairs that are not gold; skips and excluded raters' are none"
    )
    num_simulated_votes: int = Field(0, description="Of them, those of programs: they take no place that people fill")
    num_votes_wanted: int = Field(description="Of people, and once more of programs where some vote")
    num_flags: int
    num_raters: int
    created_at: Timestamp


class RaterCreate(WireModel):
    """A rater to be."""

    label: Label = Field(description="As you know them; never shown to other raters")
    is_simulated: bool = Field(False, description="A program votes; it is told as such wherever it appears")


class RaterEdit(WireModel):
    """What can be changed of a rater."""

    label: Label | None = None
    is_excluded: bool | None = Field(None, description="Their votes stay, and count in no figure and no pair set")
    is_revoked: bool | None = Field(None, description="The link opens nothing any more; the votes stay counted")


class Rater(WireModel):
    """Who votes on a task."""

    id: UUID
    label_task_id: UUID
    label: str
    is_simulated: bool
    is_excluded: bool
    is_revoked: bool
    num_votes: int = Field(description="Votes that stand, gold pairs included; skips are none")
    last_vote_at: Timestamp | None
    created_at: Timestamp


class NewRater(Rater):
    """A rater as their owner sees them once: the studio keeps no more than the token's hash."""

    token: str
    url: str = Field(description="The rater's own page, relative to the studio's address")


class RatingTask(WireModel):
    """What a rater sees of a task."""

    guideline: str
    guideline_version: int
    status: TaskStatus
    num_done: int = Field(description="Pairs this rater has voted on or skipped")
    num_wanted: int = Field(description="Those, and the pairs that are still open to this rater")


class BlindPair(WireModel):
    """Two pictures of a prompt, sides shuffled for this rater; what made them is not told."""

    pair_id: UUID
    prompt: str
    left_url: str
    right_url: str


class BlindPairs(WireModel):
    """The next pairs, the very next one first; they stay this rater's for ten minutes. Empty = all done."""

    data: list[BlindPair]


class VotePut(WireModel):
    """A vote as the rater's browser sends it, as often as it takes: the UUID in the address makes it one vote."""

    pair_id: UUID
    choice: Choice
    latency_ms: int = Field(ge=0, le=MAX_LATENCY_MS, description="From showing the pair to the choice")
    guideline_version: int | None = Field(
        None, ge=1, description="The one that the rater had read: it may be older than the task's; empty = the newest"
    )


class RaterVote(WireModel):
    """A vote as its rater sees it."""

    id: UUID
    pair_id: UUID
    choice: Choice
    created_at: Timestamp
    undone_at: Timestamp | None


class FlagCreate(WireModel):
    """What is wrong with a pair."""

    pair_id: UUID
    reason: Label


class PairFlag(WireModel):
    """A pair that a rater flagged, as its owner sees it."""

    id: UUID
    pair_id: UUID
    rater_id: UUID
    prompt: str
    sample_0: UUID
    sample_1: UUID
    reason: str
    created_at: Timestamp


class PairSide(WireModel):
    """One picture of a pair as it was when the pair was made."""

    sample_id: UUID
    run_id: UUID
    policy: str = Field(description="What made it, in words that tell two sides apart")
    step: int
    seed: int
    reward: Number
    image_path: str
    image_sha256: str


class Vote(WireModel):
    """A vote as the task's owner sees it, in terms of the pair's pictures."""

    id: UUID
    pair_id: UUID
    pair_index: int
    prompt: str
    task: str | None
    side_0: PairSide
    side_1: PairSide
    outcome: VoteOutcome
    choice: Choice
    is_swapped: bool = Field(description="True where the pair's first picture stood on the right")
    latency_ms: int
    rater_id: UUID
    is_simulated: bool
    is_gold: bool
    known: VoteOutcome | None
    guideline_version: int
    created_at: Timestamp
    undone_at: Timestamp | None
