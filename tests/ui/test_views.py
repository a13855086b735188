"""What pages say about configurations and runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import yaml
from pydantic import BaseModel

from backend.schemas.config import PretrainConfig, RunConfig, TrainConfig, run_config_adapter
from backend.schemas.every_run import PolicyConfig
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from backend.schemas.run import RequestFlags, Run, RunStatus
from ui.views import arithmetic, changes, differences, duration, estimate_seconds, plain, yaml_of

START = datetime(2026, 1, 1, tzinfo=UTC)


def train(**changed: Any) -> TrainConfig:
    return TrainConfig.model_validate(changed)


def finished(config: RunConfig, *, step: int, seconds: float, attempt: int = 1) -> Run:
    return Run(
        id=UUID(int=1),
        kind=config.kind,
        name="",
        status=RunStatus.SUCCEEDED,
        flags=RequestFlags(),
        config=config,
        recipe=None,
        tags=(),
        parent_run_id=None,
        attempt=attempt,
        step=step,
        num_steps=step,
        num_events=1,
        error=None,
        worker=None,
        created_at=START,
        started_at=START,
        finished_at=START + timedelta(seconds=seconds),
        lease_expires_at=None,
    )


def test_the_yaml_is_the_configuration_and_nothing_else() -> None:
    config = train(num_steps=7, name="größer")
    assert run_config_adapter.validate_python(yaml.safe_load(yaml_of(config))) == config
    assert "größer" in yaml_of(config)


def test_a_training_run_is_counted_out() -> None:
    config = train(
        num_steps=100,
        rollout={"num_prompts": 12, "group_size": 10},
        grpo={"step_selection": "random", "num_selected_steps": 4, "num_epochs": 2},
        sampling={"num_unmasking_steps": 8},
        probe={"num_prompts": 60, "every_num_steps": 20},
    )
    facts = dict(arithmetic(config))
    assert facts["Pictures a step"] == "120 = 12 prompts × 10 a group"
    assert facts["Pictures in all"] == "12\u202f000"
    assert facts["Unmasking steps in the loss"] == "4 of 8"
    assert facts["Optimizer steps"] == "200"
    assert facts["Held-out probe"] == "60 captions every 20 steps"


def test_a_run_without_a_probe_promises_none() -> None:
    assert "Held-out probe" not in dict(arithmetic(train(probe={"num_prompts": 0})))


@pytest.mark.parametrize(
    ("config", "what", "count"),
    [
        (SampleConfig(), "Pictures", "16 = 4 prompts × 4 seeds"),
        (SampleConfig.model_validate({"prompts": {"texts": ["a", "b"]}}), "Pictures", "8 = 2 prompts × 4 seeds"),
        (EvaluateConfig(), "Policies", "1"),
        (EvaluateConfig(base=PolicyConfig()), "Policies", "2, on the same captions and seeds"),
        (PretrainConfig(), "Tokenizer pictures", "48\u202f000 = 3000 steps × 16 a batch"),
    ],
)
def test_the_other_kinds_are_counted_out(config: BaseModel, what: str, count: str) -> None:
    assert dict(arithmetic(config))[what] == count


def test_the_time_is_that_of_the_newest_run_of_the_same_size() -> None:
    config = train(num_steps=100)
    other = finished(train(rollout={"group_size": 3}), step=10, seconds=1)
    same = finished(train(num_steps=50, name="x", seed=3), step=50, seconds=100)
    assert estimate_seconds(config, [other, same]) == 200


def test_the_time_is_unknown_without_such_a_run() -> None:
    config = train()
    resumed = finished(config, step=60, seconds=60, attempt=2)
    assert estimate_seconds(config, [finished(config, step=3, seconds=30)]) is None, "most of it was the start"
    assert estimate_seconds(config, [resumed]) is None, "the time of a resumed run holds the pause too"
    assert estimate_seconds(config, [finished(SampleConfig(), step=1, seconds=1)]) is None
    assert estimate_seconds(SampleConfig(), [finished(config, step=60, seconds=60)]) is None


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (59, "59 s"), (300, "5 min"), (9000, "2.5 h")])
def test_durations_are_told_as_people_do(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_changes_tell_the_path_and_both_values() -> None:
    before = train()
    after = train(rewards=[{"name": "dense", "weight": 0.5}], optimizer={"decay_steps": 9})
    assert changes(before, after) == [
        ("rewards", "strict", "dense 0.5"),
        ("optimizer.decay_steps", "empty", "9"),
    ]
    assert changes(before, before) == []


def test_values_are_told_shortly() -> None:
    assert plain([]) == plain(None) == plain("") == "empty"
    assert plain(3e-6) == "3e-06"
    assert plain(["a", "b"]) == "a, b"


def test_differences_name_the_path_and_both_values() -> None:
    before, after = {"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 1, "c": 3}, "d": [1], "e": 5}
    assert list(differences(before, after)) == [("a.c", 2, 3), ("e", None, 5)]


def test_a_prompt_set_is_not_counted_as_if_its_prompts_were_drawn() -> None:
    config = SampleConfig.model_validate({"kind": "sample", "prompts": {"prompt_set": "0" * 64}})
    assert arithmetic(config) == [("Pictures", "the set's prompts × 4 seeds")]
