"""`unmask evaluate`: its options become fields of the run, refusals name value and cure, and figures are told whole."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.prompt_files import HELDOUT, SHIPPED_SETS, prompt_of, shipped_sets
from backend.runs import repository as runs
from backend.schemas.event import JobStarted, ScoreMeasured
from backend.schemas.prompts import NUM_HELDOUT_CAPTIONS, TASK_NAMES
from backend.schemas.run import RunStatus
from tests.backend.shell import Shell
from worker import recorder

GENEVAL_LINE = {"tag": "counting", "include": [{"class": "bus", "count": 2}], "prompt": "a photo of two buses"}


def measured(policy: str, values: dict[str, Any], **intervals: tuple[float, float]) -> ScoreMeasured:
    return ScoreMeasured(
        step=1,
        policy=policy,
        values=values,
        intervals=intervals,
        num_prompts=6,
        samples_per_prompt=2,
        notes={"fid": "features: CLIP [shipped]"} if "fid" in values else {},
    )


SCORES = (
    measured("base", {"overall": 0.5, "fid": 12.0, "counting_strict": 0.1}, overall=(0.4, 0.6)),
    measured("policy", {"overall": 0.75, "fid": 9.0, "kid": None}, overall=(0.7, 0.8)),
    measured("step-20", {"overall": 0.625}, overall=(0.6, 0.65)),
    measured(
        "difference",
        {"overall": 0.25, "num_wins": 8, "num_losses": 2, "num_ties": 2, "win_rate": 0.8},
        overall=(0.125, 0.375),
        win_rate=(0.49, 0.94),
    ),
    measured("difference:step-20", {"overall": 0.125, "num_wins": 0, "num_losses": 0, "num_ties": 12}),
)


@pytest.fixture
def measuring(sessions: sessionmaker[Session], broker: Callable[[], list[str]]) -> Iterator[None]:
    """A worker that performs every run at once: it tells these figures, whatever was asked for."""
    is_over = threading.Event()

    def perform(run_id: UUID) -> None:
        with transaction(sessions) as session:
            row = runs.claim(session, run_id=run_id, worker="w", lease_seconds=60)
            assert row is not None
        seq = row.num_events
        for body in (JobStarted(from_step=0, num_steps=1), *SCORES, SCORES[0]):
            with transaction(sessions) as session:
                seq = recorder.record(session, run_id, row.attempt, body, seq).seq
        with transaction(sessions) as session:
            runs.finish(session, run_id=run_id, attempt=row.attempt, status=RunStatus.SUCCEEDED, error=None)

    def work() -> None:
        while not is_over.is_set():
            for run_id in broker():
                perform(UUID(run_id))
            time.sleep(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    is_over.set()
    thread.join()


def config_of(shell: Shell, *words: str) -> dict[str, Any]:
    """The configuration of the run that a command made and followed."""
    assert shell("evaluate", *words, "--json") == 0, shell.err
    run_id = json.loads(shell.out)["run_id"]
    assert shell("run", "show", run_id, "--json") == 0
    found: dict[str, Any] = json.loads(shell.out)["config"]
    return found


@pytest.mark.usefixtures("studio", "measuring")
def test_every_option_is_a_field_of_the_run(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "detector").mkdir()
    # A run of `python -m worker` beside the studio's.
    (tmp_path / "runs" / "a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    given = ["--base", "shipped", "--policy", "first=shipped", "--policy", "step-20=shipped", "--prompt", "a star"]
    given += ["--prompt", "a circle", "--num", "3", "--reward", "jpeg_size", "--reward", "clip=shipped", "--diversity"]
    given += ["--reference", "real", "--inception", "inception.pth", "--detector", "detector", "--colours", "shipped"]
    config = config_of(shell, "shipped", *given, "--set", "sampling.temperature=0.5", "--set", "geneval.threshold=0.2")
    labelled = [(each["label"], each["source"]) for each in config["policies"]]
    assert labelled == [("first", "shipped"), ("step-20", "shipped")]
    assert config["prompts"]["texts"] == ["a star", "a circle"]
    assert config["samples_per_prompt"] == 3
    assert [(each["name"], each["source"]) for each in config["rewards"]] == [("jpeg_size", ""), ("clip", "shipped")]
    assert config["diversity"]["clip"] == "shipped"
    # The worker stands in another folder than the person.
    assert config["reference"]["folder"] == str(tmp_path / "real")
    assert config["reference"]["inception"] == str(tmp_path / "inception.pth")
    geneval = config["geneval"]
    assert (geneval["detector"], geneval["clip"]) == (str(tmp_path / "detector"), "shipped")
    assert (config["sampling"]["temperature"], geneval["threshold"]) == (0.5, 0.2)


@pytest.mark.usefixtures("studio", "measuring")
def test_without_options_the_held_out_captions_are_shown_and_of_a_task_all(shell: Shell) -> None:
    config = config_of(shell, "shipped")
    assert (config["num_prompts"], config["prompts"]["split"]) == (500, "heldout")
    assert (config["geneval"], config["diversity"], config["reference"], config["rewards"]) == (None, None, None, [])
    config = config_of(shell, "shipped", "--task", "counting", "--task", "colors", "--geneval")
    assert (config["num_prompts"], config["prompts"]["tasks"]) == (180, ["counting", "colors"])
    assert config["geneval"]["detector"] == "facebook/mask2former-swin-small-coco-instance"
    held_out = [prompt_of(line) for line in (SHIPPED_SETS / f"{HELDOUT}.jsonl").read_bytes().splitlines()]
    for task in TASK_NAMES:
        assert sum(each.task == task for each in held_out) == NUM_HELDOUT_CAPTIONS // len(TASK_NAMES)


@pytest.mark.usefixtures("studio", "measuring")
def test_prompts_come_from_a_file_as_texts_or_as_a_set_that_is_made_once(shell: Shell, tmp_path: Path) -> None:
    lines = tmp_path / "mine.txt"
    lines.write_text("a photo of a star\n\na photo of a circle\n")
    assert config_of(shell, "shipped", "--prompts", str(lines))["prompts"]["texts"] == [
        "a photo of a star",
        "a photo of a circle",
    ]
    metadata = tmp_path / "evaluation_metadata.jsonl"
    metadata.write_text(json.dumps(GENEVAL_LINE) + "\n")
    named = {config_of(shell, "shipped", "--prompts", str(metadata))["prompts"]["prompt_set"] for _ in range(2)}
    assert shell("prompts", "list", "--json") == 0
    made = [each for each in json.loads(shell.out) if not each["is_builtin"]]
    assert [(each["name"], each["latest"]["sha256"]) for each in made] == [("evaluation_metadata", *named)]
    assert shell("prompts", "show", made[0]["id"], "--json") == 0
    assert json.loads(shell.out)[0]["geneval"] == GENEVAL_LINE


@pytest.mark.usefixtures("studio", "measuring")
def test_a_prompt_set_is_meant_by_name_version_or_hash(shell: Shell, tmp_path: Path) -> None:
    hashes = []
    for content in ("a star\n", "a circle\n"):
        (tmp_path / "mine.txt").write_text(content)
        to = ["--to", "mine"] if hashes else []
        assert shell("prompts", "upload", str(tmp_path / "mine.txt"), *to) == 0
        hashes.append(shell.out.strip())
    for words, wanted in (
        ("mine", hashes[1]),
        ("mine:1", hashes[0]),
        (hashes[0], hashes[0]),
        (f"{hashes[1][:8]}:2", hashes[1]),
        (next(iter(shipped_sets())), next(iter(shipped_sets()))),
    ):
        assert config_of(shell, "shipped", "--prompt-set", words)["prompts"]["prompt_set"] == wanted, words
    assert shell("evaluate", "shipped", "--prompt-set", "mine:3") == 2
    assert "--prompt-set mine:3: 'mine' has no version 3, it has 1 to 2: leave the number out" in shell.err
    assert shell("evaluate", "shipped", "--prompt-set", "yours") == 2
    assert "'yours'" in shell.err
    assert "`unmask prompts list`" in shell.err


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--policy", "step20"], "--policy 'step20' is not of the form label=source, such as step-20=run:<id>@20"),
        (["--policy", "a=shipped", "--policy", "a=shipped"], "the labels are ['a', 'a']: give each once"),
        (["--policy", "Big=shipped"], "policies.0.label"),
        (["--reward", "nonsense"], "rewards.0.name: must be 'correct'"),
        (["--reward", "jpeg_size=shipped"], "source is shipped, but no weights of jpeg_size are"),
        (["--prompt", "a star", "--prompt-set", "x"], "--prompt and --prompt-set each say what is shown: keep one"),
        (["--prompt", "a star", "--num-prompts", "6"], "--num-prompts 6 counts held-out captions, but with --prompt"),
        (["--prompt", "a star", "--task", "counting"], "--task counting has no effect on --prompt"),
        (["--task", "counts"], "names ['counts'], which the small world does not have: take from"),
        (["--prompts", "/nowhere.csv"], "--prompts /nowhere.csv cannot be read: No such file"),
        (["--inception", "x.pth"], "--inception x.pth has no effect without --reference"),
        (["--diversity", "--num", "1"], "diversity compares pictures of one prompt: set samples_per_prompt to 2"),
        (["--set", "sampling.temprature=1"], "no field 'temprature': did you mean 'temperature'?"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_value_and_cure(shell: Shell, given: list[str], words: str) -> None:
    assert shell("evaluate", "shipped", *given) == 2
    assert words in shell.err
    assert shell("run", "list", "--json") == 0
    assert json.loads(shell.out) == [], "nothing was queued"


@pytest.mark.usefixtures("studio")
def test_a_wrong_row_of_a_file_is_told_with_its_number(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text(json.dumps(GENEVAL_LINE) + '\n{"prompt": ""}\n')
    assert shell("evaluate", "shipped", "--prompts", str(path)) == 2
    assert "row 2, text" in shell.err


@pytest.mark.usefixtures("studio", "measuring")
def test_the_figures_stand_beside_their_intervals_and_differences(shell: Shell) -> None:
    assert shell("evaluate", "shipped", "--base", "shipped") == 0
    lines = [" ".join(line.split()) for line in shell.out.splitlines()]
    assert lines[0] == "figure policy value 95 % minus base 95 %"
    assert "overall base 0.5 [0.4, 0.6]" in lines
    assert "overall policy 0.75 [0.7, 0.8] 0.25 [0.125, 0.375]" in lines
    assert "overall step-20 0.625 [0.6, 0.65] 0.125" in lines
    # Without an interval, not measured, and only of one policy.
    assert "fid policy 9" in lines
    assert "kid policy -" in lines
    assert not any(line.startswith(("fid step-20", "counting_strict")) for line in lines)
    assert "policy against base: 8 wins, 2 losses, 2 ties; win rate 0.8 [0.49, 0.94]" in lines
    assert "step-20 against base: 0 wins, 0 losses, 12 ties" in lines
    assert "fid: features: CLIP [shipped]" in lines
    assert shell("compare", "last") == 0
    assert "overall policy 0.75 [0.7, 0.8] 0.25 [0.125, 0.375]" in [
        " ".join(line.split()) for line in shell.out.splitlines()
    ]


@pytest.mark.usefixtures("studio", "measuring")
def test_the_document_has_each_policys_figures_once_and_the_differences_apart(shell: Shell) -> None:
    assert shell("evaluate", "shipped", "--base", "shipped", "--json") == 0
    found = json.loads(shell.out)
    assert sorted(score["policy"] for score in found["scores"]) == ["base", "policy", "step-20"]
    assert [score["policy"] for score in found["differences"]] == ["difference", "difference:step-20"]
