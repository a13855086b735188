"""`python -m worker.rewards.serve REWARD`: a local reward behind HTTP, in an environment of its own.

It listens on loopback unless told otherwise, judges one batch at a time, and knows neither runs nor policies.
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch
from pydantic import ValidationError

from backend.schemas.refusal import refusals
from backend.schemas.reward import RewardConfig
from worker.maskgrpo.types import RewardFunction
from worker.rewards.build import build_reward
from worker.rewards.wire import MAX_REQUEST_BYTES, TOKEN_VARIABLE, answer_of, read_request

DEFAULT_PORT = 7870
READ_TIMEOUT_S = 60
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class RewardServer(ThreadingHTTPServer):
    """Answers POST /score with the weighted sum of its rewards, and GET /health."""

    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        reward: RewardFunction,
        name: str,
        token: str = "",
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(address, _Handler)
        self.device = torch.device(device)  # A reward model follows the pictures there.
        self.reward = reward
        self.name = name
        self.token = token
        # One device, one batch: two at once would only fight for its memory.
        self.judging = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"


class _Handler(BaseHTTPRequestHandler):
    server: RewardServer
    protocol_version = "HTTP/1.1"
    timeout = READ_TIMEOUT_S

    def do_GET(self) -> None:
        if self.path != "/health":
            self._refuse(404, f"there is no {self.path}: POST pictures to /score")
        else:
            self._send(200, json.dumps({"status": "ok", "reward": self.server.name}).encode())

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            return
        try:
            pictures, prompts = read_request(body)
        except ValueError as error:
            self._refuse(422, str(error))
            return
        try:
            with self.server.judging:
                answer = answer_of(self.server.reward(pictures.to(self.server.device), prompts).total)
        except ValueError as error:
            # The reward does not take these pictures or prompts, or broke on them: it would again.
            self._refuse(422, f"{self.server.name}: {error}")
            return
        except Exception as error:  # Whatever a reward raises must reach whoever asked, and leave the server standing.
            self._refuse(500, f"{self.server.name}: {type(error).__name__}: {error}")
            raise
        self._send(200, answer)

    def _body(self) -> bytes | None:
        """The request's body, or None after a refusal."""
        length = self.headers.get("Content-Length", "")
        if self.path != "/score":
            return self._refuse(404, f"there is no {self.path}: POST pictures to /score")
        if self.server.token and not self._is_allowed():
            return self._refuse(401, f"the token is missing or wrong: set {TOKEN_VARIABLE} to the server's")
        if not length.isdecimal():
            return self._refuse(411, "the request must say its Content-Length")
        if int(length) > MAX_REQUEST_BYTES:
            return self._refuse(413, f"the request has {length} bytes: at most {MAX_REQUEST_BYTES} are taken")
        return self.rfile.read(int(length))

    def _is_allowed(self) -> bool:
        given = self.headers.get("Authorization", "").encode()
        return hmac.compare_digest(given, f"Bearer {self.server.token}".encode())

    def _refuse(self, status: int, reason: str) -> None:
        # The body was perhaps not read, so the connection cannot be used again.
        self.close_connection = True
        self._send(status, json.dumps({"error": reason}).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def device_of(wanted: str) -> torch.device:
    """The device that a command line asks for.

    Raises:
        ValueError: a GPU is asked for and torch sees none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device is cuda, but this machine shows no GPU to torch: take auto or cpu")
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def main() -> int:
    """The exit code: 0 after Ctrl-C, 2 after a mistake."""
    parser = argparse.ArgumentParser(prog="python -m worker.rewards.serve", description=__doc__)
    parser.add_argument("reward", help="the reward's name, as in a recipe: clip, pickscore, strict ...")
    parser.add_argument("--source", default="", help="its weights, as in a recipe")
    parser.add_argument("--precision", default="float32", help="float32, bfloat16 or float16")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="auto: a GPU if there is one")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; default: loopback only")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    arguments = parser.parse_args()
    token = os.environ.get(TOKEN_VARIABLE, "")
    try:
        if arguments.host not in LOOPBACK and not token:
            raise ValueError(
                f"{arguments.host} is reached from elsewhere: set {TOKEN_VARIABLE}, here and for the worker"
            )
        values = {"name": arguments.reward, "source": arguments.source, "precision": arguments.precision}
        device = device_of(arguments.device)
        reward = build_reward([RewardConfig.model_validate(values)])
        server = RewardServer((arguments.host, arguments.port), reward, arguments.reward, token, device)
    except (ValueError, OSError) as error:
        words = refusals(error) if isinstance(error, ValidationError) else str(error)
        print(f"error: {words}", file=sys.stderr)
        return 2
    print(f"{arguments.reward} at {server.url}/score; Ctrl-C stops it", flush=True)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
