"""A vote and the next pairs of one rater, which the page asks for at once, take what both write in the same order."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from tests.backend.preferences.conftest import MakeRater, MakeTask
from tests.backend.preferences.test_rating import next_pairs, vote

PATIENCE_SECONDS = 20
_IS_WAITING = text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
_TAKE_PAIR = text("SELECT id FROM label_pair WHERE id = :pair_id FOR NO KEY UPDATE")
_TAKE_HOLD = text("SELECT pair_id FROM pair_hold WHERE pair_id = :pair_id FOR UPDATE NOWAIT")


def wait_until_somebody_waits(session: Session) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not session.scalars(_IS_WAITING).one():
        assert time.monotonic() < deadline, "the vote went past a pair that is being handed out"
        time.sleep(0.01)


def test_a_vote_that_waits_for_a_pair_keeps_nobody_from_the_hold(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater, sessions: sessionmaker[Session]
) -> None:
    rater = make_rater(make_task())
    pair = next_pairs(api, rater)[0]["pair_id"]
    with ThreadPoolExecutor(1) as pool, sessions() as handing_out:
        handing_out.execute(_TAKE_PAIR, {"pair_id": pair})
        sent = pool.submit(vote, api, rater, pair)
        wait_until_somebody_waits(handing_out)
        # What handing out does next; a vote that had let the hold go by now would wait for it, and it for the vote.
        assert handing_out.execute(_TAKE_HOLD, {"pair_id": pair}).all()
        handing_out.rollback()
        assert sent.result(PATIENCE_SECONDS).status_code == 200
    assert pair not in [each["pair_id"] for each in next_pairs(api, rater)]
