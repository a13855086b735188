"""What a run trains: LoRA, bfloat16 and gradient checkpointing through the whole job, resumed to the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from backend.artifacts import RunFolder, sha256_of
from backend.schemas.config import TrainConfig
from backend.schemas.event import Body, JobStarted, StepFinished
from backend.schemas.every_run import PolicyConfig
from backend.schemas.run import RunStatus
from tests.worker.jobs.driving import WALL_TIMES, drive, tiny_train_config
from worker.jobs import OutOfMemoryError, run_job, train
from worker.jobs.checkpoints import read_checkpoint
from worker.jobs.policies import load
from worker.maskgrpo.types import Rewards
from worker.showo.loading import load_policy

LORA = {
    "lora": {"is_enabled": True, "rank": 2, "alpha": 8, "export": "both"},
    "scaling": {"is_gradient_checkpointed": True},
    "optimizer": {"learning_rate": 1e-2, "ema_decay": 0.5, "num_micro_batches": 2},
    "grpo": {"transition": "candidate_2", "ratio": "mean", "kl_beta": 0.1},
    "num_steps": 3,
    "probe": {"num_prompts": 0},
}


def lora_config(policy_folder: Path, **changes: Any) -> TrainConfig:
    values = tiny_train_config(policy_folder, **LORA | changes).model_dump(mode="json")
    return TrainConfig.model_validate(values | {"policy": values["policy"] | {"precision": "bfloat16"}})


@pytest.fixture(scope="module")
def tuned(policy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, list[Body]]:
    """A run with an adapter, an average, bfloat16, checkpointed layers and the KL to the adapter switched off."""
    folder = RunFolder(tmp_path_factory.mktemp("tuned") / "run")
    bodies, outcome = drive(run_job(lora_config(policy_folder), folder))
    assert outcome is RunStatus.SUCCEEDED
    return folder, bodies


def metrics_of(bodies: list[Body]) -> dict[int, dict[str, float | None]]:
    return {
        body.step: {name: value for name, value in body.metrics.items() if not name.startswith(WALL_TIMES)}
        for body in bodies
        if isinstance(body, StepFinished)
    }


def weights(path: Path) -> dict[str, Tensor]:
    return dict(load_policy(path).showo.state_dict())


@pytest.mark.slow
def test_a_checkpoint_holds_the_adapter_and_nothing_else(tuned: tuple[RunFolder, list[Body]]) -> None:
    folder, _ = tuned
    state = read_checkpoint(folder, 2).state["trainer"]["optimizer"]
    assert state["parameters"]
    for part in ("parameters", "average", "moments"):
        assert all(".lora_" in name for name in state[part])
    kept = {path.name for path in folder.path("checkpoints/000002/policy").iterdir()}
    assert kept == {"adapter_config.json", "adapter_model.safetensors"}


@pytest.mark.slow
def test_the_export_is_the_base_with_the_averaged_adapter_merged_and_equals_the_adapter_alone(
    tuned: tuple[RunFolder, list[Body]], policy_folder: Path
) -> None:
    folder, _ = tuned
    other = RunFolder(folder.root.with_name("other"))
    base, exported = weights(policy_folder), weights(folder.path("exports/policy"))
    changed = {name for name in base if not torch.equal(base[name], exported[name])}
    assert {name.rsplit(".", 2)[1] for name in changed} == {"q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"}
    folder.path("exports/policy").rename(folder.path("exports/elsewhere"))
    try:
        alone = load(PolicyConfig(source="run:run", device="cpu"), other).showo.state_dict()
    finally:
        folder.path("exports/elsewhere").rename(folder.path("exports/policy"))
    assert all(torch.equal(alone[name], value) for name, value in exported.items())
    at_the_last_step = load(PolicyConfig(source="run:run@3", device="cpu"), other).showo.state_dict()
    assert all(torch.equal(at_the_last_step[name], value) for name, value in exported.items())


@pytest.mark.slow
def test_a_run_with_an_adapter_cut_after_a_step_resumes_to_the_same_bits(
    tuned: tuple[RunFolder, list[Body]], policy_folder: Path, folder: RunFolder
) -> None:
    whole, bodies = tuned
    config = lora_config(policy_folder)
    first, _ = drive(run_job(config, folder), stop_after=5)
    second, outcome = drive(run_job(config, folder))
    assert outcome is RunStatus.SUCCEEDED
    started = second[0]
    assert isinstance(started, JobStarted)
    assert (started.from_step, started.is_state_equal) == (2, True)
    assert metrics_of(first + second) == metrics_of(bodies)
    for name in ("exports/policy/pytorch_model.safetensors", "exports/adapter/adapter_model.safetensors"):
        assert sha256_of(folder.path(name)) == sha256_of(whole.path(name))
    assert read_checkpoint(folder, 3).written_hash == read_checkpoint(whole, 3).written_hash


@pytest.mark.slow
def test_the_kl_to_the_switched_off_adapter_is_that_to_a_copy_of_the_start(
    tuned: tuple[RunFolder, list[Body]],
) -> None:
    """Before the first update the two are the same policy; after it they are not."""
    first, *later = metrics_of(tuned[1]).values()
    assert first["kl"] == 0
    assert all(step["kl"] is not None and step["kl"] > 0 for step in later)


@pytest.mark.slow
def test_gradient_checkpointing_changes_no_bit_of_a_run(policy_folder: Path, tmp_path: Path) -> None:
    ends = []
    for is_checkpointed in (False, True):
        changes = {"scaling": {"is_gradient_checkpointed": is_checkpointed}, "num_steps": 2}
        config = tiny_train_config(policy_folder, **changes, probe={"num_prompts": 0})
        folder = RunFolder(tmp_path / str(is_checkpointed))
        drive(run_job(config, folder))
        ends.append(read_checkpoint(folder, 2).written_hash)
    assert ends[0] == ends[1]


def test_a_want_of_memory_is_told_with_what_to_lower(
    policy_folder: Path, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(pictures: Tensor, prompts: object) -> Rewards:
        return Rewards(torch.empty(2**50), {})

    monkeypatch.setattr(train, "build_reward", lambda rewards: greedy)
    config = tiny_train_config(policy_folder, probe={"num_prompts": 0})
    with pytest.raises(
        OutOfMemoryError, match=r"allocate .*In this order: raise optimizer.num_micro_batches from 1 to"
    ):
        drive(run_job(config, folder))
