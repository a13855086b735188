"""A tiny real Show-o on disk, and an empty run's folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backend.artifacts import RunFolder
from worker.shapes.captions import vocabulary
from worker.showo.loading import save_policy
from worker.showo.tiny import tiny_policy


@pytest.fixture(scope="session")
def policy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy of the small world's words and picture size, with random weights."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("policy") / "tiny"
    save_policy(tiny_policy(grid_size=8, words=vocabulary()), folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run's empty folder."""
    return RunFolder(tmp_path / "runs" / "run-1")
