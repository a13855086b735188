"""Which pairs a rater sees next, and who holds which: safe for many raters at once, without one waiting for another.

A pair is open to a rater who has no vote on it that stands, while its votes and the holds of others are fewer than the
task's votes a pair; gold pairs are open to everybody. A hold lasts ten minutes. A vote that comes later is kept and
counted like any other, so a pair may then have one vote more than was asked for, and never one less.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from backend.errors import UnavailableError
from backend.models import LabelTaskRow, RaterRow
from backend.schemas.preference import PairStrategy

_NUM_TRIES = 100
_SECONDS_BETWEEN = 0.01

# Asked with every vote of every rater, so this is text: building it anew each time would cost more than answering it.
_OPEN_PAIRS = """
FROM label_pair AS pair
LEFT JOIN (
    SELECT
        pair_id,
        bool_or(rater_id = :rater_id) AS is_mine,
        count(*) FILTER (WHERE rater_id <> :rater_id) AS num_others
    FROM pair_hold WHERE expires_at > now() OR rater_id = :rater_id GROUP BY pair_id
) AS held ON held.pair_id = pair.id
WHERE pair.label_task_id = :task_id
AND (pair.is_gold OR pair.num_votes + coalesce(held.num_others, 0) < :votes_per_pair)
AND pair.id NOT IN (SELECT pair_id FROM vote WHERE rater_id = :rater_id AND undone_at IS NULL)
"""

# Another permutation of the places for each rater: times a number of its own, modulo a prime.
_PRIME = 2**31 - 1
_PLACE = f"((pair.index + 1)::bigint * :shuffle % {_PRIME})"

# With a uniform prior, w of n votes for the first picture leave its preference a Beta(1 + w, 1 + n - w); the pair of
# the largest variance comes first: that of few or of contradicting votes. Without a vote it is 1/12. A quarter of the
# gold pairs stand among those without a vote, and the others anywhere, so that they come at any time.
_VARIANCE = f"""CASE
    WHEN pair.is_gold AND {_PLACE} % 4 = 0 THEN 1 / 12.0
    WHEN pair.is_gold THEN {_PLACE} / {_PRIME}.0 / 12
    ELSE (1 + sum_first) * (1 + num_votes - sum_first) / ((2 + num_votes) ^ 2 * (3 + num_votes))
END"""

_ORDER = {PairStrategy.SHUFFLED: _PLACE, PairStrategy.MOST_INFORMATIVE: f"{_VARIANCE} DESC, {_PLACE}"}

# What another rater is being given at this very moment is passed over, not waited for.
_FIRST = "LIMIT :count FOR NO KEY UPDATE OF pair SKIP LOCKED"
_LOCK = {
    strategy: text(
        f"SELECT pair.id, pair.prompt {_OPEN_PAIRS} ORDER BY coalesce(held.is_mine, false) DESC, {order} {_FIRST}"
    )
    for strategy, order in _ORDER.items()
}

# In the shuffled order the next open pairs mostly stand right behind as many places as the rater has votes: looking
# there first spares the look at all pairs of a large task.
_NUM_NEAR = 200
_WHERE_AM_I = text("""
SELECT
    (SELECT count(*) FROM vote WHERE rater_id = :rater_id AND undone_at IS NULL),
    (SELECT max(index) + 1 FROM label_pair WHERE label_task_id = :task_id),
    ARRAY(SELECT pair_id FROM pair_hold WHERE rater_id = :rater_id)
