"""Prompts that the policy cannot read are warned of, not refused; a policy that reads everything is left alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from backend.runs.policies import SHIPPED_POLICY
from backend.runs.vocabulary import unread_words
from backend.schemas.config import run_config_adapter
from worker.shapes.captions import all_captions, vocabulary

RUNS = "/api/v1/runs"


def sample(*texts: str, source: str = "shipped") -> dict[str, Any]:
    return {"kind": "sample", "policy": {"source": source}, "prompts": {"texts": texts}}


def warned(config: dict[str, Any], runs_dir: Path) -> str | None:
    unread = unread_words(run_config_adapter.validate_python(config), runs_dir)
    return None if unread is None else " ".join(unread)


def test_each_unknown_word_is_named_once_with_the_words_that_are_known(tmp_path: Path) -> None:
    told = warned(sample("a photo of a Cat on a sofa", "a cat and a star"), tmp_path)
    assert told is not None
    assert told.startswith("prompts.texts has words that the policy has never read: 'cat', 'on', 'sofa'; each stands")
    assert f"Take words that it knows: {', '.join(vocabulary())}; or" in told


def test_captions_and_every_known_word_are_not_warned_of(tmp_path: Path) -> None:
    texts = [caption.text for caption in all_captions("heldout")]
    assert warned(sample(*texts, "purple purple A PHOTO OF above"), tmp_path) is None
    assert warned({"kind": "evaluate"}, tmp_path) is None
    assert warned({"kind": "train"}, tmp_path) is None


def test_own_prompts_of_training_are_warned_of_too(tmp_path: Path) -> None:
    assert "'dog'" in str(warned({"kind": "train", "prompts": {"texts": ["a dog"]}}, tmp_path))


@pytest.mark.parametrize(
    ("source", "place"), [("run:01a", "exports/policy"), ("run:01a@20", "checkpoints/000020/policy")]
)
def test_the_words_of_a_policy_that_a_run_made_are_those_of_its_own_tokenizer(
    source: str, place: str, tmp_path: Path
) -> None:
    assert warned(sample("a cat", source=source), tmp_path) is None, "what is not there is the job's to refuse"
    folder = tmp_path / "01a" / place
    (folder / "llm").mkdir(parents=True)
    shutil.copy(SHIPPED_POLICY / "config.json", folder)
    content = json.loads((SHIPPED_POLICY / "llm" / "tokenizer.json").read_text())
    content["model"]["vocab"]["cat"] = len(content["model"]["vocab"])
    (folder / "llm" / "tokenizer.json").write_text(json.dumps(content))
    assert warned(sample("a cat", source=source), tmp_path) is None
    assert "'dog'" in str(warned(sample("a cat and a dog", source=source), tmp_path))


def test_words_are_found_where_the_policy_keeps_the_hub_name_of_its_language_model(tmp_path: Path) -> None:
    (tmp_path / "llm").mkdir()
    own = json.loads((SHIPPED_POLICY / "config.json").read_text()) | {"llm_model_path": "microsoft/phi-1_5"}
    (tmp_path / "config.json").write_text(json.dumps(own))
    shutil.copy(SHIPPED_POLICY / "llm" / "tokenizer.json", tmp_path / "llm")
    assert "'dog'" in str(warned(sample("a dog", source=str(tmp_path)), tmp_path))


def test_an_open_vocabulary_reads_every_text(tmp_path: Path) -> None:
    policy = tmp_path / "showo"
    (policy / "llm").mkdir(parents=True)
    (policy / "config.json").write_text('{"llm_model_path": "llm"}')
    vocabulary_of_bytes = {chr(place): place - 33 for place in range(33, 127)}
    model = {"type": "BPE", "vocab": vocabulary_of_bytes, "merges": []}
    (policy / "llm" / "tokenizer.json").write_text(
        json.dumps({"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"}, "model": model})
    )
    assert warned(sample("a cat on a sofa, 3 of them", source=str(policy)), tmp_path) is None
    (policy / "llm" / "tokenizer.json").write_text("{")
    assert warned(sample("a cat", source=str(policy)), tmp_path) is None


def test_the_preview_warns_and_the_created_run_tells_it_in_its_second_event(api: TestClient) -> None:
    body = {"config": sample("a photo of a cat")}
    (warning,) = api.post(f"{RUNS}/preview", json=body).json()["warnings"]
    assert "'cat'" in warning
    answer = api.post(RUNS, json=body)
    assert answer.status_code == 201
    run = answer.json()
    events = api.get(f"{RUNS}/{run['id']}/events").json()["data"]
    assert run["num_events"] == len(events) == 2
    alarm = events[1]["body"]
    assert (alarm["type"], alarm["code"], alarm["severity"], alarm["step"]) == ("alarm", "unread_words", "warning", 0)
    assert f"{alarm['message']} {alarm['cure']}" == warning
    clone = api.post(f"{RUNS}/{run['id']}/clone").json()
    assert clone["num_events"] == 2
    assert api.post(RUNS, json={"config": sample("a circle")}).json()["num_events"] == 1
    assert UUID(clone["parent_run_id"]) == UUID(run["id"])


def test_the_web_process_reads_a_vocabulary_without_torch() -> None:
    script = """
import sys
from pathlib import Path
from backend.runs.vocabulary import unread_words
from backend.schemas.picture_runs import SampleConfig
assert unread_words(SampleConfig(prompts={"texts": ["a cat"]}), Path("."))
assert not {"torch", "transformers", "gradio"} & set(sys.modules), "too much was imported"
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
