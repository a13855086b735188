"""Which pairs a rater sees next, and who holds which: safe for many raters at once, without one waiting for another.

A pair is open to a rater who has no vote on it that stands, while its votes and the holds of others are fewer than
the task's votes a pair, people and programs counted apart; gold pairs are open to everybody. A hold lasts ten
minutes. A vote that comes later is kept and counted like any other, so a pair may then have one vote more than was
asked for, and never one less.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from backend.db import begun, driver_sql, in_lane
from backend.errors import GoneError, NotFoundError, UnavailableError
from backend.models import LabelTaskRow, RaterRow
from backend.preferences.open_pairs import OPEN_PAIRS, ORDER, PLACE, PRIME
from backend.preferences.tokens import DOOR, link_shut
from backend.schemas.preference import PairStrategy, TaskStatus

_NUM_TRIES = 100
_SECONDS_BETWEEN = 0.01

# What another rater is being given at this very moment is passed over, not waited for; :few is enough to find others.
# Only so many are sorted out of all open pairs before any is locked: sorting all of them is most of the work.
_NUM_FEW = 32
_FIRST = "LIMIT :count FOR NO KEY UPDATE OF pair SKIP LOCKED"
_LOCK = {
    (strategy, is_mixed): driver_sql(
        "SELECT pair.id, pair.prompt FROM ("
        "SELECT pair.id, row_number() OVER () AS rank FROM (SELECT pair.id "
        f"{OPEN_PAIRS[is_mixed]} ORDER BY coalesce(held.is_mine, false) DESC, {order} LIMIT :few) AS pair"
        f") AS first JOIN label_pair AS pair ON pair.id = first.id ORDER BY first.rank {_FIRST}"
    )
    for (strategy, is_mixed), order in ORDER.items()
}

# In the shuffled order the next open pairs mostly stand right behind as many places as the rater has votes: looking
# there first spares the look at all pairs of a large task.
_NUM_NEAR = 64
_WHERE_AM_I = driver_sql("""
SELECT
    task.id,
    task.status,
    task.strategy,
    task.votes_per_pair,
    rater.shuffle,
    rater.is_simulated,
    EXISTS (
        SELECT FROM rater AS other WHERE other.label_task_id = task.id AND other.is_simulated <> rater.is_simulated
    ),
    (SELECT count(*) FROM vote WHERE rater_id = rater.id AND undone_at IS NULL),
    (SELECT max(index) + 1 FROM label_pair WHERE label_task_id = task.id),
    ARRAY(SELECT pair_id FROM pair_hold WHERE rater_id = rater.id),
    -- A hold that a power cut takes away costs nothing, so nobody waits for the disk to have it.
    set_config('synchronous_commit', 'off', true)
FROM rater JOIN label_task AS task ON task.id = rater.label_task_id
WHERE rater.id = :rater_id AND NOT rater.is_revoked
""")
_LOCK_NEAR = {
    is_mixed: driver_sql(
        f"SELECT pair.id, pair.prompt {open_pairs} "
        "AND (pair.index = ANY(:near) OR pair.id = ANY(:mine)) "
        f"ORDER BY coalesce(held.is_mine, false) DESC, {PLACE} {_FIRST}"
    )
    for is_mixed, open_pairs in OPEN_PAIRS.items()
}

_HELD_FOR = "now() + interval '10 minutes'"
_HOLD = """
ON CONFLICT (pair_id, rater_id) DO UPDATE SET expires_at = excluded.expires_at RETURNING pair_id
"""
_HOLD_OPEN = {
    is_mixed: driver_sql(
        f"INSERT INTO pair_hold (pair_id, rater_id, expires_at) SELECT pair.id, :rater_id, {_HELD_FOR} {open_pairs} "
        f"AND pair.id = ANY(:pair_ids) {_HOLD}"
    )
    for is_mixed, open_pairs in OPEN_PAIRS.items()
}
_HOLD_ONE = text(
    f"INSERT INTO pair_hold (pair_id, rater_id, expires_at) VALUES (:pair_id, :rater_id, {_HELD_FOR}) {_HOLD}"
)

# A row as long as the link opens anything, with a path where the pair is one of the rater's task.
_PICTURE = {
    is_first: driver_sql(
        f"SELECT {side} ->> 'run_id', {side} ->> 'image_path' FROM rater LEFT JOIN label_pair AS pair "
        "ON pair.label_task_id = rater.label_task_id AND pair.id = :pair_id "
        "WHERE rater.id = :rater_id AND NOT rater.is_revoked"
    )
    for is_first, side in ((True, "pair.side_0"), (False, "pair.side_1"))
}

_NUM_OPEN = {is_mixed: driver_sql(f"SELECT count(*) {open_pairs}") for is_mixed, open_pairs in OPEN_PAIRS.items()}
_NUM_DONE = text("SELECT count(*) FROM vote WHERE rater_id = :rater_id AND undone_at IS NULL")


@dataclass(frozen=True)
class ShownPair:
    """What a rater is shown of a pair, beside its pictures."""

    id: UUID
    prompt: str


@dataclass(frozen=True)
class Asker:
    """A rater who asks for pairs, and where they stand."""

    rater_id: UUID
    task_id: UUID
    status: str
    strategy: str
    votes_per_pair: int
    shuffle: int
    is_simulated: bool
    is_mixed: bool
    """whether the task has raters of the other kind too"""
    num_done: int
    num_pairs: int | None
    mine: Sequence[UUID]


def next_pairs(lane: Engine, rater_id: UUID, *, count: int) -> Sequence[ShownPair]:
    """The rater's next pairs, held for it from now on: those it holds already first. Empty when none is open to it.

    Args:
        lane: where each try is a transaction of its own.
        rater_id: who asks.
        count: at most so many.

    Raises:
        GoneError: when the task is closed.
        LinkShutError: when the rater's link was withdrawn.
        UnavailableError: when all that is open is being given to others, for a whole second.
    """
    for _ in range(_NUM_TRIES):
        pairs = in_lane(lane, lambda connection: _try(connection, rater_id, count))
        if pairs is not None:
            return pairs
        # What was passed over, or lost at the last moment, may stay open: only who has nothing left is done.
        time.sleep(_SECONDS_BETWEEN)
    raise UnavailableError("the last pairs are being handed out to others right now: ask again in a moment")


def _try(connection: Connection, rater_id: UUID, count: int) -> Sequence[ShownPair] | None:
    """Some pairs, none where nothing is open to the rater, or None where others had them first."""
    with begun(connection):
        row = connection.exec_driver_sql(_WHERE_AM_I, {"rater_id": rater_id}).one_or_none()
        if row is None:
            raise link_shut()
        asker = Asker(rater_id, *row[:-1])
        if asker.status == TaskStatus.CLOSED:
            raise GoneError("this task is closed: every vote that you have sent is kept")
        pairs = _take(connection, asker, count)
        if pairs or _num_open(connection, asker):
            return pairs or None
        return []


def picture_of(lane: Engine, rater_id: UUID, pair_id: UUID, *, is_first: bool) -> tuple[UUID, str]:
    """The run of a pair's picture, and its path in the run's folder.

    Raises:
        LinkShutError: when the rater's link was withdrawn.
        NotFoundError: when the rater's task has no such pair.
    """
    values = {"rater_id": rater_id, "pair_id": pair_id}
    row = in_lane(lane, lambda connection: connection.exec_driver_sql(_PICTURE[is_first], values).one_or_none())
    if row is None:
        raise link_shut()
    run_id, path = row
    if path is None:
        raise NotFoundError(f"there is no picture of pair {pair_id}: take its address from GET {DOOR}/next")
    return UUID(run_id), path


def hold(session: Session, rater_id: UUID, pair_id: UUID) -> None:
    """Gives a pair into a rater's hands for ten minutes, or for ten more."""
    session.execute(_HOLD_ONE, {"pair_id": pair_id, "rater_id": rater_id})


