"""A large task is served in the rater's own order, whole, from wherever the rater is."""

from __future__ import annotations

from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from tests.backend.preferences.conftest import MakeRater, MakeTask
from tests.backend.preferences.test_rating import next_pairs

NUM_PAIRS = 700
_MORE_PAIRS = text("""
INSERT INTO label_pair (id, label_task_id, index, prompt, side_0, side_1, is_gold)
SELECT gen_random_uuid(), label_task_id, number, 'prompt ' || number, side_0, side_1, false
FROM label_pair, generate_series(1, :last) AS number WHERE index = 0
""")
_VOTES = text("""
INSERT INTO vote
(id, label_task_id, pair_id, rater_id, choice, outcome, is_swapped, latency_ms, guideline_version)
SELECT gen_random_uuid(), pair.label_task_id, pair.id, rater.id, 'tie', 'tie', false, 1, 1
FROM label_pair AS pair, rater WHERE pair.id = ANY(:pair_ids)
""")


def in_order(session: Session) -> list[UUID]:
    """All pairs in the order of the only rater."""
    order = "SELECT pair.id FROM label_pair AS pair, rater ORDER BY (index + 1)::bigint * shuffle % 2147483647"
    return list(session.scalars(text(order)))


@pytest.mark.parametrize("num_full", [0, 350], ids=["nobody-else-voted", "others-filled-what-comes-first"])
def test_a_large_task_is_served_whole_and_in_order(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater, sessions: sessionmaker[Session], num_full: int
) -> None:
    rater = make_rater(make_task(num_pairs=1))
    with transaction(sessions) as session:
        session.execute(_MORE_PAIRS, {"last": NUM_PAIRS - 1})
        expected = in_order(session)
        full = text("UPDATE label_pair SET num_votes = 3 WHERE id = ANY(:pair_ids)")
        session.execute(full, {"pair_ids": expected[:num_full]})
    served: list[UUID] = []
    while pairs := [UUID(pair["pair_id"]) for pair in next_pairs(api, rater, 20)]:
        served += pairs
        with transaction(sessions) as session:
            session.execute(_VOTES, {"pair_ids": pairs})
            session.execute(text("DELETE FROM pair_hold"))
    assert len(expected) == NUM_PAIRS
    assert served == expected[num_full:]


def test_a_held_pair_comes_first_however_far_behind_it_stands(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater, sessions: sessionmaker[Session]
) -> None:
    rater = make_rater(make_task(num_pairs=1))
    with transaction(sessions) as session:
        session.execute(_MORE_PAIRS, {"last": NUM_PAIRS - 1})
        last = in_order(session)[-1]
        hold = "INSERT INTO pair_hold SELECT :pair_id, rater.id, now() + interval '1 minute' FROM rater"
        session.execute(text(hold), {"pair_id": last})
    assert UUID(next_pairs(api, rater, 2)[0]["pair_id"]) == last
