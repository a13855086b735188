"""A reward that a server gives, for rewards that need an environment of their own.

It waits, tries again a bounded number of times, and then raises: a broken server never becomes a reward of zero. The
transport is the standard library's, so the science still knows no server framework (pyproject's import rules).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from socket import SHUT_RDWR, socket
from threading import Event, Timer
from urllib.parse import urlsplit

import torch
from torch import Tensor

from worker.rewards.wire import MAX_ANSWER_BYTES, TOKEN_VARIABLE, read_answer, read_error, request_of

BATCH_SIZE = 64
NUM_TRIES = 4
FIRST_PAUSE_S = 0.5
# The server is busy, starting or being replaced. Any other refusal would be the same the next time.
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


class TransientError(Exception):
    """An exchange failed in a way that may pass."""


@dataclass(frozen=True)
class RemoteReward:
    """Sends pictures and prompts to a server in batches, and takes one score a picture."""

    url: str
    timeout_s: float
    token: str = ""
    num_tries: int = NUM_TRIES
    sleep: Callable[[float], None] = time.sleep

    def __call__(self, pictures: Tensor, prompts: Sequence[str]) -> Tensor:
        """Return (B,) float32 for (B, 3, H, W) pictures in [0, 1] and B prompts.

        Raises:
            ValueError: the server refused, answered wrongly, or did not answer in all tries; the error says which.
        """
        parts = []
        for start in range(0, len(prompts), BATCH_SIZE):
            batch = slice(start, start + BATCH_SIZE)
            body = request_of(pictures[batch], prompts[batch])
            answer = self._ask(body)
            try:
                parts.append(read_answer(answer, len(prompts[batch])))
            except ValueError as error:
                raise ValueError(f"the remote reward at {self.url} answered wrongly: {error}") from error
        return torch.cat(parts)

    def _ask(self, body: bytes) -> bytes:
        """The body of the answer, after as many tries as it takes and is allowed."""
        pause, problem = FIRST_PAUSE_S, ""
        for attempt in range(self.num_tries):
            if attempt:
                self.sleep(pause)
                pause *= 2
            try:
                return self._exchange(body)
            except TransientError as error:
                problem = str(error)
        raise ValueError(
            f"the remote reward at {self.url} gave no scores in {self.num_tries} tries, the last time: {problem}. See "
            "whether its server runs, or raise timeout_s"
        )

    def _exchange(self, body: bytes) -> bytes:
        """One request, and its answer within the timeout."""
        address = urlsplit(self.url)
        kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
        deadline = time.monotonic() + self.timeout_s
        is_late = Event()
        connection = kind(address.hostname or "", address.port, timeout=self.timeout_s)
        headers = {
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {self.token}"} if self.token else {}),
        }
        try:
            connection.connect()
            # http.client lets go of the socket when the server closes, while the answer is still to be read from it.
            with _cut_at(deadline, connection.sock, is_late):
                connection.request("POST", f"{address.path.rstrip('/')}/score", body, headers)
                response = connection.getresponse()
                answer = _read(response)
        except (OSError, HTTPException) as error:
            if is_late.is_set() or isinstance(error, TimeoutError):
                raise TransientError(f"no answer within {self.timeout_s:g} s") from error
            raise TransientError(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()
        if response.status in TRANSIENT:
            raise TransientError(f"status {response.status}: {read_error(answer)}")
        if response.status != 200:
            raise ValueError(
                f"the remote reward at {self.url} refused with status {response.status}: {read_error(answer)}"
            )
        return answer


def remote_scorer(url: str, timeout_s: float) -> RemoteReward:
    """The remote reward of a run; its token, where the server wants one, is in the environment and in no recipe."""
    return RemoteReward(url, timeout_s, os.environ.get(TOKEN_VARIABLE, ""))


@contextmanager
def _cut_at(deadline: float, stream: socket, is_late: Event) -> Iterator[None]:
    """Shut a connection at the deadline. The socket's own timeout begins anew with every byte, of the head too."""

    def cut() -> None:
        is_late.set()
        # Closed already: the exchange ends by itself.
        with suppress(OSError):
            # Not TLS's own: it would take the cipher away from under the reader.
            socket.shutdown(stream, SHUT_RDWR)

    timer = Timer(max(0.0, deadline - time.monotonic()), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
    if is_late.is_set():
        raise TimeoutError


def _read(response: HTTPResponse) -> bytes:
    """The whole answer, of a bounded size."""
    answer = response.read(MAX_ANSWER_BYTES + 1)
    if len(answer) > MAX_ANSWER_BYTES:
        raise ValueError(f"a remote reward answered with more than {MAX_ANSWER_BYTES} bytes: it must send scores alone")
    if response.length:
        raise HTTPException(f"the answer broke off {response.length} bytes before its end")
    return answer
