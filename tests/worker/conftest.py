"""A tiny real Show-o on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worker.jobs.driving import save_tiny_policy


@pytest.fixture(scope="session")
def policy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy of the small world's words and picture size, with random weights."""
    return save_tiny_policy(tmp_path_factory.mktemp("policy") / "tiny")
