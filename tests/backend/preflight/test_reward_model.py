"""The preflight of a reward model: sizes counted from a CLIP's configuration, against the real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.errors import NotFoundError
from backend.preflight.reward_model import towers_of

PREFLIGHT = "/api/v1/preflight"
# Its biases, norms and projections, which the count leaves out, are a few per cent.
SHIPPED_PARAMETERS = 608_449
GIB = 1 << 30


def ask(api: TestClient, **config: Any) -> dict[str, Any]:
    answer = api.post(PREFLIGHT, json={"config": {"kind": "reward_model", **config}, "memory_gib": 8})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_shipped_clip_is_counted_as_large_as_it_is(tmp_path: Path) -> None:
    pictures, prompts = towers_of("shipped", tmp_path)
    assert pictures.num_parameters + prompts.num_parameters == pytest.approx(SHIPPED_PARAMETERS, rel=0.05)
    assert (pictures.num_tokens, prompts.num_tokens) == (65, 16)


def test_it_fits_a_laptop_and_parts_make_the_peak(api: TestClient) -> None:
    found = ask(api)
    assert found["fits"] is True
    assert found["peak_bytes"] == sum(part["num_bytes"] for part in found["parts"]) < 2 * GIB
    assert found["seconds_in_all"] == pytest.approx(300 * found["seconds_a_step"])


def test_micro_batches_lower_the_peak_as_the_note_says(api: TestClient) -> None:
    whole, parts = ask(api), ask(api, tuning={"num_micro_batches": 4})
    activations = [next(p["num_bytes"] for p in each["parts"] if p["name"] == "activations") for each in (whole, parts)]
    assert activations[0] == 4 * activations[1]
    assert any("raise tuning.num_micro_batches" in note for note in whole["notes"])


def test_a_base_whose_sizes_cannot_be_told_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="preflight knows shipped, run:<id>, and folders"):
        towers_of("laion/CLIP-ViT-H-14-laion2B-s32B-b79K", tmp_path)
    # A convolutional tower has a list of layers.
    config = {"model_cfg": {"vision_cfg": {"layers": [3, 4], "width": 64, "image_size": 64, "patch_size": None}}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(NotFoundError, match="sizes cannot be read"):
        towers_of(str(tmp_path), tmp_path)
