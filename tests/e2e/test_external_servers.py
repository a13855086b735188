"""The compose file's very commands, against a Postgres and a Valkey of this test's own: over TCP, with passwords."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis
import yaml
from psycopg import sql

from backend.client import StudioClient
from backend.embedded.postgres import EmbeddedPostgres
from backend.embedded.wheels import valkey_server
from backend.schemas.config import TrainConfig
from backend.schemas.run import RunCreate, RunStatus

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
BIN = Path(sys.executable).parent
PASSWORD = "only-for-this-test"


@dataclass(frozen=True)
class Servers:
    """Where the two servers are."""

    database_url: str
    broker_url: str


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(is_reached: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_reached():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)


def stop(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    process.send_signal(number)
    process.wait(timeout=20)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    """A Postgres that wants a password over TCP, as the image of the compose file does, and a Valkey likewise."""
    with ExitStack() as stack:
        yield Servers(start_postgres(stack, tmp_path / "pg"), start_valkey(stack, tmp_path))


def start_postgres(stack: ExitStack, folder: Path) -> str:
    postgres, port = EmbeddedPostgres(folder), free_port()
    postgres.prepare()
    (folder / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    command = [*postgres.command(), "-c", "listen_addresses=127.0.0.1", "-c", f"port={port}"]
    process = subprocess.Popen(command, **postgres.identity())
    stack.callback(stop, process, signal.SIGINT)
    place = {"host": str(postgres.socket_folder), "port": port, "user": "postgres", "dbname": "postgres"}

    def is_ready() -> bool:
        try:
            with psycopg.connect(**place, autocommit=True) as session:  # type: ignore[arg-type]
                session.execute(sql.SQL("CREATE ROLE unmask LOGIN PASSWORD {}").format(PASSWORD))
                session.execute("CREATE DATABASE unmask OWNER unmask")
        except psycopg.OperationalError:
            return False
        return True

    wait_until(is_ready, "Postgres")
    return f"postgresql://unmask:{PASSWORD}@127.0.0.1:{port}/unmask"


def start_valkey(stack: ExitStack, folder: Path) -> str:
    port = free_port()
    options = [
        "--bind",
        "127.0.0.1",
        "--port",
        str(port),
        "--requirepass",
        PASSWORD,
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    process = subprocess.Popen([str(valkey_server()), *options], stdout=subprocess.DEVNULL)
    stack.callback(stop, process, signal.SIGTERM)
    url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"

    def is_ready() -> bool:
        try:
            with redis.Redis.from_url(url) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    wait_until(is_ready, "Valkey")
    return url


@dataclass(frozen=True)
class Composed:
    """The services of the compose file as processes of this machine."""

    environment: dict[str, str]
    folder: Path  # Not the repository: a container's working folder is not ours either.
    port: int

    def words_of(self, service: str) -> list[str]:
        """The service's command, at our port and on loopback."""
        words = [str(word) for word in SERVICES[service]["command"]]
        return [{"7860": str(self.port), "0.0.0.0": "127.0.0.1"}.get(word, word) for word in words]

    def start(self, service: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.words_of(service), env=self.environment, cwd=self.folder)

    def is_healthy(self, service: str) -> bool:
        """What the service's own health check says."""
        kind, *words = SERVICES[service]["healthcheck"]["test"]
        if kind == "CMD-SHELL":
            words = ["sh", "-c", words[0].replace("$$", "$")]
        words = [word.replace("7860", str(self.port)) for word in words]
        made = subprocess.run(words, env=self.environment, cwd=self.folder, capture_output=True, check=False)
        return made.returncode == 0


def environment_of(servers: Servers, data_dir: Path) -> dict[str, str]:
    given = {key: value for key, value in os.environ.items() if not key.startswith("UNMASK_")}
    return given | {
        "DATABASE_URL": servers.database_url,
        "BROKER_URL": servers.broker_url,
        "DATA_DIR": str(data_dir),
        "UNMASK_LOG_FORMAT": SERVICES["web"]["environment"]["UNMASK_LOG_FORMAT"],
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOSTNAME": socket.gethostname(),
    }


def test_migrate_web_and_worker_perform_a_run(servers: Servers, tmp_path: Path) -> None:
    composed = Composed(environment_of(servers, tmp_path / "data"), tmp_path, free_port())
    subprocess.run(composed.words_of("migrate"), env=composed.environment, cwd=tmp_path, check=True)
    processes = [composed.start(service) for service in ("web", "worker", "interactive")]
    try:
        wait_until(partial(composed.is_healthy, "web"), "the web service's health")
        for service in ("worker", "interactive"):
            wait_until(partial(composed.is_healthy, service), f"the health of {service}", seconds=120)
        url = f"http://127.0.0.1:{composed.port}"
        with StudioClient(url) as client:
            assert perform_a_run(client) is RunStatus.SUCCEEDED
        page = httpx.get(f"{url}/api/v1/runs", headers={"Host": "evil.example"}, trust_env=False)
        assert page.status_code == 421
    finally:
        for process in processes:
            process.terminate()
        codes = [process.wait(timeout=30) for process in processes]
    assert codes in ([0, 0, 0], [-signal.SIGTERM, 0, 0])
    assert not (tmp_path / "data" / "postgres").exists()


def perform_a_run(client: StudioClient) -> RunStatus:
    config = TrainConfig.model_validate(
        {
            "num_steps": 1,
            "rollout": {"num_prompts": 2, "group_size": 2},
            "sampling": {"num_unmasking_steps": 4},
            "probe": {"num_prompts": 0},
            "policy": {"num_threads": 1},
        }
    )
    run = client.create_run(RunCreate(config=config))
    for _ in client.watch(run.id):
        pass
    ended = client.get_run(run.id)
    assert ended.error is None
    return ended.status
