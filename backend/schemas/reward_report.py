"""What a reward model's training found: `report.json` beside its weights, read by jobs, API, client and pages."""

from __future__ import annotations

from pydantic import Field

from backend.schemas.base import Number, WireModel
from backend.schemas.reward_model import RewardModelConfig

MORE_VOTES = "collect more votes, or votes that agree more, freeze them and train another"
# Five prompts of which all pairs are right come about by chance once in 32 times, which is more than 2.5 %.
FEWEST_HELDOUT_PROMPTS = 6


class Share(WireModel):
    """A mean over pairs with its 95 % interval."""

    value: float
    low: float
    high: float
    num_pairs: int = Field(description="Pairs, or single votes where each is compared with the others'")


class CalibrationBin(WireModel):
    """Pairs about which the model is equally sure."""

    low: float = Field(description="Least probability that the model gives the picture it prefers")
    high: float
    num_pairs: int
    confidence: Number = Field(description="Mean of these probabilities; null = no pairs")
    agreement: Number = Field(description="Share of people's votes for that picture")


class Calibration(WireModel):
    """Whether people agree as often as the model expects, on the held-out prompts."""

    temperature: float = Field(description="Divides the scores; fitted on the choosing prompts, never on these")
    bins: tuple[CalibrationBin, ...]
    expected_error: float = Field(description="Mean distance of confidence and agreement, weighted by pairs: the ECE")
    log_loss: Number = Field(description="Nats a pair; 0.693 is a coin's")


class PartCounts(WireModel):
    """How much a part of the pair set holds."""

    num_prompts: int
    num_pairs: int
    num_votes: int
    num_ties: int = Field(description="Pairs without a majority: left out of accuracies")


class RewardModelReport(WireModel):
    """What the finished reward model is worth, and what it was made of."""

    is_better_than_chance: bool = Field(description="The lower bound of `accuracy` is above one half")
    accuracy: Share | None = Field(description="Held-out prompts: agreement with the majority of all raters")
    accuracy_new_raters: Share | None = Field(
        description="Held-out prompts, majority of the raters that nothing was learned from; null = none is held out"
    )
    ceiling: Share | None = Field(
        description="Held-out prompts: agreement of each vote with the majority of the others; null = no overlap"
    )
    model_at_ceiling: Share | None = Field(description="The model's agreement with these same majorities")
    untuned: Share | None = Field(description="The untuned CLIP's accuracy on the same pairs")
    gain: Share | None = Field(description="Accuracy minus the untuned CLIP's, paired")
    calibration: Calibration
    best_step: int = Field(description="0 = no step was better than the untuned CLIP")
    centre: float = Field(description="Mean score of the pictures learned from; subtracted before the temperature")
    learning: PartCounts
    choosing: PartCounts
    heldout: PartCounts
    num_raters: int
    num_heldout_raters: int
    num_simulated_votes: int = Field(description="Votes of simulated raters, over all parts")
    pair_set: str = Field(description="SHA-256 of the pair set")
    base: str
    base_sha256: str = Field(description="Of the file with the base's weights")
    weights_sha256: str = Field(description="Of the exported weights: what this report speaks of")
    config: RewardModelConfig
    versions: dict[str, str]
    seconds: float = Field(description="Of all training steps, probes included")
    notes: tuple[str, ...] = Field(description="What makes these figures weak, in sentences")

    @property
    def refusal(self) -> str | None:
        """Why nothing may be trained on this reward model; None where it may be."""
        if self.heldout.num_prompts < FEWEST_HELDOUT_PROMPTS:
            return (
                f"it was judged with {self.heldout.num_prompts} held-out prompts, and with fewer than "
                f"{FEWEST_HELDOUT_PROMPTS} no accuracy can be told from chance: raise pairs.heldout_share, or have "
                "more prompts voted on"
            )
        if self.is_better_than_chance:
            return None
        if self.accuracy is None:
            return "no held-out pair has a majority, so nothing shows that it is better than chance"
        found = self.accuracy
        return (
            f"its held-out accuracy is {found.value:.3f} [{found.low:.3f}, {found.high:.3f}] on {found.num_pairs} "
            "pairs, and an interval that reaches one half is no better than chance"
        )
