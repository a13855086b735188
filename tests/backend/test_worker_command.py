"""A worker that the studio starts says nothing of root: it takes no message in which code could travel."""

from __future__ import annotations

import subprocess
import sys

from backend.embedded.studio import INTERACTIVE_COMMAND, WORKER_COMMAND
from backend.queue import celery_app

WARN = "from celery.platforms import check_privileges; import os; os.getuid = os.geteuid = lambda: 0; "


def test_the_warning_of_root_is_silenced_where_messages_are_json() -> None:
    assert list(celery_app.conf.accept_content) == ["json"]
    warned = WARN + "check_privileges(['json'])"
    alone = subprocess.run([sys.executable, "-c", warned], capture_output=True, text=True, check=True)
    assert "superuser" in alone.stderr
    for command in (WORKER_COMMAND, INTERACTIVE_COMMAND):
        options = command[1 : command.index("-m")]
        told = subprocess.run([sys.executable, *options, "-c", warned], capture_output=True, text=True, check=True)
        assert "superuser" not in told.stderr
