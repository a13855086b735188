"""A run's image tokenizer is found from every policy source, also where the policy itself is gone; misfits are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.artifacts import RunFolder
from backend.schemas.config import PretrainConfig, TrainConfig
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from tests.worker.jobs.driving import save_tiny_policy
from worker.jobs.frames import find_tokenizer, write_frames
from worker.showo.loading import SHIPPED_WEIGHTS


@pytest.fixture
def other(folder: RunFolder) -> RunFolder:
    """Another run, beside this one."""
    return RunFolder(folder.root.parent / "other")


def put_policy(folder: RunFolder, relative: str) -> Path:
    """A policy's folder, as far as a tokenizer is looked for in it."""
    tokenizer = folder.path(relative) / "vq"
    tokenizer.mkdir(parents=True)
    return tokenizer


def sampled(source: str) -> SampleConfig:
    return SampleConfig.model_validate({"policy": {"source": source}})


def test_a_training_run_keeps_the_tokenizer_that_it_started_with(folder: RunFolder) -> None:
    start = put_policy(folder, "start/policy")
    put_policy(folder, "checkpoints/000010/policy")
    assert find_tokenizer(TrainConfig(), folder, "policy") == start


def test_a_pretraining_run_has_it_in_its_newest_checkpoint_with_a_policy(folder: RunFolder) -> None:
    put_policy(folder, "checkpoints/000010/policy")
    newest = put_policy(folder, "checkpoints/000020/policy")
    folder.path("checkpoints/000030").mkdir()
    assert find_tokenizer(PretrainConfig(), folder, "policy") == newest


def test_the_shipped_policy_and_a_folder_have_their_own(folder: RunFolder, policy_folder: Path) -> None:
    assert find_tokenizer(sampled("shipped"), folder, "policy") == SHIPPED_WEIGHTS / "vq"
    assert find_tokenizer(sampled(str(policy_folder)), folder, "policy") == policy_folder / "vq"


@pytest.mark.parametrize("source", ["run:other", "run:other@10"])
def test_any_policy_of_the_run_that_is_named_serves(folder: RunFolder, other: RunFolder, source: str) -> None:
    start = put_policy(other, "start/policy")
    assert find_tokenizer(sampled(source), folder, "policy") == start


def test_the_two_policies_of_an_evaluation_have_one_each(folder: RunFolder, policy_folder: Path) -> None:
    config = EvaluateConfig.model_validate({"policy": {"source": str(policy_folder)}, "base": {"source": "shipped"}})
    assert find_tokenizer(config, folder, "base") == SHIPPED_WEIGHTS / "vq"
    assert find_tokenizer(config, folder, "policy") == policy_folder / "vq"


def test_a_tokenizer_that_is_gone_is_named(folder: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no image tokenizer at .*gone/vq.*put it back"):
        find_tokenizer(sampled(str(tmp_path / "gone")), folder, "policy")
    with pytest.raises(ValueError, match="there is no run nobody at"):
        find_tokenizer(sampled("run:nobody"), folder, "policy")


def test_codes_that_the_tokenizer_does_not_have_are_refused(folder: RunFolder, tmp_path: Path) -> None:
    policy = save_tiny_policy(tmp_path / "tiny")
    path = folder.path("trajectories/000001/000.npz")
    path.parent.mkdir(parents=True)
    np.savez(path, drawn=np.full((1, 1, 64), 9999), unmasked_at=np.zeros((1, 64)), grid=np.array([8, 8]))
    with pytest.raises(ValueError, match=r"holds the code 9999, but the image tokenizer .* has \d+ codes"):
        write_frames(folder, policy / "vq", "samples/000001/000-00.png", "trajectories/000001/000.npz", 0, print)
