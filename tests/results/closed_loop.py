"""The whole loop over REST: pictures, blind votes, a reward model, a run that trains on it, and a comparison by votes.

`python -m tests.results.closed_loop` starts a studio of its own, goes on where it was stopped, and writes
docs/results/closed-loop.json from what the studio tells. The raters are simulated, with a stated taste and noise
(simulated_raters.py), and are told as such wherever they appear.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from backend.client import StudioClient
from backend.errors import StudioError
from backend.schemas.config import run_config_adapter
from backend.schemas.evaluation import SamplePair
from backend.schemas.pair_set import PairSetCreate
from backend.schemas.preference import LabelTaskCreate, Vote
from backend.schemas.run import Run, RunCreate, RunStatus
from tests.results.report import RESULTS_DIR, shipped_weights, write_report
from tests.results.simulated_raters import SHARPNESS, TASTE, TIE_BELOW, blueness, is_against_taste, vote_in_turns

# Tasks whose captions leave at least one colour open: there the taste has room.
OPEN_TASKS = ["single_object", "two_object", "counting", "position"]
# The share of the prompts that nothing but judging is done with, and of the raters whom nothing is learned from: by the
# defaults about 180 pairs of 50 prompts, and two raters of eight, so that the model's worth is not a guess.
HELDOUT = {"heldout_share": 0.3, "heldout_rater_share": 0.25}
PATIENCE_SECONDS = 240
TAG = "closed-loop"


def main() -> None:
    """Goes around the loop once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path("data/closed-loop"), help="the studio's folder")
    parser.add_argument("--url", help="a studio that runs already, instead of one of its own")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--num-prompts", type=int, default=240, help="prompts to vote on; some come more than once")
    parser.add_argument("--num-pairs", type=int, default=640, help="pairs to vote on")
    parser.add_argument("--num-raters", type=int, default=8)
    parser.add_argument("--num-steps", type=int, default=24, help="training steps on the reward model")
    parser.add_argument("--num-captions", type=int, default=120, help="held-out captions of the comparison")
    options = parser.parse_args()
    with _studio(options) as url, StudioClient(url, timeout=120.0) as client:
        result = Loop(client, options).go()
    path = RESULTS_DIR / "closed-loop.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    write_report()


