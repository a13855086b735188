"""The embedded servers and their supervisor, on real processes: what starts also ends, and no crash blocks a start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from backend.embedded.broker import EmbeddedBroker
from backend.embedded.data_folder import DataFolder
from backend.embedded.postgres import EmbeddedPostgres
from backend.embedded.processes import Ledger, ProcessIdentity, die_with_parent
from backend.embedded.studio import refuse_busy_port, start_broker, start_postgres
from backend.embedded.supervisor import Service, Supervisor, end_leftovers
from backend.errors import ConflictError, UnavailableError

SLEEPER = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)")

# Holds a Postgres as `unmask up` does, in a process that can be killed.
HOLDER = """
import sys
from pathlib import Path
from backend.embedded.processes import Ledger
from backend.embedded.studio import start_postgres
from backend.embedded.supervisor import Supervisor
folder = Path(sys.argv[1])
supervisor = Supervisor(Ledger(folder / "processes.json"), lambda name, line: None)
start_postgres(supervisor, folder / "postgres", lambda name, line: None)
print("ready", flush=True)
supervisor.watch()
"""


class Log:
    """The lines that a supervisor showed."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))

    def has(self, text: str) -> bool:
        return any(text in line for _, line in self.lines)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def supervisor(tmp_path: Path, log: Log) -> Iterator[Supervisor]:
    supervisor = Supervisor(Ledger(tmp_path / "processes.json"), log)
    yield supervisor
    supervisor.stop()


def watch_until(supervisor: Supervisor, is_reached: Callable[[], bool], seconds: float = 20) -> None:
    """Lets the supervisor work until something holds."""
    deadline = time.monotonic() + seconds
    while not is_reached():
        assert time.monotonic() < deadline, "not reached in time"
        supervisor.look(0.05)


def wait_until(is_reached: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_reached():
        assert time.monotonic() < deadline, "not reached in time"
        time.sleep(0.05)


def query(folder: Path, statement: str) -> list[tuple[object, ...]]:
    postgres = EmbeddedPostgres(folder)
    with psycopg.connect(
        host=str(postgres.socket_folder), user="postgres", dbname="unmask", autocommit=True
    ) as session:
        cursor = session.execute(statement)  # type: ignore[call-overload]
        return list(cursor.fetchall()) if cursor.description else []


def postmaster_pid(folder: Path) -> int:
    return int((folder / "postmaster.pid").read_text().splitlines()[0])


@pytest.mark.slow
def test_postgres_keeps_its_data_over_a_restart(tmp_path: Path, log: Log) -> None:
    folder = tmp_path / "postgres"
    for expected in ([], [(1,)]):
        supervisor = Supervisor(Ledger(tmp_path / "processes.json"), log)
        start_postgres(supervisor, folder, log)
        query(folder, "CREATE TABLE IF NOT EXISTS kept (value int)")
        assert query(folder, "SELECT value FROM kept") == expected
        query(folder, "INSERT INTO kept VALUES (1)")
        supervisor.stop()
        assert not (folder / "postmaster.pid").exists()
    assert not (tmp_path / "processes.json").exists()


@pytest.mark.slow
def test_a_killed_postgres_is_restarted_and_recovered(tmp_path: Path, supervisor: Supervisor, log: Log) -> None:
    folder = tmp_path / "postgres"
    start_postgres(supervisor, folder, log)
    query(folder, "CREATE TABLE kept AS SELECT 7 AS value")
    first = postmaster_pid(folder)
    os.kill(first, signal.SIGKILL)
    postgres = EmbeddedPostgres(folder)
    watch_until(supervisor, lambda: postgres.is_ready() and postmaster_pid(folder) != first)
    assert query(folder, "SELECT value FROM kept") == [(7,)]
    assert log.has("postgres was ended by SIGKILL; it is restarted")


@pytest.mark.slow
def test_a_killed_studio_takes_its_postgres_along_and_the_next_start_works(tmp_path: Path, log: Log) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    orphan = psutil.Process(postmaster_pid(tmp_path / "postgres"))
    holder.kill()
    holder.wait()
    holder.stdout.close()
    supervisor = Supervisor(Ledger(tmp_path / "processes.json"), log)
    start_postgres(supervisor, tmp_path / "postgres", log)
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    assert query(tmp_path / "postgres", "SELECT 1") == [(1,)]
    supervisor.stop()


def test_a_pid_file_whose_id_belongs_to_another_program_does_not_block(tmp_path: Path, supervisor: Supervisor) -> None:
    folder = tmp_path / "postgres"
    EmbeddedPostgres(folder).prepare()
    # The test's own id is alive and no Postgres: Postgres by itself would refuse to start.
    (folder / "postmaster.pid").write_text(f"{os.getpid()}\n{folder}\n1\n5432\n{folder}\n\n0 0\nready\n")
    start_postgres(supervisor, folder, lambda name, line: None)
    assert query(folder, "SELECT 1") == [(1,)]


def test_a_crash_while_the_database_is_made_leaves_nothing_half_made(tmp_path: Path, supervisor: Supervisor) -> None:
    folder = tmp_path / "postgres"
    half_made = tmp_path / "postgres.new"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18\n")
    start_postgres(supervisor, folder, lambda name, line: None)
    assert not half_made.exists()
    assert query(folder, "SELECT 1") == [(1,)]


@pytest.mark.slow
def test_a_data_folder_with_a_long_path_gets_a_short_socket(tmp_path: Path, supervisor: Supervisor) -> None:
    folder = tmp_path / ("long" * 30) / "postgres"
    start_postgres(supervisor, folder, lambda name, line: None)
    socket_folder = EmbeddedPostgres(folder).socket_folder
    assert len(str(socket_folder)) < 80
    assert query(folder, "SELECT 1") == [(1,)]
    assert socket_folder.stat().st_mode & 0o077 == 0
    supervisor.stop()
    socket_folder.rmdir()


def test_a_folder_of_other_files_is_not_taken_for_a_database(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "thesis.tex").write_text("mine")
    with pytest.raises(UnavailableError, match="is not empty and holds no Postgres"):
        EmbeddedPostgres(tmp_path / "postgres").prepare()
    assert (tmp_path / "postgres" / "thesis.tex").read_text() == "mine"


def test_the_broker_listens_on_loopback_and_wants_its_password(tmp_path: Path, supervisor: Supervisor) -> None:
    url = start_broker(supervisor, tmp_path / "valkey")
    host, port = url.rpartition("@")[2].removesuffix("/0").split(":")
    assert host == "127.0.0.1"
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(64).startswith(b"-NOAUTH")
    assert (tmp_path / "valkey" / "valkey.conf").stat().st_mode & 0o077 == 0
    password = url.removeprefix("redis://:").partition("@")[0]
    assert password not in " ".join(EmbeddedBroker(tmp_path / "valkey").command())


def test_a_service_that_dies_is_restarted_with_growing_pauses(supervisor: Supervisor, log: Log) -> None:
    supervisor.start(Service("brief", (sys.executable, "-c", "print('hello'); raise SystemExit(3)"), dict(os.environ)))
    watch_until(supervisor, lambda: log.has("restarted in 1.0 s"))
    assert log.has("brief ended with code 3; it is restarted in 0.5 s")
    assert ("brief", "hello") in log.lines


def test_stop_kills_a_service_that_ignores_sigterm(tmp_path: Path, log: Log) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    supervisor = Supervisor(Ledger(tmp_path / "processes.json"), log)
    steps = ((signal.SIGTERM, 0.3), (signal.SIGKILL, 3.0))
    supervisor.start(Service("stubborn", (sys.executable, "-c", stubborn), dict(os.environ), stop_steps=steps))
    watch_until(supervisor, lambda: log.has("up"))
    [entry] = Ledger(tmp_path / "processes.json").leftovers()
    supervisor.stop()
    assert entry[0].find() is None


def test_a_closed_terminal_does_not_keep_services_from_being_stopped(tmp_path: Path) -> None:
    def show(name: str, line: str) -> None:
        raise OSError(f"{name}: nobody reads {line}")

    supervisor = Supervisor(Ledger(tmp_path / "processes.json"), show)
    supervisor.start(Service("sleeper", SLEEPER, dict(os.environ)))
    [(entry, _)] = Ledger(tmp_path / "processes.json").leftovers()
    supervisor.look(0.2)
    supervisor.stop()
    assert entry.find() is None


def test_leftovers_of_a_crashed_start_are_ended(tmp_path: Path, log: Log) -> None:
    orphan = subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL)
    Ledger(tmp_path / "processes.json").add(ProcessIdentity.of("web", orphan.pid))
    end_leftovers(Ledger(tmp_path / "processes.json"), log)
    assert not psutil.pid_exists(orphan.pid)
    orphan.wait()
    assert log.has(f"ends web (process {orphan.pid})")