""")
_LOCK_NEAR = text(
    f"SELECT pair.id, pair.prompt {_OPEN_PAIRS} AND (pair.index = ANY(:near) OR pair.id = ANY(:mine)) "
    f"ORDER BY coalesce(held.is_mine, false) DESC, {_PLACE} {_FIRST}"
)

_HELD_FOR = "now() + interval '10 minutes'"
_HOLD = """
ON CONFLICT (pair_id, rater_id) DO UPDATE SET expires_at = excluded.expires_at RETURNING pair_id
"""
_HOLD_OPEN = text(
    f"INSERT INTO pair_hold (pair_id, rater_id, expires_at) SELECT pair.id, :rater_id, {_HELD_FOR} {_OPEN_PAIRS} "
    f"AND pair.id = ANY(:pair_ids) {_HOLD}"
)
_HOLD_ONE = text(
    f"INSERT INTO pair_hold (pair_id, rater_id, expires_at) VALUES (:pair_id, :rater_id, {_HELD_FOR}) {_HOLD}"
)

# A hold that a power cut takes away costs nothing, so nobody waits for the disk to have it.
_SOON = text("SET LOCAL synchronous_commit = off")

_NUM_OPEN = text(f"SELECT count(*) {_OPEN_PAIRS}")
_NUM_DONE = text("SELECT count(*) FROM vote WHERE rater_id = :rater_id AND undone_at IS NULL")


@dataclass(frozen=True)
class ShownPair:
    """What a rater is shown of a pair, beside its pictures."""

    id: UUID
    prompt: str


def next_pairs(session: Session, task: LabelTaskRow, rater: RaterRow, *, count: int) -> Sequence[ShownPair]:
    """The rater's next pairs, held for it from now on: those it holds already first. Empty when none is open to it.

    Args:
        session: the request's.
        task: the rater's, open.
        rater: who asks.
        count: at most so many.

    Raises:
        UnavailableError: when all that is open is being given to others, for a whole second.
    """
    session.execute(_SOON)
    for _ in range(_NUM_TRIES):
        pairs = _take(session, task, rater, count)
        if pairs:
            return pairs
        # What was passed over, or lost at the last moment, may stay open: only who has nothing left is done.
        if _num_open(session, task, rater) == 0:
            return []
        time.sleep(_SECONDS_BETWEEN)
    raise UnavailableError("the last pairs are being handed out to others right now: ask again in a moment")


def hold(session: Session, rater_id: UUID, pair_id: UUID) -> None:
    """Gives a pair into a rater's hands for ten minutes, or for ten more."""
    session.execute(_HOLD_ONE, {"pair_id": pair_id, "rater_id": rater_id})


def progress_of(session: Session, task: LabelTaskRow, rater: RaterRow) -> tuple[int, int]:
    """How many pairs the rater is done with, and how many more are open to it."""
    num_done: int = session.scalars(_NUM_DONE, {"rater_id": rater.id}).one()
    return num_done, _num_open(session, task, rater)


def _take(session: Session, task: LabelTaskRow, rater: RaterRow, count: int) -> Sequence[ShownPair]:
    """Locks open pairs, then holds those that are still open: a hold that was committed meanwhile is seen by then."""
    asked = _asked(task, rater)
    wanted = asked | {"shuffle": rater.shuffle, "count": count}
    locked: list[ShownPair] = []
    if task.strategy == PairStrategy.SHUFFLED:
        locked = _shown(session, _LOCK_NEAR, wanted | _near(session, task, rater))
    if len(locked) < count:
        locked = _shown(session, _LOCK[PairStrategy(task.strategy)], wanted)
    if not locked:
        return []
    are_held = set(session.scalars(_HOLD_OPEN, asked | {"pair_ids": [pair.id for pair in locked]}))
    return [pair for pair in locked if pair.id in are_held]


def _shown(session: Session, query: TextClause, values: dict[str, Any]) -> list[ShownPair]:
    return [ShownPair(*row) for row in session.execute(query, values)]


def _near(session: Session, task: LabelTaskRow, rater: RaterRow) -> dict[str, Any]:
    """The places behind the rater's votes, in its order, and the pairs that it holds wherever they stand."""
    num_done, num_pairs, mine = session.execute(_WHERE_AM_I, {"rater_id": rater.id, "task_id": task.id}).one()
    order = _order_of(rater.shuffle, num_pairs or 0)
    return {"near": order[num_done : num_done + _NUM_NEAR].tolist(), "mine": mine}


@lru_cache(maxsize=128)
def _order_of(shuffle: int, num_pairs: int) -> array[int]:
    """A task's places in a rater's order, as the database sorts them."""
    return array("i", sorted(range(num_pairs), key=lambda index: (index + 1) * shuffle % _PRIME))


def _num_open(session: Session, task: LabelTaskRow, rater: RaterRow) -> int:
    num_open: int = session.scalars(_NUM_OPEN, _asked(task, rater)).one()
    return num_open


def _asked(task: LabelTaskRow, rater: RaterRow) -> dict[str, Any]:
    return {"task_id": task.id, "rater_id": rater.id, "votes_per_pair": task.votes_per_pair}