def progress_of(session: Session, task: LabelTaskRow, rater: RaterRow) -> tuple[int, int]:
    """How many pairs the rater is done with, and how many more are open to it."""
    num_done: int = session.scalars(_NUM_DONE, {"rater_id": rater.id}).one()
    asked = {
        "task_id": task.id,
        "rater_id": rater.id,
        "is_simulated": rater.is_simulated,
        "votes_per_pair": task.votes_per_pair,
    }
    num_open: int = session.connection().exec_driver_sql(_NUM_OPEN[True], asked).scalar_one()
    return num_done, num_open


def _take(connection: Connection, asker: Asker, count: int) -> Sequence[ShownPair]:
    """Locks open pairs, then holds those that are still open: a hold that was committed meanwhile is seen by then."""
    asked = _asked(asker)
    wanted = asked | {"shuffle": asker.shuffle, "count": count}
    locked: list[ShownPair] = []
    if asker.strategy == PairStrategy.SHUFFLED:
        locked = _shown(connection, _LOCK_NEAR[asker.is_mixed], wanted | _near(asker))
    else:
        locked = _shown(
            connection, _LOCK[PairStrategy.MOST_INFORMATIVE, asker.is_mixed], wanted | {"few": count + _NUM_FEW}
        )
    if len(locked) < count:
        locked = _shown(connection, _LOCK[PairStrategy(asker.strategy), asker.is_mixed], wanted | {"few": None})
    if not locked:
        return []
    held = connection.exec_driver_sql(_HOLD_OPEN[asker.is_mixed], asked | {"pair_ids": [pair.id for pair in locked]})
    are_held = set(held.scalars())
    return [pair for pair in locked if pair.id in are_held]


def _shown(connection: Connection, query: str, values: dict[str, Any]) -> list[ShownPair]:
    return [ShownPair(*row) for row in connection.exec_driver_sql(query, values)]


def _near(asker: Asker) -> dict[str, Any]:
    """The places behind the rater's votes, in its order, and the pairs that it holds wherever they stand."""
    order = _order_of(asker.shuffle, asker.num_pairs or 0)
    near = order[asker.num_done : asker.num_done + _NUM_NEAR]
    # As the text of an array: the driver would write a list out number by number, at ten times the cost.
    return {"near": f"{{{','.join(map(str, near))}}}", "mine": asker.mine}


@lru_cache(maxsize=128)
def _order_of(shuffle: int, num_pairs: int) -> array[int]:
    """A task's places in a rater's order, as the database sorts them."""
    return array("i", sorted(range(num_pairs), key=lambda index: (index + 1) * shuffle % PRIME))


def _num_open(connection: Connection, asker: Asker) -> int:
    num_open: int = connection.exec_driver_sql(_NUM_OPEN[asker.is_mixed], _asked(asker)).scalar_one()
    return num_open


def _asked(asker: Asker) -> dict[str, Any]:
    return {
        "task_id": asker.task_id,
        "rater_id": asker.rater_id,
        "is_simulated": asker.is_simulated,
        "votes_per_pair": asker.votes_per_pair,
    }