class Loop:
    """One way around, every step over the API."""

    def __init__(self, client: StudioClient, options: argparse.Namespace) -> None:
        self._client = client
        self._options = options
        self._seconds: dict[str, float] = {}
        self._known: dict[UUID, float] = {}

    def go(self) -> dict[str, Any]:
        """Every step, and what it found."""
        seed = self._options.seed
        task, votes = self._ask("a stated taste", self._pictures(), self._options.num_pairs, seed)
        pair_set = self._client.create_pair_set(PairSetCreate(name="a stated taste", label_task_id=task))
        source, report = self._reward_model(pair_set.sha256)
        rewards = [{"name": "learned", "source": source, "weight": 1.0}, {"name": "strict", "weight": 1.0}]
        trained = self._training(rewards)
        compared = self._comparison(trained)
        pairs = self._pairs_of(compared)
        evaluated = {"kind": "evaluation", "run_id": str(compared.id)}
        again, second_votes = self._ask("base against tuned", evaluated, len(pairs), seed + 100)
        return {
            "closed_loop": {"taste": TASTE, "sharpness": SHARPNESS, "tie_below": TIE_BELOW, "seed": seed},
            "weights": shipped_weights(),
            "votes": votes | {"num_pairs": pair_set.num_pairs, "num_prompts": pair_set.num_prompts},
            "reward_model": report,
            "training": {"rewards": rewards, "num_steps": trained.num_steps, "curve": self._curve(trained)},
            "comparison": self._scores(compared) | {"blueness": self._blueness(pairs)},
            "votes_again": second_votes | {"results": self._win_rate(again)},
            "seconds": self._seconds,
        }

    def _pictures(self) -> dict[str, str]:
        """Pictures of the shipped policy to vote on, as a label task's source."""
        sampled = self._run(
            "pictures",
            kind="sample",
            prompts={"tasks": OPEN_TASKS},
            num_prompts=self._options.num_prompts,
            samples_per_prompt=3,
            sampling={"num_unmasking_steps": 8},
        )
        return {"kind": "sampling", "run_id": str(sampled.id)}

    def _reward_model(self, pair_set: str) -> tuple[str, dict[str, Any]]:
        """A reward model of the votes: what a run names it by, and its report."""
        recipe = self._client.get_recipe("reward-from-votes").config.model_dump(mode="json")
        changes = {"pairs": {"source": pair_set} | HELDOUT, "num_steps": 150, "seed": self._options.seed}
        learned = self._run("reward model", **_changed(recipe, **changes))
        model = self._client.get_reward_model(learned.id)
        assert model.report is not None, "the run has succeeded"
        assert model.refusal is None, model.refusal
        return model.source, model.report.model_dump(mode="json", exclude={"config", "versions"})

    def _training(self, rewards: list[dict[str, Any]]) -> Run:
        recipe = self._client.get_recipe("tiny-shapes").config.model_dump(mode="json")
        changes: dict[str, Any] = {
            "rewards": rewards,
            "num_steps": self._options.num_steps,
            "seed": self._options.seed,
            "prompts": {"tasks": OPEN_TASKS},
            "rollout": {"num_prompts": 12},
            "optimizer": {"decay_steps": self._options.num_steps, "num_warmup_steps": 4},
            "probe": {"num_prompts": 0},
        }
        return self._run("training", **_changed(recipe, **changes))

    def _comparison(self, trained: Run) -> Run:
        """Base and tuned on held-out captions, the same seeds for both."""
        return self._run(
            "comparison",
            kind="evaluate",
            seed=self._options.seed + 1,
            policy={"source": f"run:{trained.id}"},
            base={"source": "shipped"},
            num_prompts=self._options.num_captions,
            samples_per_prompt=2,
        )

    def _run(self, what: str, /, **config: Any) -> Run:
        """A run to its end; one that the studio has already made of the same configuration is not made again."""
        checked = run_config_adapter.validate_python(config | {"name": f"closed loop: {what}"})
        made = self._client.list_runs(limit=100, tag=TAG, kind=[checked.kind]).data
        run = next((each for each in made if each.config == checked), None)
        if run is None:
            run = self._client.create_run(RunCreate(config=checked, tags=(TAG,)))
        for event in self._client.watch(run.id):
            if event.body.type == "step" and event.body.step % 10 == 0:
                print(f"{what}: step {event.body.step} of {event.body.num_steps}", flush=True)
        run = self._client.get_run(run.id)
        assert run.status is RunStatus.SUCCEEDED, run.error
        assert run.started_at is not None
        assert run.finished_at is not None
        self._seconds[what] = round((run.finished_at - run.started_at).total_seconds(), 1)
        return run

    def _ask(self, name: str, source: dict[str, Any], num_pairs: int, seed: int) -> tuple[Any, dict[str, Any]]:
        """A label task that simulated raters have voted on; its id, and what its owner sees of the votes."""
        wanted = {"name": name, "guideline": TASTE, "source": source, "num_pairs": num_pairs, "votes_per_pair": 3}
        checked = LabelTaskCreate.model_validate(wanted)
        made = self._client.list_label_tasks(limit=100).data
        task = next((each for each in made if (each.name, each.source) == (name, checked.source)), None)
        if task is None:
            task = self._client.create_label_task(checked)
        if task.num_simulated_votes < task.num_votes_wanted:
            vote_in_turns(self._client, task.id, self._options.num_raters, seed)
        votes = self._votes_of(task.id)
        last = max(vote.created_at for vote in votes)
        self._seconds[f"votes: {name}"] = round((last - min(vote.created_at for vote in votes)).total_seconds(), 1)
        assert all(vote.is_simulated for vote in votes), "no person has voted here"
        told = {
            "num_raters": len({vote.rater_id for vote in votes}),
            "num_votes": len(votes),
            "num_against_taste": sum(self._is_against_taste(vote) for vote in votes),
        }
        print(f"{name}: {told}", flush=True)
        return task.id, told

    def _votes_of(self, task_id: Any) -> list[Vote]:
        found, after = [], None
        while True:
            page = self._client.list_votes(task_id, limit=100, after=after)
            found += [vote for vote in page.data if vote.undone_at is None]
            after = page.next_cursor
            if after is None:
                return found

    def _is_against_taste(self, vote: Vote) -> bool:
        first, second = (self._blueness_of(side.sample_id) for side in (vote.side_0, vote.side_1))
        return is_against_taste(vote.outcome, first, second)

    def _blueness_of(self, sample_id: UUID) -> float:
        if sample_id not in self._known:
            self._known[sample_id] = blueness(self._client.get_image(sample_id))
        return self._known[sample_id]

    def _pairs_of(self, run: Run) -> list[SamplePair]:
        found, after = [], None
        while True:
            page = self._client.list_pairs(run.id, limit=100, after=after)
            found += page.data
            after = page.next_cursor
            if after is None:
                return found

    def _blueness(self, pairs: list[SamplePair]) -> dict[str, Any]:
        """The taste itself, measured on the pictures of base and tuned: paired, by bootstrap over prompts."""
        by_prompt: dict[str, list[tuple[float, float]]] = {}
        for pair in pairs:
            both = tuple(self._blueness_of(side.id) for side in (pair.base, pair.policy))
            by_prompt.setdefault(pair.prompt, []).append((both[0], both[1]))
        means = np.array([np.mean(own, axis=0) for own in by_prompt.values()])
        gains = means[:, 1] - means[:, 0]
        drawn = np.random.default_rng(0).integers(len(gains), size=(2000, len(gains)))
        low, high = np.quantile(gains[drawn].mean(axis=1), [0.025, 0.975])
        return {
            "base": float(means[:, 0].mean()),
            "tuned": float(means[:, 1].mean()),
            "difference": float(gains.mean()),
            "interval": [float(low), float(high)],
            "num_prompts": len(gains),
            "num_pairs": len(pairs),
        }

    def _scores(self, run: Run) -> dict[str, Any]:
        """Mini-GenEval of both, which nothing was taught to raise but the verifier's share of the reward."""
        found = self._client.get_comparison(run.id)
        assert found.base is not None
        assert found.policy is not None
        assert found.difference is not None
        values = {name: (found.base.values[name], found.policy.values[name]) for name in ("overall", "strict")}
        return {"scores": values, "intervals": {name: found.difference.intervals[name] for name in values}}

    def _curve(self, run: Run) -> list[dict[str, float | None]]:
        keys = ("reward/mean", "reward/learned", "reward/strict", "entropy", "kl")
        series = self._client.list_metrics(run.id, keys=keys)
        return [{"step": point.step} | {key: point.values.get(key) for key in keys} for point in series.points]

    def _win_rate(self, task_id: Any) -> dict[str, Any]:
        """How often raters preferred the tuned policy's picture, as the label task's own figures say."""
        figures = self._client.get_label_results(task_id).figures
        assert figures.num_simulated_raters == figures.num_raters, "no person has voted here"
        return figures.model_dump(mode="json", include={"win_rates", "num_votes", "num_pairs", "num_prompts"})


@contextmanager
def _studio(options: argparse.Namespace) -> Iterator[str]:
    if options.url:
        yield options.url
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "backend.cli", "up", "--port", str(port), "--data-dir", str(options.data_dir)]
    options.data_dir.mkdir(parents=True, exist_ok=True)
    with (options.data_dir / "studio.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, process)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the studio ended: see studio.log in its folder"
        try:
            with StudioClient(url) as client:
                client.check_readiness()
                return
        except StudioError:
            time.sleep(0.5)
    raise AssertionError(f"no studio at {url} within {PATIENCE_SECONDS} s")


def _changed(config: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A recipe's configuration with other values; of sections only those that are named."""
    merged = {
        key: {**config[key], **value} if isinstance(config.get(key), dict) and isinstance(value, dict) else value
        for key, value in changes.items()
    }
    return config | merged


if __name__ == "__main__":
    main()
