"""`unmask up`: the whole studio on one machine, from the data folder's lock to the last process's end."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from backend.embedded import broker as broker_module
from backend.embedded import postgres as postgres_module
from backend.embedded.broker import EmbeddedBroker
from backend.embedded.data_folder import DataFolder
from backend.embedded.postgres import EmbeddedPostgres
from backend.embedded.processes import Ledger
from backend.embedded.supervisor import Service, Supervisor, end_leftovers
from backend.errors import ConflictError, UnavailableError
from backend.settings import Settings

Show = Callable[[str, str], None]

# Uvicorn and Celery look for modules in their working folder first: in this one no stranger's file hides a package.
ROOT = Path(__file__).resolve().parents[2]
PYTHON = (sys.executable, "-P")
TOKENS = ("UNMASK_ACCESS_TOKEN", "UNMASK_TOKEN")
MIGRATE_COMMAND = (*PYTHON, "-m", "backend.cli", "migrate")


# Celery warns whoever is root, C_FORCE_ROOT or not. Its reason is pickle: a message could run any code as root. These
# workers take JSON alone (backend/queue.py), an id in each message; what root means for a studio, the README tells.
_NO_ROOT_WARNING = ("-W", "ignore:You're running the worker with superuser privileges")


def _celery_command(*words: str) -> tuple[str, ...]:
    return (
        *(*PYTHON, *_NO_ROOT_WARNING),
        *("-m", "celery", "--quiet", "--app", "backend.queue:celery_app", "worker", *words),
        *("--pool", "threads", "--concurrency", "1", "--loglevel", "info", "--without-gossip", "--without-mingle"),
    )


WORKER_COMMAND = _celery_command("--include", "worker.tasks")
# Two workers of one machine need two names.
INTERACTIVE_COMMAND = _celery_command(
    *("--include", "worker.interactive", "--queues", "interactive", "--hostname", "interactive@%h")
)


def web_command(host: str, port: int) -> tuple[str, ...]:
    """How the web process is started, here and in the compose file."""
    return (
        *PYTHON,
        *("-m", "uvicorn", "ui.app:create_studio", "--factory", "--host", host, "--port", str(port)),
        *("--timeout-graceful-shutdown", "2", "--no-access-log", "--no-server-header"),
    )


def run_studio(settings: Settings, show: Show, announce: Callable[[str], None]) -> None:
    """Runs the studio until Ctrl-C or SIGTERM; `announce` gets the address once it answers.

    Raises ConflictError for a data folder or port in use, UnavailableError for whatever cannot be started.
    """
    folder = DataFolder(settings.data_dir)
    folder.lock()
    ledger = Ledger(folder.ledger_path)
    supervisor = Supervisor(ledger, show)
    try:
        with _signals_handled(supervisor):
            end_leftovers(ledger, show)
            refuse_busy_port(settings.host, settings.port)
            environment = _child_environment(settings, folder.path)
            if settings.database_url is None:
                environment["UNMASK_DATABASE_URL"] = start_postgres(supervisor, folder.path / "postgres", show)
            if settings.broker_url is None:
                environment["UNMASK_BROKER_URL"] = start_broker(supervisor, folder.path / "valkey")
            _start_our_own(supervisor, settings, environment)
            if not supervisor.is_stop_requested:
                folder.address_path.write_text(local_address(settings) + "\n")
                announce(settings.public_url or local_address(settings))
            supervisor.watch()
    finally:
        folder.release()


def run_migrations_alone(settings: Settings, show: Show, migrate: Callable[[str], None]) -> None:
    """Starts the embedded Postgres only to migrate it, then stops it; raises ConflictError while a studio runs."""
    folder = DataFolder(settings.data_dir)
    folder.lock()
    supervisor = Supervisor(Ledger(folder.ledger_path), show)
    try:
        with _signals_handled(supervisor):
            migrate(start_postgres(supervisor, folder.path / "postgres", show))
    finally:
        folder.release()


def start_postgres(supervisor: Supervisor, folder: Path, show: Show) -> str:
    """Starts the embedded Postgres under the supervisor and returns its URL."""
    postgres = EmbeddedPostgres(folder)
    postgres.prepare()
    for opened in postgres.opened_folders:
        show("unmask", f"lets other accounts pass through {opened}: as root, Postgres runs as {postgres.account_name}")
    service = Service(
        name="postgres",
        command=postgres.command(),
        environment={"PATH": os.environ.get("PATH", ""), "TZ": "UTC", "LC_ALL": "C"},
        is_server=True,
        stop_steps=postgres_module.STOP_STEPS,
        before_start=postgres.end_leftovers,
        identity=postgres.identity(),
    )
    supervisor.start(service)
    supervisor.wait_until("postgres", postgres.is_ready, seconds=120)
    if not supervisor.is_stop_requested:
        postgres.create_database()
    return postgres.url


def refuse_busy_port(host: str, port: int) -> None:
    """Raises ConflictError when the web process could not listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConflictError(
                    f"port {port} on {host} is in use by another program: stop it, or choose another with "
                    f"`unmask up --port {port + 1}`"
                ) from error
            raise UnavailableError(f"the studio cannot listen on {host} port {port} ({error.strerror})") from error


