"""Fills a studio for the comparison's benchmark: a run with many probes, an evaluation of it, a try; with pictures.

All goes through the recorder, as a job's events do, and the figures are computed by the job's own statistics.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

import numpy as np
import psycopg
from PIL import Image, ImageDraw
from sqlalchemy.orm import Session, sessionmaker

from backend.artifacts import run_folder
from backend.db import build_engine, build_sessions, transaction
from backend.figures.scores import Figures, Scores, share_differences, shares, wins
from backend.prompt_files import SHIPPED_SETS, Prompt, prompt_of
from backend.runs import repository as runs
from backend.schemas.config import AnyRunConfig, run_config_adapter
from backend.schemas.event import JobStarted, SamplesMade, ScoreMeasured, StatusChanged, StepFinished
from backend.schemas.run import RunStatus
from backend.schemas.sample import Condition, FoundObject, GroupRecord, SampleRecord, VerdictRecord
from worker.recorder import record

SIDE = 64
NUM_SEEDS = 4
BATCH = 32
"""prompts a step of the evaluation, as its batch of 128 pictures has them"""
NUM_PROBES = 100
NUM_PROBED, NUM_PROBE_SEEDS = 24, 2
NUM_TRIED = 100
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#f0e442", "#56b4e9")

Purpose = Literal["sample_now", "probe", "sample", "evaluate"]
Body = runs.Body


@dataclass(frozen=True)
class Filled:
    """The runs that were written."""

    evaluation: UUID
    training: UUID
    tried: UUID
    num_tried: int
    """prompts of the try"""


def fill(url: str, runs_dir: Path, num_pairs: int) -> Filled:
    """Writes three runs with every picture's file; the evaluation has `num_pairs` pairs of 4 seeds a prompt."""
    engine = build_engine(url, pool_size=1)
    writer = _Writer(build_sessions(engine), runs_dir, np.random.default_rng(7))
    prompts = _prompts(num_pairs // NUM_SEEDS, writer.chance)
    training = writer.run(
        {"kind": "train", "name": "a long training", "num_steps": NUM_PROBES * 10, "probe": {"num_prompts": 24}},
        lambda: writer.probes(prompts[:NUM_PROBED]),
    )
    compared = {"policy": {"source": f"run:{training}"}, "base": {"source": "shipped"}, "kind": "evaluate"}
    evaluation = writer.run(
        compared | _asked("ten thousand samples", prompts), lambda: writer.evaluation(prompts, batch=BATCH)
    )
    tried = prompts[:NUM_TRIED]
    asked = compared | _asked("try many prompts", tried) | {"batch_size": NUM_SEEDS, "num_replayed": NUM_TRIED}
    found = Filled(
        evaluation, training, writer.run(asked, lambda: writer.evaluation(tried, batch=1), tags=("try",)), len(tried)
    )
    engine.dispose()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    return found


def _prompts(number: int, chance: np.random.Generator) -> list[Prompt]:
    """Captions of both splits, of which some were trained on, as the page must tell; then foreign prompts."""
    files = (SHIPPED_SETS / f"{name}.jsonl" for name in ("heldout", "train"))
    captions = [prompt_of(line) for file in files for line in file.read_bytes().splitlines()]
    foreign = [Prompt(f"lighthouse number {place} at dusk", "own") for place in range(number - len(captions))]
    return [*(captions[place] for place in chance.permutation(len(captions))), *foreign][:number]


def _asked(name: str, prompts: Sequence[Prompt]) -> dict[str, object]:
    texts = [prompt.text for prompt in prompts]
    return {"name": name, "prompts": {"texts": texts}, "samples_per_prompt": NUM_SEEDS, "rewards": []}


class _Writer:
    """Writes runs as a worker would, an event at a time."""

    def __init__(self, sessions: sessionmaker[Session], runs_dir: Path, chance: np.random.Generator) -> None:
        self._sessions = sessions
        self._runs_dir = runs_dir
        self.chance = chance
        self._run_id = UUID(int=0)

    def run(self, values: dict[str, object], events: Callable[[], Iterator[Body]], tags: tuple[str, ...] = ()) -> UUID:
        """A run that has ended well; gives its id."""
        config: AnyRunConfig = run_config_adapter.validate_python(values)
        with transaction(self._sessions) as session:
            row = runs.create_run(session, config=config, kind=config.kind, name=str(values["name"]), tags=tags)
            self._run_id = row.id
            claimed = runs.claim(session, run_id=row.id, worker="bench", lease_seconds=600)
            assert claimed is not None
            attempt, seq = claimed.attempt, claimed.num_events
        for body in events():
            with transaction(self._sessions) as session:
                seq = record(session, self._run_id, attempt, body, seq).seq
        return self._run_id

    def probes(self, prompts: Sequence[Prompt]) -> Iterator[Body]:
        """A training's steps, of which every tenth has a probe, and one of the base before."""
        num_steps = NUM_PROBES * 10
        yield JobStarted(from_step=0, num_steps=num_steps, device="cpu")
        for step in range(0, num_steps + 1, 10):
            if step:
                yield StepFinished(step=step, num_steps=num_steps, metrics={"reward/total": 0.5}, seconds=1.0)
            policy = "policy" if step else "base"
            rewards = self._rewards(len(prompts), NUM_PROBE_SEEDS, 0.4)
            groups = [self._group(step, n, each, policy, "probe", rewards[n]) for n, each in enumerate(prompts)]
            yield _made(step, "probe", groups, rewards.size)
        yield StatusChanged(status=RunStatus.SUCCEEDED)

    def evaluation(self, prompts: Sequence[Prompt], *, batch: int) -> Iterator[Body]:
        """Both policies on all prompts, batch by batch, then the figures."""
        num_steps = -(-len(prompts) // batch)
        yield JobStarted(from_step=0, num_steps=num_steps, device="cpu")
        scores = {
            name: self._rewards(len(prompts), NUM_SEEDS, share) for name, share in (("base", 0.35), ("policy", 0.5))
        }
        for step in range(1, num_steps + 1):
            yield StepFinished(step=step, num_steps=num_steps, metrics={"policy/correct": 0.5}, seconds=1.0)
            rows = range((step - 1) * batch, min(step * batch, len(prompts)))
            groups = [
                self._group(step, n, prompts[n], name, "evaluate", rewards[n])
                for name, rewards in scores.items()
                for n in rows
            ]
            yield _made(step, "evaluate", groups, len(prompts) * NUM_SEEDS)
        yield from _figures(num_steps, [prompt.task for prompt in prompts], scores)
        yield StatusChanged(status=RunStatus.SUCCEEDED)

    def _rewards(self, num_prompts: int, num_seeds: int, share: float) -> Scores:
        return (self.chance.random((num_prompts, num_seeds)) < share).astype(np.float64)

    def _group(
        self, step: int, index: int, prompt: Prompt, policy: str, purpose: Purpose, rewards: Scores
    ) -> GroupRecord:
        place = f"{step:06d}-{purpose}-{policy}"
        samples = []
        for number, reward in enumerate(rewards):
            path = f"samples/{place}/{index:03d}-{number:02d}.png"
            self._paint(path)
            samples.append(_sample(number, index * 64 + number, float(reward), path))
        return GroupRecord(
            step=step,
            index=index,
            prompt=prompt.text,
            task=prompt.task,
            mean_reward=float(rewards.mean()),
            reward_std=float(rewards.std()),
            is_kept=True,
            reason="its rewards differ",
            policy=policy,
            trajectory_path=None,
            samples=tuple(samples),
        )

    def _paint(self, path: str) -> None:
        """A picture of its own: a few shapes at places drawn by chance."""
        picture = Image.new("RGB", (SIDE, SIDE), "white")
        draw = ImageDraw.Draw(picture)
        for _ in range(int(self.chance.integers(1, 4))):
            left, top = (int(each) for each in self.chance.integers(0, SIDE - 20, 2))
            draw.ellipse((left, top, left + 18, top + 18), fill=str(self.chance.choice(COLOURS)))
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG")
        target = run_folder(self._runs_dir, self._run_id).path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(buffer.getvalue())


def _sample(index: int, seed: int, reward: float, path: str) -> SampleRecord:
    verdict = VerdictRecord(
        is_correct=reward > 0,
        is_strict=reward > 0,
        dense=reward,
        conditions=tuple(Condition(text=f"a condition {number}", is_satisfied=reward > 0) for number in range(3)),
        found=(FoundObject(shape="circle", colour="red", box=(1.0, 2.0, 25.0, 26.0), confidence=0.9),),
    )
    return SampleRecord(
        index=index,
        seed=seed,
        reward=reward,
        reward_breakdown={"correct": reward, "strict": reward, "dense": reward},
        advantage=None,
        image_path=path,
        image_sha256="0" * 64,
        verdict=verdict,
    )


def _made(step: int, purpose: Purpose, groups: Sequence[GroupRecord], num_total: int) -> SamplesMade:
    return SamplesMade(step=step, purpose=purpose, groups=tuple(groups), num_done=num_total, num_total=num_total)


def _figures(step: int, tasks: Sequence[str | None], scores: dict[str, Scores]) -> Iterator[ScoreMeasured]:
    """What the job measures of base and policy, and of the two as pairs."""
    for name, each in scores.items():
        yield _score(step, name, shares(tasks, each, "overall") | shares(tasks, each, "strict", "_strict"), len(tasks))
    base, policy = scores.values()
    found = share_differences(tasks, base, policy, "overall") | share_differences(
        tasks, base, policy, "strict", "_strict"
    )
    yield _score(step, "difference", found | wins(base, policy), len(tasks))


def _score(step: int, policy: str, found: Figures, num_prompts: int) -> ScoreMeasured:
    return ScoreMeasured(
        step=step,
        policy=policy,
        values=found.values,
        intervals=found.intervals,
        num_prompts=num_prompts,
        samples_per_prompt=NUM_SEEDS,
    )
