"""Raters as threads: each votes through the rater's door by HTTP, as a browser does, and keeps what it was told."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

CHOICES = ("left", "right", "left", "right", "left", "right", "tie", "both_bad", "skip")
DOOR = "/api/v1/rating"
AHEAD = 5
"""pairs that the page asks for after each vote: the one that is shown, and the four that it decodes ahead"""


@dataclass(frozen=True)
class Told:
    """A vote as its rater knows it: acknowledged by the studio."""

    rater_id: UUID
    pair_id: UUID
    choice: str
    is_undone: bool = False


@dataclass
class Voter:
    """One rater: votes until the time is over, at its pace, with the mishaps that networks and people have."""

    rater_id: UUID
    token: str
    address: str
    pause: float
    """mean seconds from seeing a pair to the key; 0 = as fast as answers come"""
    told: dict[UUID, Told] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    """milliseconds from the key to the next pairs: the vote's PUT and the GET after it"""
    num_pictures: int = 0
    num_repeats: int = 0
    num_refused: int = 0
    failure: str = ""

    def __post_init__(self) -> None:
        self._chance = random.Random(self.rater_id.bytes)
        self._pairs: list[dict[str, str]] = []
        self._seen: set[str] = set()

    def run(self, start: threading.Barrier, seconds: float) -> None:
        """Votes for so long; what goes wrong is kept in `failure`."""
        self._http = http.client.HTTPConnection(self.address.removeprefix("http://"), timeout=60)
        try:
            self._pairs = self._next()
            start.wait()
            end = time.monotonic() + seconds
            # Nobody presses the first key in the same millisecond.
            time.sleep(self._chance.random() * self.pause)
            while self._pairs and time.monotonic() < end:
                self._look()
                self._vote()
                time.sleep(self.pause * (0.5 + self._chance.random()))
        except Exception as error:
            # Broad: a thread's failure must reach who waits for it.
            self.failure = f"{type(error).__name__}: {error}"
            start.abort()
        finally:
            self._http.close()

    def _look(self) -> None:
        """Fetches the pictures that it has not got yet."""
        for pair in self._pairs:
            if pair["pair_id"] not in self._seen:
                self._seen.add(pair["pair_id"])
                for side in ("left_url", "right_url"):
                    self._ask("GET", pair[side])
                    self.num_pictures += 1

    def _vote(self) -> None:
        """Votes on the pair that is shown, timed; sometimes once more, in a second tab too, or takes it back."""
        vote_id, choice, latency = uuid4(), self._chance.choice(CHOICES), self._chance.randrange(300, 9000)
        pair_id = self._pairs[0]["pair_id"]
        body = {"pair_id": pair_id, "choice": choice, "latency_ms": latency}
        began = time.perf_counter()
        first = self._ask("PUT", f"{DOOR}/votes/{vote_id}", body)
        self._pairs = self._next()
        self.times.append((time.perf_counter() - began) * 1000)
        self.told[vote_id] = Told(self.rater_id, UUID(pair_id), choice)
        mishap = self._chance.random()
        if mishap < 0.05:  # The answer did not arrive.
            again = self._ask("PUT", f"{DOOR}/votes/{vote_id}", body)
            assert json.loads(first) == json.loads(again), "a repeated vote got another answer"
            self.num_repeats += 1
        elif mishap < 0.08:  # A second tab showed the same pair.
            self._ask("PUT", f"{DOOR}/votes/{uuid4()}", body, expected=409)
            self.num_refused += 1
        elif mishap < 0.11:
            self._ask("DELETE", f"{DOOR}/votes/{vote_id}")
            self.told[vote_id] = Told(self.rater_id, UUID(pair_id), choice, is_undone=True)
            self._pairs = self._next()

    def _next(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(self._ask("GET", f"{DOOR}/next?count={AHEAD}"))["data"]
        return found

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, expected: int = 200) -> bytes:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        self._http.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._http.getresponse()
        content = answer.read()
        assert answer.status == expected, f"{method} {path}: {answer.status} {content[:300]!r}"
        return content


def vote_at_once(voters: list[Voter], seconds: float) -> None:
    """Has all of them vote at the same time.

    Raises:
        AssertionError: when one of them was refused or lost its studio.
    """
    start = threading.Barrier(len(voters))
    threads = [threading.Thread(target=voter.run, args=(start, seconds)) for voter in voters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failures = [voter.failure for voter in voters if voter.failure]
    assert not failures, failures[0]
