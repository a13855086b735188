"""The remote reward against its true server over loopback, and against servers that are slow, dying or wrong."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import torch
from torch import Tensor

from backend.schemas.reward import RewardConfig, RewardName
from tests.worker.rewards.test_build import PROMPT, pictures_of
from worker.maskgrpo.types import RewardFunction, Rewards
from worker.rewards.build import build_reward
from worker.rewards.remote import RemoteReward, remote_scorer
from worker.rewards.serve import RewardServer
from worker.rewards.wire import MAX_REQUEST_BYTES, TOKEN_VARIABLE, read_request, request_of

PICTURES = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
PROMPTS = ["one", "two", "three"]
Behaviour = Callable[[BaseHTTPRequestHandler, int], None]


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def misbehaving(behave: Behaviour) -> Iterator[tuple[RemoteReward, list[int]]]:
    """A server that does what it likes with the n-th request, and a reward that asks it without waiting in between."""
    asked: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(1)
            self.rfile.read(int(self.headers["Content-Length"]))
            behave(self, len(asked))

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with running(server) as url:
        yield RemoteReward(url, timeout_s=0.5, sleep=lambda seconds: None), asked


def answer(handler: BaseHTTPRequestHandler, content: object, status: int = 200) -> None:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def test_the_remote_reward_is_the_local_one() -> None:
    pictures = pictures_of(PROMPT, "a photo of a blue star", "a photo of a red circle and a blue star")
    local = build_reward([RewardConfig(name=RewardName.DENSE)])
    with running(RewardServer(("127.0.0.1", 0), local, "dense")) as url:
        remote = build_reward([RewardConfig(name=RewardName.REMOTE, source=url, weight=2)])
        rewards = remote(pictures, [PROMPT] * 3)
    assert rewards.breakdown["remote"].tolist() == local(pictures, [PROMPT] * 3).total.tolist() == [1, 0, 1]
    assert rewards.total.tolist() == [2, 0, 2]


def test_large_batches_are_sent_in_parts_and_come_back_in_order() -> None:
    class Brightness:
        def __call__(self, pictures: Tensor, prompts: list[str]) -> Rewards:
            return Rewards(pictures.mean((1, 2, 3)) + torch.tensor([float(each) for each in prompts]), {})

    pictures = torch.rand(150, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with running(RewardServer(("127.0.0.1", 0), Brightness(), "brightness")) as url:
        scores = RemoteReward(url, 10)(pictures, [str(place) for place in range(150)])
    assert torch.allclose(scores, pictures.mean((1, 2, 3)) + torch.arange(150), atol=1 / 255)


def test_a_server_judges_on_its_own_device() -> None:
    class WhereItIs:
        def __call__(self, pictures: Tensor, prompts: list[str]) -> Rewards:
            return Rewards(torch.full((len(pictures),), float(pictures.device.type == "meta")), {})

    with running(RewardServer(("127.0.0.1", 0), WhereItIs(), "where", device="meta")) as url:
        assert (RemoteReward(url, 10)(PICTURES, PROMPTS) == 1).all()


def test_pictures_and_prompts_arrive_as_they_were_sent() -> None:
    pictures, prompts = read_request(request_of(PICTURES, ["a \u2603", "", '"']))
    assert prompts == ["a \u2603", "", '"']
    assert (pictures - PICTURES).abs().max() <= 0.5 / 255 + 1e-6


def test_a_server_that_comes_back_is_waited_for() -> None:
    def behave(handler: BaseHTTPRequestHandler, asked: int) -> None:
        if asked == 1:
            handler.connection.shutdown(socket.SHUT_RDWR)
        elif asked == 2:
            answer(handler, {"error": "loading the weights"}, 503)
        else:
            answer(handler, {"scores": [1, 2, 3]})

    pauses: list[float] = []
    with misbehaving(behave) as (reward, asked):
        scores = replace(reward, sleep=pauses.append)(PICTURES, PROMPTS)
    assert scores.tolist() == [1, 2, 3]
    assert len(asked) == 3
    assert pauses == [0.5, 1.0]


def dying(handler: BaseHTTPRequestHandler, asked: int) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def breaking_off(handler: BaseHTTPRequestHandler, asked: int) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"scores": [1, 2')


def silent(handler: BaseHTTPRequestHandler, asked: int) -> None:
    time.sleep(1)


def dripping(handler: BaseHTTPRequestHandler, asked: int) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    for _ in range(20):
        time.sleep(0.1)
        handler.wfile.write(b" ")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("behave", "problem"),
    [
        (dying, "RemoteDisconnected"),
        (breaking_off, "broke off"),
        (silent, "no answer within 0.3 s"),
        (dripping, "no answer within 0.3 s"),
        (lambda handler, asked: answer(handler, {"error": "no memory"}, 500), "status 500: no memory"),
    ],
)
def test_a_server_that_stays_broken_ends_in_an_error_after_bounded_tries(behave: Behaviour, problem: str) -> None:
    with misbehaving(behave) as (reward, asked):
        impatient = replace(reward, timeout_s=0.3, num_tries=2)
        with pytest.raises(ValueError, match=f"gave no scores in 2 tries, the last time: .*{problem}"):
            impatient(PICTURES, PROMPTS)
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"scores": [1, 2]}, "2 scores for 3 pictures"),
        ({"scores": [1, 2, 3, 4]}, "4 scores for 3 pictures"),
        (b'{"scores": [1, NaN, 3]}', "score 1 is nan"),
        (b'{"scores": [1, 2, -Infinity]}', "score 2 is -inf"),
        ({"scores": [1, None, 3]}, "score 1 is None"),
        ({"scores": [1, "2", 3]}, "score 1 is '2'"),
        ({"scores": [1, 2, True]}, "score 2 is True"),
        ({"scores": [1, 2, 1e300]}, "too large for float32"),
        ({"score": [1, 2, 3]}, "must hold a list 'scores'"),
        ([1, 2, 3], "must be a JSON object"),
        (b"<html>", "no JSON"),
        (b"", "no JSON"),
    ],
)
def test_a_wrong_answer_is_refused_at_once_and_never_becomes_a_reward(content: object, problem: str) -> None:
    with (
        misbehaving(lambda handler, asked: answer(handler, content)) as (reward, asked),
        pytest.raises(ValueError, match=f"answered wrongly: .*{re.escape(problem)}"),
    ):
        reward(PICTURES, PROMPTS)
    assert len(asked) == 1


def test_an_answer_without_end_is_cut_off() -> None:
    with (
        misbehaving(lambda handler, asked: answer(handler, b" " * 2_000_000)) as (reward, _),
        pytest.raises(ValueError, match="answered with more than 1048576 bytes"),
    ):
        reward(PICTURES, PROMPTS)


def test_nobody_listening_is_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(ValueError, match=r"ConnectionRefusedError.*See whether its server runs"):
        RemoteReward(url, 1, num_tries=2, sleep=lambda seconds: None)(PICTURES, PROMPTS)


def test_too_large_a_request_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.rewards.wire.MAX_REQUEST_BYTES", 100)
    with pytest.raises(ValueError, match="judge fewer or smaller pictures at once"):
        RemoteReward("http://127.0.0.1:9", 1)(PICTURES, PROMPTS)


class Broken:
    """A reward whose weights give NaN."""

    def __call__(self, pictures: Tensor, prompts: list[str]) -> Rewards:
        return Rewards(torch.full((len(prompts),), torch.nan), {})


def exchange(server: RewardServer, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    connection = HTTPConnection(*server.server_address[:2], timeout=5)  # type: ignore[misc]
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    content = json.loads(response.read())
    connection.close()
    return response.status, content


@pytest.mark.parametrize(
    ("reward", "status", "problem"),
    [
        (Broken(), 422, "score 0 is nan"),
        (build_reward([RewardConfig(name=RewardName.STRICT)]), 422, "'one' is not a caption"),
    ],
)
def test_what_breaks_on_the_server_is_told_to_who_asked(reward: RewardFunction, status: int, problem: str) -> None:
    with (
        running(RewardServer(("127.0.0.1", 0), reward, "it")) as url,
        pytest.raises(ValueError, match=f"refused with status {status}: it: .*{problem}"),
    ):
        RemoteReward(url, 5)(PICTURES, PROMPTS)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"{}", "must hold the lists"),
        (b'{"prompts": ["a"], "pictures": []}', "1 prompts and 0 pictures"),
        (b'{"prompts": ["a"], "pictures": ["bm8gUE5H"]}', "no PNG in base64"),
        (b'{"prompts": ["a"], "pictures": ["%%%"]}', "no PNG in base64"),
        (b'{"prompts": [1], "pictures": ["a"]}', "lists of texts"),
    ],
)
def test_a_malformed_request_is_refused(body: bytes, problem: str) -> None:
    server = RewardServer(("127.0.0.1", 0), Broken(), "it")
    with running(server):
        status, content = exchange(server, "POST", "/score", body)
        assert exchange(server, "GET", "/health") == (200, {"status": "ok", "reward": "it"})
        assert exchange(server, "GET", "/other")[0] == 404
        declared = {"Content-Length": str(MAX_REQUEST_BYTES + 1)}
        assert exchange(server, "POST", "/score", b"", **declared)[0] == 413
    assert status == 422
    assert problem in content["error"]


def test_a_server_with_a_token_answers_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg_size = build_reward([RewardConfig(name=RewardName.JPEG_SIZE)])
    with running(RewardServer(("127.0.0.1", 0), jpeg_size, "jpeg_size", token="secret")) as url:
        monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
        with pytest.raises(ValueError, match=f"refused with status 401: .*{TOKEN_VARIABLE}"):
            remote_scorer(url, 5)(PICTURES, PROMPTS)
        monkeypatch.setenv(TOKEN_VARIABLE, "secret")
        assert (remote_scorer(url, 5)(PICTURES, PROMPTS) < 0).all()


@pytest.mark.slow
def test_the_command_serves_a_reward_on_loopback_and_refuses_mistakes() -> None:
    command = [sys.executable, "-m", "worker.rewards.serve"]
    for arguments, problem in (
        (["beauty"], ", not 'beauty'"),
        (["strict", "--host", "0.0.0.0"], TOKEN_VARIABLE),
        (["aesthetic", "--source", "/nowhere"], "finds no folder"),
    ):
        refused = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert (refused.returncode, problem in refused.stderr) == (2, True), refused.stderr
    with subprocess.Popen([*command, "jpeg_size", "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"(http://127\.0\.0\.1:\d+)/score", process.stdout.readline())
        try:
            assert found is not None
            assert (RemoteReward(found[1], 10)(PICTURES, PROMPTS) < 0).all()
        finally:
            process.terminate()
