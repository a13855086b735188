"""A reward that a server gives, for rewards that need an environment of their own.

It waits, tries again a bounded number of times, and then raises: a broken server never becomes a reward of zero. The
transport is the standard library's, so the science still knows no server framework (pyproject's import rules).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from socket import socket
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
        connection = kind(address.hostname or "", address.port, timeout=self.timeout_s)
        headers = {
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {self.token}"} if self.token else {}),
        }
        try:
            connection.request("POST", f"{address.path.rstrip('/')}/score", body, headers)
            # http.client lets go of the socket when the server closes, while the answer is still to be read from it.
            stream = connection.sock
            response = connection.getresponse()
            answer = _read(response, stream, deadline)
        except TimeoutError as error:
            raise TransientError(f"no answer within {self.timeout_s:g} s") from error
        except (OSError, HTTPException) as error:
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


def _read(response: HTTPResponse, stream: socket, deadline: float) -> bytes:
    """The whole answer. The socket's own timeout begins anew with every byte, so the deadline is watched here."""
    parts: list[bytes] = []
    # Newer Pythons close the response, and with it perhaps the socket, as soon as its last byte is read.
    while not response.isclosed():
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        stream.settimeout(left)
        part = response.read1(2**16)
        if not part:
            break
        parts.append(part)
        if sum(map(len, parts)) > MAX_ANSWER_BYTES:
            raise ValueError(
                f"a remote reward answered with more than {MAX_ANSWER_BYTES} bytes: it must send scores alone"
            )
    if response.length:
        raise HTTPException(f"the answer broke off {response.length} bytes before its end")
    return b"".join(parts)
