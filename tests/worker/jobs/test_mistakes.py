"""A person reads one sentence, with the cure."""

from __future__ import annotations

import errno

import pytest
from pydantic import ValidationError

from backend.schemas.config import run_config_adapter
from worker.jobs.mistakes import last_words


def test_a_full_disk_is_named_with_the_file_and_the_cure() -> None:
    words = last_words(OSError(errno.ENOSPC, "No space left on device", "/data/runs/x/samples/1.png"))
    assert words.startswith("the disk is full while writing /data/runs/x/samples/1.png: free some space")
    assert last_words(OSError(errno.EDQUOT, "Disk quota exceeded")).startswith("the disk is full: free")


def test_a_missing_file_is_named() -> None:
    words = last_words(FileNotFoundError(errno.ENOENT, "No such file or directory", "start/policy/config.json"))
    assert words.startswith("start/policy/config.json is missing")


def test_a_broken_configuration_is_named_by_its_first_field() -> None:
    with pytest.raises(ValidationError) as caught:
        run_config_adapter.validate_python({"kind": "train", "rollout": {"group_size": 1}, "num_steps": 0})
    words = last_words(caught.value)
    assert words.count("\n") == 0
    assert words == ("the run's configuration is broken at train.num_steps: must be at least 1, not 0")


def test_our_own_sentences_pass_as_they_are() -> None:
    assert last_words(ValueError("num_prompts is 3: give at least 6")) == "num_prompts is 3: give at least 6"
