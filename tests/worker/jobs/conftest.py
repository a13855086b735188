"""A run's empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.artifacts import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run's empty folder."""
    return RunFolder(tmp_path / "runs" / "run-1")
