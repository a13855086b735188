"""The remote reward over raw connections: servers that close, drip, or send what no server of a framework would."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPResponse

import pytest
import torch

from backend.schemas.reward import RewardConfig, RewardName
from worker.rewards.remote import RemoteReward

PICTURES = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
SCORES = b'{"scores": [0.5]}'
Script = Callable[[socket.socket], None]


@contextmanager
def scripted(script: Script) -> Iterator[str]:
    """A server that reads each request and then says what the script says, until the end of the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, connection.makefile("rb") as stream:
                    length = 0
                    while (line := stream.readline().strip()) != b"":
                        name, _, value = line.partition(b":")
                        length = int(value) if name.lower() == b"content-length" else length
                    stream.read(length)
                    try:
                        script(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def saying(head: str, body: bytes) -> Script:
    return lambda connection: connection.sendall(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def reward_of(url: str, timeout_s: float = 5.0) -> RemoteReward:
    return RemoteReward(url, timeout_s, num_tries=1, sleep=lambda seconds: None)


def newer_read1(response: HTTPResponse, n: int = -1) -> bytes:
    """`HTTPResponse.read1` of the Pythons since gh-113199, which closes the response with its last byte."""
    if response.fp is None:
        return b""
    if response.length is not None and (n < 0 or n > response.length):
        n = response.length
    result: bytes = response.fp.read1(n)  # type: ignore[attr-defined]
    if not result and n:
        response._close_conn()  # type: ignore[attr-defined]
    elif response.length is not None:
        response.length -= len(result)
        if not response.length:
            response._close_conn()  # type: ignore[attr-defined]
    return result


@pytest.mark.parametrize("is_newer", [False, True])
@pytest.mark.parametrize("head", ["HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\nConnection: close", "HTTP/1.0 200 OK"])
def test_a_server_may_close_or_keep_its_connection_on_every_python(
    head: str, is_newer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_newer:
        monkeypatch.setattr(HTTPResponse, "read1", newer_read1)
    with scripted(saying(head, SCORES)) as url:
        assert reward_of(url)(PICTURES, ["one"]).tolist() == [0.5]
    refusal = saying(head.replace("200 OK", "422 No"), b'{"error": "no such prompt"}')
    with scripted(refusal) as url, pytest.raises(ValueError, match="refused with status 422: no such prompt"):
        reward_of(url)(PICTURES, ["one"])


@pytest.mark.parametrize("between", [b"X-Wait: a little\r\n", b"x"])
def test_a_head_that_drips_is_cut_at_the_deadline(between: bytes) -> None:
    said_all = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for _ in range(80):
            time.sleep(0.05)
            connection.sendall(between)
        said_all.set()

    with (
        scripted(drip) as url,
        pytest.raises(ValueError, match=r"the last time: no answer within 0\.3 s"),
    ):
        reward_of(url, timeout_s=0.3)(PICTURES, ["one"])
    assert not said_all.is_set(), "the client listened to the end"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b'{"scores": [%s]}' % (b"1" * 400), "score 0 is 1111"),
        (b'{"scores": [-%s]}' % (b"1" * 400), "score 0 is -1111"),
        (b'{"scores": [%s]}' % (b"1" * 5000), "no JSON, or too deep"),
        (b'{"scores": [%s]}' % (b"1" * 60), "too large for float32"),
        (b"[" * 200_000, "no JSON, or too deep"),
        (b'{"scores": ' + b"[" * 200_000, "no JSON, or too deep"),
    ],
)
def test_numbers_and_lists_beyond_all_bounds_are_wrong_answers(answer: bytes, problem: str) -> None:
    with (
        scripted(saying("HTTP/1.1 200 OK", answer)) as url,
        pytest.raises(ValueError, match=f"answered wrongly: .*{problem}"),
    ):
        reward_of(url)(PICTURES, ["one"])


def test_whole_numbers_beyond_64_bits_are_scores_while_float32_holds_them() -> None:
    with scripted(saying("HTTP/1.1 200 OK", b'{"scores": [1%s]}' % (b"0" * 30))) as url:
        assert reward_of(url)(PICTURES, ["one"]).tolist() == pytest.approx([1e30])


def test_a_refusal_of_endless_brackets_is_told_by_its_beginning() -> None:
    with (
        scripted(saying("HTTP/1.1 422 No", b"[" * 200_000)) as url,
        pytest.raises(ValueError, match=r"refused with status 422: \[\[\["),
    ):
        reward_of(url)(PICTURES, ["one"])


@pytest.mark.parametrize(
    "source",
    ["http://host?key=1", "http://host/score?key=1", "http://host/#part", "http://host:abc", "http://host:99999",
     "http://host:0", "http://[::1", "http://:7870", "http://user:word@host", "ftp://host"],
)  # fmt: skip
def test_a_url_of_which_something_would_be_dropped_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="remote needs its server's URL"):
        RewardConfig(name=RewardName.REMOTE, source=source)


@pytest.mark.parametrize("source", ["http://host", "https://host:443/rewards/one/", "http://[::1]:7870"])
def test_a_plain_url_is_taken(source: str) -> None:
    assert RewardConfig(name=RewardName.REMOTE, source=source).source == source
