"""A refused value is named beside the reason, wherever it is told: in REST answers, on the command line, by jobs."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from backend.schemas.config import run_config_adapter
from backend.schemas.refusal import refusal, refusals


def first_refusal(**settings: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        run_config_adapter.validate_python({"kind": "train", **settings})
    return refusal(caught.value.errors()[0])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"num_steps": 0}, "must be at least 1, not 0"),
        (
            {"prompts": {"prompt_set": "abc"}},
            "must be a SHA-256, 64 characters of 0-9 and a-f, or empty, not 'abc'",
        ),
        ({"num_steps": None}, "must be a valid integer, not None"),
        ({"policy": {"device": "tpu"}}, "must be 'auto', 'cpu' or 'cuda', not 'tpu'"),
        ({"policy": 3}, "must be a valid dictionary or instance of PolicyConfig, not 3"),
    ],
)
def test_a_single_value_is_named(settings: dict[str, Any], words: str) -> None:
    assert first_refusal(**settings) == words


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"stepz": 3}, "there is no such field: leave it out, or look for its name"),
        ({"num_steps": [1, 2]}, "must be a valid integer"),
        ({"policy": {"source": "x" * 2000}}, "String should have at most 1000 characters"),
        (
            {"probe": {"num_prompts": 3}},
            "probe.num_prompts is 3: give at least 6, one for each task, or 0 for no probe",
        ),
    ],
)
def test_what_is_no_single_value_or_is_named_already_is_not_repeated(settings: dict[str, Any], words: str) -> None:
    assert first_refusal(**settings) == words


def test_all_refusals_stand_in_one_line_each_with_its_place() -> None:
    with pytest.raises(ValidationError) as caught:
        run_config_adapter.validate_python({"kind": "sample", "num_prompts": 0, "samples_per_prompt": 0})
    least = "must be at least 1, not 0"
    assert refusals(caught.value) == f"sample.num_prompts: {least}; sample.samples_per_prompt: {least}"
