"""A web process that is killed with -9 while raters vote loses no vote and doubles none: UUIDs tell a repeat."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.models import RunRow
from backend.samples import repository as samples
from backend.schemas.sample import GroupRecord
from tests.e2e.conftest import free_port, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(sys.platform == "win32", reason="Linux and macOS only")]

NUM_RATERS = 4
NUM_PAIRS = 60
NUM_KILLS = 3


class Web:
    """The API in a process of its own, on one port, started again after each kill."""

    def __init__(self, database_url: str, data_dir: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = os.environ | {"DATABASE_URL": database_url, "DATA_DIR": str(data_dir)}
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "uvicorn", "backend.app:create_app", "--factory", "--log-level", "error"]
        self.process = subprocess.Popen([*command, "--port", str(self.port)], env=self._environment)
        wait_until(self._answers, "the API's first answer")

    def _answers(self) -> bool:
        assert self.process.poll() is None, "the API ended by itself"
        try:
            return httpx.get(f"{self.url}/livez", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


class Rater(Thread):
    """Votes on all pairs; each request is repeated until it is answered, as the rater's page does."""

    def __init__(self, url: str, token: str, is_over: Event) -> None:
        super().__init__(daemon=True)
        self._url = f"{url}/api/v1/rating"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._is_over = is_over
        self.votes: dict[str, str] = {}
        self.num_repeats = 0

    def run(self) -> None:
        while not self._is_over.is_set():
            pairs = self._ask("GET", "/next?count=2")["data"]
            if not pairs:
                return
            vote_id, pair = str(uuid4()), pairs[0]["pair_id"]
            self._ask("PUT", f"/votes/{vote_id}", {"pair_id": pair, "choice": "left", "latency_ms": 700})
            self.votes[vote_id] = pair

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        while not self._is_over.is_set():
            try:
                answer = httpx.request(
                    method, self._url + path, json=body, headers=self._headers, trust_env=False, timeout=30
                )
                return answer.raise_for_status().json()
            except httpx.TransportError:
                self.num_repeats += 1
                time.sleep(0.05)
        return {"data": []}


@pytest.fixture
def web(postgres_url: str, sessions: sessionmaker[Session], tmp_path: Path) -> Iterator[Web]:
    web = Web(postgres_url, tmp_path)
    yield web
    web.kill()


@pytest.fixture
def task(
    web: Web, sessions: sessionmaker[Session], make_run: Callable[..., RunRow], make_group: Callable[..., GroupRecord]
) -> str:
    """A label task of as many pairs as there are groups."""
    run_id = make_run(worker="w").id
    with transaction(sessions) as session:
        groups = [make_group(step=number, prompt=f"prompt {number}") for number in range(NUM_PAIRS)]
        samples.add_groups(session, run_id=run_id, purpose="train", groups=groups)
    wanted = {"name": "x", "source": {"kind": "within_group", "run_id": str(run_id)}, "num_pairs": NUM_PAIRS}
    answer = httpx.post(f"{web.url}/api/v1/label-tasks", json=wanted, trust_env=False, timeout=30)
    assert answer.raise_for_status().json()["num_pairs"] == NUM_PAIRS
    return str(answer.json()["id"])


def test_votes_outlive_a_killed_web_process(web: Web, task: str, sessions: sessionmaker[Session]) -> None:
    is_over = Event()
    made = [
        httpx.post(f"{web.url}/api/v1/label-tasks/{task}/raters", json={"label": f"rater {number}"}, trust_env=False)
        for number in range(NUM_RATERS)
    ]
    raters = [Rater(web.url, answer.raise_for_status().json()["token"], is_over) for answer in made]
    for rater in raters:
        rater.start()
    try:
        for number in range(1, NUM_KILLS + 1):
            wanted = number * NUM_RATERS * 10
            wait_until(lambda wanted=wanted: sum(len(rater.votes) for rater in raters) >= wanted, f"{wanted} votes")
            web.kill()
            web.start()
        for rater in raters:
            rater.join(timeout=120)
            assert not rater.is_alive(), "a rater did not come to an end"
    finally:
        is_over.set()
    assert sum(rater.num_repeats for rater in raters) > 0, "nobody noticed that the process was killed"
    known = {key: pair for rater in raters for key, pair in rater.votes.items()}
    with transaction(sessions) as session:
        stored = {str(key): str(pair) for key, pair in session.execute(text("SELECT id, pair_id FROM vote"))}
        counts = session.scalars(text("SELECT num_votes FROM label_pair")).all()
    assert stored == known
    assert set(counts) == {3}
    assert len(stored) == 3 * NUM_PAIRS