def local_address(settings: Settings) -> str:
    """The address by which this machine reaches the web process."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"http://{host}:{settings.port}"


def start_broker(supervisor: Supervisor, folder: Path) -> str:
    """Starts the embedded Valkey under the supervisor and returns its URL."""
    broker = EmbeddedBroker(folder)
    broker.prepare()
    service = Service(
        name="valkey",
        command=broker.command(),
        environment={"PATH": os.environ.get("PATH", "")},
        is_server=True,
        stop_steps=broker_module.STOP_STEPS,
    )
    supervisor.start(service)
    supervisor.wait_until("valkey", broker.is_ready, seconds=30)
    return broker.url


def _start_our_own(supervisor: Supervisor, settings: Settings, environment: dict[str, str]) -> None:
    """Migrations, then web and workers side by side, until the web process is ready."""
    if supervisor.is_stop_requested:
        return
    supervisor.run_once(Service("migrate", MIGRATE_COMMAND, environment, folder=ROOT), seconds=300)
    if supervisor.is_stop_requested:
        return
    supervisor.start(Service("web", web_command(settings.host, settings.port), environment, folder=ROOT))
    # Jobs run what recipes name; the token that opens the studio is none of their business.
    of_workers = {name: value for name, value in environment.items() if name.upper() not in TOKENS}
    supervisor.start(Service("worker", WORKER_COMMAND, of_workers, folder=ROOT))
    supervisor.start(Service("interactive", INTERACTIVE_COMMAND, of_workers, folder=ROOT))
    supervisor.wait_until("web", lambda: _answers(local_address(settings) + "/readyz"), seconds=120)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _child_environment(settings: Settings, data_dir: Path) -> dict[str, str]:
    """What web and workers see: absolute folders, the chosen port, and no call home unless a person allows the hub."""
    given = {
        "UNMASK_DATA_DIR": str(data_dir),
        "UNMASK_HOST": settings.host,
        "UNMASK_PORT": str(settings.port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE") or "1",
        "PYTHONUNBUFFERED": "1",
    }
    if settings.database_url is not None:
        given["UNMASK_DATABASE_URL"] = settings.database_url.get_secret_value()
    if settings.broker_url is not None:
        given["UNMASK_BROKER_URL"] = settings.broker_url.get_secret_value()
    if settings.access_token is not None:
        given["UNMASK_ACCESS_TOKEN"] = settings.access_token.get_secret_value()
    return {**os.environ, **given}


@contextmanager
def _signals_handled(supervisor: Supervisor) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal all ask for an orderly end."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    earlier = {number: signal.signal(number, supervisor.request_stop) for number in numbers}
    try:
        yield
    finally:
        # While stopping, a second Ctrl-C must still reach the supervisor.
        supervisor.stop()
        for number, handler in earlier.items():
            signal.signal(number, handler)
