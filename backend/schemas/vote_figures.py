"""The dictionary's figures of a label task: what votes say about policies, and what each rater's are worth."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from backend.schemas.base import Number, Timestamp, WireModel


class FigureInterval(WireModel):
    """A 95 % interval."""

    low: float
    high: float


class WinRate(WireModel):
    """One policy against another: how often its picture was preferred."""

    policy: str
    opponent: str
    num_wins: int
    num_losses: int
    num_ties: int
    num_both_bad: int
    value: float = Field(description="(wins + half of ties and both bad) / votes")
    wilson: FigureInterval = Field(description="As if every vote were another rater's on another prompt")
    resampled: FigureInterval = Field(
        description="Raters and prompts drawn anew, both at once; nowhere narrower than Wilson's, for few of them are "
        "too sure of themselves"
    )


class PolicyStrength(WireModel):
    """A policy's log-strength; the mean over policies is 0, and a policy e times as strong has 1 more."""

    policy: str
    value: float
    interval: FigureInterval = Field(
        description="Raters and prompts drawn anew; nowhere narrower than if every vote were independent"
    )


class BradleyTerry(WireModel):
    """Bradley-Terry with ties after Davidson (1970), the strongest policy first."""

    strengths: tuple[PolicyStrength, ...]
    ties: float = Field(description="nu: two equal policies tie with probability nu / (2 + nu); 0 where nobody tied")
    ties_interval: FigureInterval | None
    is_separable: bool = Field(
        description="True = some policies never lost to the rest, never won or never met it: how far they are apart, "
        "only the prior says (normal, standard deviation 10)"
    )
    num_decided: int = Field(
        description="Votes for either picture. 0 = every vote was a tie or both bad: `ties` and all strengths are the "
        "prior's alone"
    )


class Agreement(WireModel):
    """Krippendorff's alpha, nominal: 1 = raters always agree, 0 = as by chance."""

    value: Number = Field(description="Null where no pair has two votes, or where all votes are the same")
    interval: FigureInterval | None = Field(
        description="Prompts drawn anew, with all their pairs; null of fewer than five"
    )
    num_pairs: int = Field(description="Pairs of two votes or more")
    num_votes: int = Field(description="Their votes")


class VoteFigures(WireModel):
    """What some votes say, gold pairs left out."""

    num_votes: int
    num_raters: int
    num_simulated_raters: int = Field(description="Of the raters, those that are programs")
    num_pairs: int
    num_prompts: int
    win_rates: tuple[WinRate, ...] = Field(description="Each two policies that met")
    bradley_terry: BradleyTerry | None = Field(description="Null where no two policies met")
    preference_agreement: Agreement = Field(description="Of first, second, neither: both bad is neither")
    choice_agreement: Agreement = Field(description="Of first, second, tie, both bad")


class RaterResults(WireModel):
    """One rater's votes, gold pairs included."""

    rater_id: UUID
    label: str
    is_simulated: bool = Field(description="True = a program, no person")
    is_excluded: bool = Field(description="True = left out of `figures`")
    num_votes: int
    num_skipped: int
    num_gold: int
    num_gold_right: int
    gold_accuracy: Number = Field(description="Share of gold pairs answered as known; null = none was shown")
    gold_interval: FigureInterval | None
    num_sided: int = Field(description="Votes for either picture")
    num_left: int = Field(description="Of them, those for the left one")
    left_share: Number = Field(description="num_left / num_sided")
    left_interval: FigureInterval | None
    side_p_value: Number = Field(description="How often somebody without a bias is at least this one-sided: exact test")
    median_seconds: Number
    num_hasty: int
    hasty_share: Number = Field(description="Share of votes faster than `floor_seconds`")
    agreement: Number = Field(description="Mean share of the others' votes on the same pairs that chose the same")
    num_shared: int = Field(description="Votes on pairs that others voted on too")


class LabelResults(WireModel):
    """A label task's results as they are now."""

    label_task_id: UUID
    last_vote_at: Timestamp | None
    figures: VoteFigures = Field(description="Without excluded raters")
    all_raters: VoteFigures | None = Field(description="With them, to compare; null where nobody is excluded")
    raters: tuple[RaterResults, ...]
    num_undone: int = Field(description="Votes that were taken back; they count nowhere")
    num_skipped: int
    floor_seconds: float
    num_resamples: int
    seed: int = Field(description="Of the resampling: the same votes give the same intervals")
