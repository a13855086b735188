"""50 raters vote at once over loopback: nothing lost, nothing doubled, and how long a vote and the next pair take.

python -m tests.bench.bench_votes [--seconds 60]; it fills a database of an embedded Postgres of its own, starts the web
process as `unmask up` does, and has the raters vote, look at pictures, repeat votes, vote twice and take votes back.
Then the table of votes is compared with what the raters were told. It fails where a vote is missing, doubled or
another, where a pair has more votes than were asked for, or where the 95th percentile from the key to the next pairs
(PUT, then GET) is 200 ms or more. Once in the shuffled order and once with the most informative pair first.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import httpx
import numpy as np
import psycopg
from PIL import Image

import migrations
from backend.artifacts import run_folder
from backend.client import StudioClient
from backend.db import build_engine, build_sessions, transaction
from backend.runs import repository as runs
from backend.samples import repository as samples
from backend.schemas.config import TrainConfig
from backend.schemas.pair_source import PairSourceConfig, PairSourceKind
from backend.schemas.preference import (
    GoldConfig,
    LabelTask,
    LabelTaskCreate,
    PairStrategy,
    RaterCreate,
)
from backend.schemas.sample import GroupRecord, SampleRecord
from tests.bench.bench_api import percentile_95, postgres, serve
from tests.bench.voters import Told, Voter, vote_at_once

MAX_MILLISECONDS = 200.0
NUM_PICTURES = 64
SIDE = 128
VOTES_PER_PAIR = 3
NUM_GOLD = 20


def fill(url: str, runs_dir: Path, num_prompts: int, side: int = SIDE) -> UUID:
    """A run with a group of two samples a prompt, whose pictures of that side are there; gives its id."""
    engine = build_engine(url, pool_size=1)
    with transaction(build_sessions(engine)) as session:
        config = TrainConfig()
        run_id = runs.create_run(session, config=config, kind=config.kind, name="voted on").id
        for first in range(0, num_prompts, 500):
            groups = [_group(number) for number in range(first, min(first + 500, num_prompts))]
            samples.add_groups(session, run_id=run_id, purpose="train", groups=groups)
    engine.dispose()
    chance = np.random.default_rng(7)
    for number in range(NUM_PICTURES):
        buffer = io.BytesIO()
        Image.fromarray(chance.integers(0, 255, (side, side, 3), dtype=np.uint8)).save(buffer, format="PNG")
        run_folder(runs_dir, run_id).write(f"samples/{number}.png", buffer.getvalue())
    return run_id


def _group(number: int) -> GroupRecord:
    made = tuple(
        SampleRecord(
            index=place,
            seed=place,
            reward=float(place),
            reward_breakdown={"strict": float(place)},
            advantage=place - 0.5,
            image_path=f"samples/{(2 * number + place) % NUM_PICTURES}.png",
            image_sha256=f"{number:032x}{place:032x}",
        )
        for place in range(2)
    )
    return GroupRecord(
        step=number,
        index=0,
        prompt=f"prompt {number}",
        task="counting",
        mean_reward=0.5,
        reward_std=0.5,
        is_kept=True,
        reason="its rewards differ",
        trajectory_path=None,
        samples=made,
    )


def faults(url: str, task: LabelTask, voters: Sequence[Voter]) -> dict[str, int]:
    """The database against what the raters know; every count is zero where all is well."""
    told = {vote_id: each for voter in voters for vote_id, each in voter.told.items()}
    query = "SELECT id, rater_id, pair_id, choice, undone_at IS NOT NULL FROM vote WHERE label_task_id = %s"
    query_pairs = "SELECT id, num_votes FROM label_pair WHERE label_task_id = %s AND NOT is_gold"
    with psycopg.connect(url) as connection:
        rows = connection.execute(query, (task.id,)).fetchall()
        counted = dict(connection.execute(query_pairs, (task.id,)).fetchall())
    stored = {row[0]: Told(*row[1:]) for row in rows}
    standing = [each for each in stored.values() if not each.is_undone]
    by_rater = Counter((each.rater_id, each.pair_id) for each in standing)
    by_pair = Counter(each.pair_id for each in standing if each.choice != "skip")
    return {
        "lost": len(told.keys() - stored.keys()),
        "unknown": len(stored.keys() - told.keys()),
        "another": sum(stored[key] != each for key, each in told.items() if key in stored),
        "doubled": sum(number > 1 for number in by_rater.values()),
        "miscounted_pairs": sum(by_pair[pair_id] != number for pair_id, number in counted.items()),
        "pairs_with_too_many": sum(number > VOTES_PER_PAIR for number in counted.values()),
    }


def measure(
    url: str, address: str, run_id: UUID, strategy: PairStrategy, wanted: argparse.Namespace
) -> dict[str, object]:
    """One task, voted on by all raters at once; gives the row that is printed."""
    with StudioClient(address, timeout=120) as client:
        task = client.create_label_task(
            LabelTaskCreate(
                name=f"voted on, {strategy}",
                source=PairSourceConfig(kind=PairSourceKind.WITHIN_GROUP, run_id=run_id),
                strategy=strategy,
                num_pairs=wanted.pairs,
                votes_per_pair=VOTES_PER_PAIR,
                gold=GoldConfig(num_pairs=NUM_GOLD),
            )
        )
        made = [
            client.create_rater(task.id, RaterCreate(label=f"rater {n}", is_simulated=True))
            for n in range(wanted.raters)
        ]
    voters = [Voter(rater.id, rater.token, address, wanted.pause) for rater in made]
    vote_at_once(voters, wanted.seconds)
    times = [each for voter in voters for each in voter.times]
    found = faults(url, task, voters)
    p95 = percentile_95(times)
    return {
        "strategy": strategy,
        "raters": wanted.raters,
        "pairs": wanted.pairs,
        "votes": len(times),
        "votes_a_second": round(len(times) / wanted.seconds, 1),
        "pictures": sum(voter.num_pictures for voter in voters),
        "repeats": sum(voter.num_repeats for voter in voters),
        "refused_doubles": sum(voter.num_refused for voter in voters),
        "median_ms": round(statistics.median(times), 1),
        "p95_ms": round(p95, 1),
        "slowest_ms": round(max(times), 1),
        **found,
        "is_met": p95 < MAX_MILLISECONDS and not any(found.values()),
    }


def wait_for_pages(address: str) -> None:
    """Waits until the pages are built, which takes the whole of a core for seconds."""
    for _ in range(600):
        if httpx.get(f"{address}/gradio_api/info", trust_env=False, timeout=60).status_code != 503:
            return
        time.sleep(0.2)
    raise TimeoutError("the pages were not built within two minutes")


def main() -> int:
    """Prints a row an order of pairs as JSON; 1 when a bound is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--raters", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=3000)
    parser.add_argument("--pause", type=float, default=1.0, help="mean seconds from seeing a pair to the key")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="unmask-votes-") as folder, postgres() as url:
        migrations.upgrade(url)
        run_id = fill(url, Path(folder) / "runs", options.pairs + NUM_GOLD)
        with serve(url, app="ui.app:create_studio", DATA_DIR=folder) as address:
            wait_for_pages(address)
            rows = [measure(url, address, run_id, strategy, options) for strategy in PairStrategy]
    for row in rows:
        print(json.dumps(row))
    return 0 if all(row["is_met"] for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
