"""A label task's results as they are now: votes as arrays, their figures, each rater's; kept until a vote changes."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from uuid import UUID

import numpy as np
from sqlalchemy.orm import Session

from backend.models import RaterRow
from backend.preferences import repository
from backend.preferences.figures.raters import FLOOR_MILLISECONDS, RaterFigures, rater_figures
from backend.preferences.figures.summary import interval_of, summary
from backend.preferences.figures.votes import NO_ANSWER, NO_GOLD, NUM_RESAMPLES, SEED, Outcome, Votes, numbered
from backend.preferences.vote_reading import TaskVotes, VoteMark, mark_of, read_votes
from backend.schemas.preference import VoteOutcome
from backend.schemas.vote_figures import LabelResults, RaterResults

OUTCOMES = {
    VoteOutcome.FIRST: Outcome.FIRST,
    VoteOutcome.SECOND: Outcome.SECOND,
    VoteOutcome.TIE: Outcome.TIE,
    VoteOutcome.BOTH_BAD: Outcome.BOTH_BAD,
}
_Key = tuple[UUID, VoteMark, frozenset[UUID]]


class KeptResults:
    """The results that were asked for last: pages ask every few seconds, and votes come more slowly."""

    def __init__(self, most: int = 32) -> None:
        self._most = most
        self._kept: OrderedDict[_Key, LabelResults] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, session: Session, task_id: UUID, exclude: Sequence[UUID]) -> LabelResults:
        """A task's results, made anew where a vote, a rater or the question is another one.

        Raises:
            NotFoundError: when there is no such task.
            MalformedError: when `exclude` names nobody of this task.
        """
        repository.get_task(session, task_id=task_id)
        key = (task_id, mark_of(session, task_id=task_id), frozenset(exclude))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = results_of(read_votes(session, task_id=task_id, exclude=exclude))
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return found


def results_of(told: TaskVotes) -> LabelResults:
    """The figures of a task's votes."""
    votes, policies = as_arrays(told)
    places = {rater.id: place for place, rater in enumerate(told.raters)}
    excluded = [places[each] for each in told.excluded]
    simulated = [place for place, rater in enumerate(told.raters) if rater.is_simulated]
    skipped = Counter(vote.rater_id for vote in told.votes if vote.outcome == VoteOutcome.SKIP)
    figures = rater_figures(votes, len(told.raters))
    return LabelResults(
        label_task_id=told.task.id,
        last_vote_at=told.votes[-1].created_at if told.votes else None,
        figures=summary(votes.without_raters(excluded), policies, simulated),
        all_raters=summary(votes, policies, simulated) if excluded else None,
        raters=tuple(
            _rater(rater, found, rater.id in told.excluded, skipped[rater.id])
            for rater, found in zip(told.raters, figures, strict=True)
        ),
        num_undone=told.num_undone,
        num_skipped=skipped.total(),
        floor_seconds=FLOOR_MILLISECONDS / 1000,
        num_resamples=NUM_RESAMPLES,
        seed=SEED,
    )


def as_arrays(told: TaskVotes) -> tuple[Votes, list[str]]:
    """The votes without skips, raters numbered as in `told`; and the policies by number, as their pairs name them."""
    pairs = {pair.id: place for place, pair in enumerate(told.pairs)}
    raters = {rater.id: place for place, rater in enumerate(told.raters)}
    prompts, _ = numbered([pair.prompt for pair in told.pairs])
    sides = [side["policy"] for pair in told.pairs for side in (pair.side_0, pair.side_1)]
    numbers, policies = numbered(sides)
    # Tasks made before gold pairs were refused it may have one whose answer is a skip, which is no outcome.
    known = np.array(
        [OUTCOMES.get(VoteOutcome(each.known), NO_ANSWER) if each.known else NO_GOLD for each in told.pairs]
    )
    given = [vote for vote in told.votes if vote.outcome != VoteOutcome.SKIP]
    pair = np.array([pairs[vote.pair_id] for vote in given], dtype=np.int64)
    votes = Votes(
        rater=np.array([raters[vote.rater_id] for vote in given], dtype=np.int64),
        pair=pair,
        prompt=prompts[pair],
        policy_0=numbers[0::2][pair],
        policy_1=numbers[1::2][pair],
        outcome=np.array([OUTCOMES[VoteOutcome(vote.outcome)] for vote in given], dtype=np.int64),
        is_first_left=~np.array([vote.is_swapped for vote in given], dtype=bool),
        milliseconds=np.array([vote.latency_ms for vote in given], dtype=np.float64),
        known=known[pair] if len(known) else pair,
    )
    return votes, policies


def _rater(rater: RaterRow, found: RaterFigures, is_excluded: bool, num_skipped: int) -> RaterResults:
    def share(count: int, of: int) -> float | None:
        return count / of if of else None

    milliseconds = found.median_milliseconds
    return RaterResults(
        rater_id=rater.id,
        label=rater.label,
        is_simulated=rater.is_simulated,
        is_excluded=is_excluded,
        num_votes=found.num_votes,
        num_skipped=num_skipped,
        num_gold=found.num_gold,
        num_gold_right=found.num_gold_right,
        gold_accuracy=share(found.num_gold_right, found.num_gold),
        gold_interval=interval_of(found.gold_interval),
        num_sided=found.num_sided,
        num_left=found.num_left,
        left_share=share(found.num_left, found.num_sided),
        left_interval=interval_of(found.left_interval),
        side_p_value=found.side_p_value,
        median_seconds=None if milliseconds is None else milliseconds / 1000,
        num_hasty=found.num_hasty,
        hasty_share=share(found.num_hasty, found.num_votes),
        agreement=found.agreement,
        num_shared=found.num_shared,
    )
