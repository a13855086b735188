"""Where a job that trains nothing stands: one small file, written after each batch is recorded."""

from __future__ import annotations

import json
import os
from typing import Any

from backend.artifacts import RunFolder

_PROGRESS = "progress.json"


def write_progress(folder: RunFolder, step: int, content: dict[str, Any]) -> None:
    """Notes that the batches up to `step` are done, and what they gave."""
    os.sync()  # The pictures of the batches that are done now.
    folder.write(_PROGRESS, json.dumps({"step": step, "content": content}).encode())


def read_progress(folder: RunFolder) -> tuple[int, dict[str, Any] | None]:
    """The last batch that was done and what was noted; 0 and None at the start or where the file is damaged."""
    try:
        noted = json.loads(folder.read(_PROGRESS))
        return int(noted["step"]), dict(noted["content"])
    except FileNotFoundError:
        return 0, None
    except (ValueError, KeyError, TypeError):
        return 0, None
