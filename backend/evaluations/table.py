"""All pairs of a comparison as a CSV table, written while they are read, so that any number fits into memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.evaluations import repository, service
from backend.evaluations.repository import PairChoice, PairPlace
from backend.schemas.evaluation import SamplePair
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.sample import Sample
from backend.spreadsheets import plain

_CHUNK = 500


def write_table(
    sessions: sessionmaker[Session], run_id: UUID, config: EvaluateConfig, choice: PairChoice
) -> Iterator[bytes]:
    """The chosen pairs in the order of their prompts, a line each, with what every policy made of prompt and seed.

    Each chunk is read in a transaction of its own: a slow reader holds no connection.
    """
    labels = list(config.candidates)
    buffer = io.StringIO(newline="")
    table = csv.DictWriter(buffer, _columns(labels))
    table.writeheader()
    yield _taken(buffer)
    after: PairPlace | None = None
    while True:
        with transaction(sessions) as session:
            rows = repository.list_by_prompt(session, run_id=run_id, choice=choice, limit=_CHUNK, after=after)
            pairs = service.pairs_of(session, run_id, choice, rows)
        table.writerows(_line(pair, choice) for pair in pairs)
        yield _taken(buffer)
        if len(rows) < _CHUNK:
            return
        after = rows[-1].place


def _columns(labels: list[str]) -> list[str]:
    shared = ["prompt", "task", "seed", "base", "policy", "difference"]
    return shared + [f"{label}_{name}" for name in ("reward", "rewards", "sample", "sha256") for label in labels]


def _line(pair: SamplePair, choice: PairChoice) -> dict[str, Any]:
    line: dict[str, Any] = {
        "prompt": plain(pair.prompt),
        "task": plain(pair.task or ""),
        "seed": pair.seed,
        "base": choice.base,
        "policy": choice.policy,
        "difference": "" if pair.difference is None else pair.difference,
    }
    samples: dict[str, Sample] = {choice.base: pair.base, choice.policy: pair.policy, **pair.others}
    for label, sample in samples.items():
        line[f"{label}_reward"] = "" if sample.reward is None else sample.reward
        line[f"{label}_rewards"] = json.dumps(sample.reward_breakdown, sort_keys=True)
        line[f"{label}_sample"] = str(sample.id)
        line[f"{label}_sha256"] = sample.image_sha256
    return line


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()
