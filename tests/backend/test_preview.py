"""What a configuration says before it runs: impossible values are refused, useless ones are named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from backend.runs.policies import SHIPPED_POLICY
from backend.runs.preview import NUM_SHIPPED_TOKENS, warnings_of
from backend.schemas.alarms import AlarmConfig
from backend.schemas.config import run_config_adapter
from backend.schemas.event import StepFinished
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.prompts import NUM_HELDOUT_CAPTIONS, TASK_NAMES
from worker.shapes.captions import TASKS, all_captions

TRAIN_WITH_CEILING = '{"config": {"kind": "train", "alarms": {"gradient_norm_ceiling": 1.5}}}'


def warned(**config: Any) -> list[str]:
    return list(warnings_of(run_config_adapter.validate_python(config)))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"kind": "train", "grpo": {"clip_low": 0.3}}, "clip_low and clip_high have no effect"),
        ({"kind": "train", "grpo": {"num_selected_steps": 4}}, "grpo.num_selected_steps has no effect"),
        (
            {"kind": "train", "grpo": {"filter": {"is_enabled": False, "percentile": 20}}},
            "grpo.filter.percentile has no effect",
        ),
        (
            {"kind": "train", "grpo": {"advantage": "mean_only", "advantage_epsilon": 0.1}},
            "advantage_epsilon has no effect",
        ),
        ({"kind": "train", "grpo": {"forward_process": {"num_remaskings": 9}}}, "grpo.forward_process has no effect"),
        (
            {"kind": "train", "grpo": {"objective": "forward_process", "transition": "candidate_2"}},
            "grpo.transition has no effect while grpo.objective is forward_process",
        ),
        (
            {"kind": "train", "grpo": {"objective": "forward_process", "step_selection": "random"}},
            "grpo.step_selection has no effect while grpo.objective is forward_process",
        ),
        ({"kind": "train", "grpo": {"objective": "forward_process", "num_epochs": 2}}, "Set grpo.ratio to token"),
        ({"kind": "train", "grpo": {"window": {"shift_interval": 25}}}, "grpo.window has no effect while"),
        (
            {"kind": "train", "grpo": {"step_selection": "window", "window": {"stride": 2}}},
            "window.stride has no effect",
        ),
        (
            {"kind": "train", "grpo": {"transition": "candidate_2", "candidate_1": {"mass_floor": 0.1}}},
            "grpo.candidate_1 has no effect while grpo.transition is candidate_2",
        ),
        ({"kind": "train", "grpo": {"candidate_1": {"normalisation": "separate"}}}, "normalisation has no effect"),
        ({"kind": "train", "grpo": {"selection_term": {"form": "order"}}}, "grpo.selection_term has no effect while"),
        (
            {"kind": "train", "grpo": {"transition": "candidate_1_selection", "selection_term": {"form": "order"}}},
            "grpo.selection_term.form has no effect with candidate_1_selection",
        ),
        (
            {"kind": "train", "grpo": {"transition": "candidate_2_selection"}, "sampling": {"temperature": 0}},
            "has no effect at sampling.temperature 0: it is candidate_2 then",
        ),
        ({"kind": "train", "optimizer": {"decay_steps": 9}}, "optimizer.decay_steps and final_fraction have no effect"),
        ({"kind": "train", "optimizer": {"num_warmup_steps": 60}}, "optimizer.num_warmup_steps is as long as the run"),
        ({"kind": "evaluate", "sampling": {"num_unmasking_steps": 1}}, "sampling.temperature has no effect"),
        ({"kind": "train", "prompts": {"texts": ["a"], "tasks": ["colors"]}}, "prompts.tasks has no effect"),
        ({"kind": "sample", "prompts": {"texts": ["a"]}, "num_prompts": 9}, "num_prompts has no effect"),
        ({"kind": "pretrain", "policy": {"source": "run:1"}}, "policy.source has no effect"),
        ({"kind": "pretrain", "policy": {"device": "cuda"}}, "policy.device has no effect"),
        ({"kind": "train", "probe": {"num_prompts": 541}}, "probe.num_prompts is 541, but the small world holds out"),
        ({"kind": "evaluate", "num_prompts": 541}, "num_prompts is 541, but the small world holds out 540 captions"),
        (
            {"kind": "sample", "num_prompts": 541, "prompts": {"split": "heldout"}},
            "num_prompts is 541, but the small world holds out 540",
        ),
        (
            {"kind": "train", "evaluation_sampling": {"num_unmasking_steps": 65}},
            "evaluation_sampling.num_unmasking_steps is 65, but the shipped policy's pictures have 64 tokens",
        ),
    ],
)
def test_a_preview_names_what_does_nothing_and_what_would_fail(config: dict[str, Any], words: str) -> None:
    assert sum(words in warning for warning in warned(**config)) == 1


@pytest.mark.parametrize(
    "config",
    [
        {"kind": "train", "grpo": {"transition": "candidate_2"}},
        {"kind": "pretrain", "policy": {"device": "cpu"}, "evaluation_sampling": {"num_unmasking_steps": 65}},
        {"kind": "sample", "num_prompts": 541},
        {"kind": "sample", "policy": {"source": "/a/folder"}, "sampling": {"num_unmasking_steps": 65}},
        {"kind": "evaluate", "num_prompts": 540},
    ],
)
def test_a_sound_configuration_is_not_warned_of(config: dict[str, Any]) -> None:
    assert warned(**config) == []


def test_the_dictionary_knows_the_small_world_as_the_worker_does() -> None:
    assert TASK_NAMES == TASKS
    assert len(all_captions("heldout")) == NUM_HELDOUT_CAPTIONS
    assert json.loads((SHIPPED_POLICY / "config.json").read_text())["num_vq_tokens"] == NUM_SHIPPED_TOKENS


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({"kind": "train", "prompts": {"tasks": ["juggling"]}}, "/config/prompts/tasks"),
        ({"kind": "sample", "prompts": {"tasks": ["colors", "color"]}}, "/config/prompts/tasks"),
        ({"kind": "train", "probe": {"num_prompts": 5}}, "/config/probe/num_prompts"),
        ({"kind": "train", "probe": {"num_prompts": 1}}, "/config/probe/num_prompts"),
    ],
)
def test_what_a_job_would_refuse_is_refused_before_it_is_queued(
    api: TestClient, config: dict[str, Any], pointer: str
) -> None:
    response = api.post("/api/v1/runs", json={"config": config})
    assert response.status_code == 422
    assert [each["pointer"] for each in response.json()["errors"]] == [pointer]
    assert api.get("/api/v1/runs").json()["data"] == []


@pytest.mark.parametrize("num_prompts", [0, 6])
def test_a_probe_of_none_or_of_one_caption_a_task_is_taken(num_prompts: int) -> None:
    config = run_config_adapter.validate_python({"kind": "train", "probe": {"num_prompts": num_prompts}})
    assert config.model_dump()["probe"]["num_prompts"] == num_prompts


@pytest.mark.parametrize("value", ["Infinity", "NaN", "-Infinity"])
def test_a_setting_that_is_no_finite_number_is_refused(api: TestClient, value: str) -> None:
    body = TRAIN_WITH_CEILING.replace("1.5", value)
    response = api.post("/api/v1/runs", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/config/alarms/gradient_norm_ceiling"
    with pytest.raises(ValidationError, match="finite"):
        AlarmConfig(gradient_norm_ceiling=float("inf"))


def test_a_number_of_an_event_may_still_be_none_at_all() -> None:
    body = StepFinished(
        step=1, num_steps=2, metrics={"loss": float("nan"), "norm": float("inf"), "kl": None}, seconds=1
    )
    assert json.loads(body.model_dump_json())["metrics"] == {"loss": None, "norm": None, "kl": None}


def test_settings_of_an_evaluation_that_can_do_nothing_are_said() -> None:
    config = EvaluateConfig.model_validate(
        {
            "prompts": {"texts": ["a cat"], "tasks": ["counting"]},
            "rewards": [{"name": "jpeg_size", "weight": 2}],
            "geneval": {},
        }
    )
    told = list(warnings_of(config))
    assert [sentence.partition(" ")[0] for sentence in told] == ["prompts.tasks", "weight", "geneval"]
    assert list(warnings_of(EvaluateConfig())) == []
