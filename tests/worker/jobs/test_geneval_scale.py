"""GenEval's file at its own size: 553 lines of six tasks are read whole, and a few of each task go to the figures."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from backend.artifacts import RunFolder
from backend.errors import MalformedError
from backend.prompt_files import content_of, sets_beside
from backend.prompt_sets.formats import read_prompts
from backend.schemas.event import ScoreMeasured
from backend.schemas.geneval_names import CLASSES, COLOURS
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.prompt_set import PromptFormat
from tests.worker.benchmarks.geneval.tiny_detector import write_detector
from tests.worker.jobs.driving import drive
from worker.jobs import run_job

NUM_LINES = {"single_object": 80, "two_object": 99, "counting": 80, "colors": 94, "position": 100, "color_attr": 100}


def line_of(task: str, number: int) -> dict[str, Any]:
    """A line of the benchmark's format, synthetic: its keys and shapes, not its prompts."""
    one, two = CLASSES[number % 80], CLASSES[(number + 7) % 80]
    first: dict[str, Any] = {"class": one, "count": 1}
    second: dict[str, Any] = {"class": two, "count": 1}
    colour, other = COLOURS[number % 10], COLOURS[(number + 3) % 10]
    include = {
        "single_object": [first],
        "two_object": [first, second],
        "counting": [first | {"count": 3}],
        "colors": [first | {"color": colour}],
        "position": [first, second | {"position": ["right of", 0]}],
        "color_attr": [first | {"color": colour}, second | {"color": other}],
    }[task]
    excluded = {"exclude": [{"class": one, "count": 4}]} if task == "counting" else {}
    return {"tag": task, "include": include, **excluded, "prompt": f"{task} {number}: {one}, {two}"}


def file_of(numbers: dict[str, int]) -> bytes:
    lines = (line_of(task, number) for task, count in numbers.items() for number in range(count))
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def test_the_whole_file_is_read_with_every_line_and_its_task() -> None:
    prompts = read_prompts(file_of(NUM_LINES), PromptFormat.JSONL)
    assert len(prompts) == 553
    assert Counter(prompt.task for prompt in prompts) == NUM_LINES
    assert prompts[552].geneval == line_of("color_attr", 99)


def test_a_wrong_line_is_told_with_its_number_and_nothing_is_taken() -> None:
    lines = file_of(NUM_LINES).splitlines(keepends=True)
    lines[300] = b'{"tag": "colors", "include": [}\n'
    with pytest.raises(MalformedError, match="row 301 is no JSON"):
        read_prompts(b"".join(lines), PromptFormat.JSONL)
    lines[300] = json.dumps(line_of("colors", 1) | {"prompt": " "}).encode() + b"\n"
    with pytest.raises(MalformedError, match=r"row 301, text: .*nothing was stored"):
        read_prompts(b"".join(lines), PromptFormat.JSONL)


def test_all_six_tasks_go_from_the_file_to_the_figures(policy_folder: Path, folder: RunFolder, tmp_path: Path) -> None:
    content = content_of(read_prompts(file_of(dict.fromkeys(NUM_LINES, 2)), PromptFormat.JSONL))
    sha256 = hashlib.sha256(content).hexdigest()
    sets = sets_beside(folder.root.parent)
    sets.mkdir()
    (sets / f"{sha256}.jsonl").write_bytes(content)
    detector = write_detector(tmp_path / "detector", 80)
    # Random weights are sure of nothing, so that every detection is wanted.
    geneval = {"detector": str(detector), "clip": "shipped", "threshold": 0, "counting_threshold": 0}
    values = {
        "policy": {"source": str(policy_folder), "num_threads": 1, "device": "cpu"},
        "prompts": {"prompt_set": sha256},
        "samples_per_prompt": 1,
        "num_replayed": 0,
        "sampling": {"num_unmasking_steps": 2},
        "geneval": geneval,
    }
    bodies, _ = drive(run_job(EvaluateConfig.model_validate(values), folder))
    (found,) = (body for body in bodies if isinstance(body, ScoreMeasured))
    assert (found.benchmark, found.num_prompts) == ("geneval", 12)
    assert found.values.keys() == {*NUM_LINES, "overall"}
    by_task = [found.values[task] or 0.0 for task in NUM_LINES]
    assert found.values["overall"] == pytest.approx(sum(by_task) / 6)
    assert found.intervals.keys() == found.values.keys()