def test_another_program_with_a_leftovers_id_is_never_touched(tmp_path: Path, log: Log) -> None:
    bystander = subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL)
    try:
        real = ProcessIdentity.of("web", bystander.pid)
        Ledger(tmp_path / "processes.json").add(ProcessIdentity("web", real.pid, real.started_at - 100))
        end_leftovers(Ledger(tmp_path / "processes.json"), log)
        assert bystander.poll() is None
        assert log.lines == []
    finally:
        bystander.kill()
        bystander.wait()


def test_a_torn_ledger_does_not_block_the_start(tmp_path: Path, log: Log) -> None:
    (tmp_path / "processes.json").write_text('[{"name": "web", "pi')
    end_leftovers(Ledger(tmp_path / "processes.json"), log)
    assert log.lines == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has parent-death signals")
def test_a_child_dies_with_a_parent_that_is_killed() -> None:
    script = (
        "import signal, subprocess, sys\n"
        "from backend.embedded.processes import die_with_parent\n"
        "child = subprocess.Popen(['sleep', '600'], preexec_fn=die_with_parent(signal.SIGTERM))\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = ProcessIdentity.of("child", int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: child.find() is None)
    assert callable(die_with_parent(signal.SIGTERM))


def test_a_second_studio_on_one_data_folder_is_refused(tmp_path: Path) -> None:
    first, second = DataFolder(tmp_path), DataFolder(tmp_path)
    first.lock()
    with pytest.raises(ConflictError, match=rf"a studio already runs on .* \(process {os.getpid()}\)"):
        second.lock()
    first.release()
    second.lock()
    second.release()


def test_a_busy_port_is_refused_with_the_cure() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(ConflictError, match=f"port {port} .* is in use .*--port {port + 1}"):
            refuse_busy_port("127.0.0.1", port)
    refuse_busy_port("127.0.0.1", port)
