"""Postgres refuses to run as root: the account it gets instead, and the least opening of folders that it needs.

Nothing here runs unless the studio itself was started as root.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from backend.errors import UnavailableError

ACCOUNT_NAME = "unmask-postgres"


@dataclass(frozen=True)
class Account:
    """The system account that Postgres runs as when the studio runs as root."""

    name: str
    user_id: int
    group_id: int


def postgres_account() -> Account | None:
    """The account for Postgres, made when it is missing; None where the studio does not run as root."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(ACCOUNT_NAME)
    except KeyError:
        entry = _make_account()
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _make_account() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT_NAME]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", "") or str(error)
        raise UnavailableError(
            f"Postgres does not run as root, and the account {ACCOUNT_NAME!r} could not be made ({reason.strip()}): "
            "start the studio as an ordinary user, or set DATABASE_URL to a server of yours"
        ) from error
    return pwd.getpwnam(ACCOUNT_NAME)


def open_for_traversal(path: Path) -> list[Path]:
    """Lets every account pass (not list) the folders above `path`; returns those that were changed."""
    changed = []
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
            changed.append(folder)
    return changed


def open_for_reading(tree: Path) -> None:
    """Lets every account read and run a program's own files; needed only where pip installed under a narrow umask."""
    for path in (tree, *tree.rglob("*")):
        mode = path.stat().st_mode
        wanted = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() or mode & stat.S_IXUSR else 0)
        if mode & wanted != wanted:
            path.chmod(stat.S_IMODE(mode) | wanted)
