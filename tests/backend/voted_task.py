"""A label task that was voted on, written straight into the tables, with its pictures in the runs' folders."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from PIL import Image
from sqlalchemy.orm import Session, sessionmaker

from backend.artifacts import run_folder
from backend.db import transaction
from backend.models import LabelPairRow, LabelTaskRow, RaterRow, VoteRow

RUN_ID = UUID("01890000-0000-7000-8000-000000000001")
POLICIES = ("base", "policy")


@dataclass
class VotedTask:
    """Adds pairs, raters and votes, each in a transaction of its own."""

    sessions: sessionmaker[Session]
    runs_dir: Path
    id: UUID = field(default_factory=uuid4)
    pairs: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        with transaction(self.sessions) as session:
            session.add(
                LabelTaskRow(
                    id=self.id,
                    name="Base or tuned?",
                    guidelines=["Choose the better one.", "Choose what the prompt says."],
                    source={"kind": "evaluation", "run_id": str(RUN_ID)},
                    strategy="shuffled",
                    votes_per_pair=3,
                )
            )

    def pair(
        self,
        prompt: str,
        *,
        known: str | None = None,
        policies: tuple[str, str] = POLICIES,
        sample_1: str | None = None,
    ) -> UUID:
        """A pair of two pictures that exist; gold where the answer is known. The samples' rows exist where named."""
        place = len(self.pairs)
        sides = [self._side(place, number, policy) for number, policy in enumerate(policies)]
        sides[1]["sample_id"] = sample_1 or sides[1]["sample_id"]
        row = LabelPairRow(
            id=uuid4(),
            label_task_id=self.id,
            index=place,
            prompt=prompt,
            task="counting",
            side_0=sides[0],
            side_1=sides[1],
            is_gold=known is not None,
            known=known,
        )
        with transaction(self.sessions) as session:
            session.add(row)
        self.pairs.append(row.id)
        return row.id

    def rater(self, label: str = "Ada", **values: Any) -> UUID:
        row = RaterRow(id=uuid4(), label_task_id=self.id, label=label, token_hash=uuid4().hex, shuffle=1, **values)
        with transaction(self.sessions) as session:
            session.add(row)
        return row.id

    def vote(self, rater: UUID, *choices: tuple[UUID, str], is_swapped: bool = False, **values: Any) -> None:
        """One vote a pair, by what was chosen of its pictures: 0, 1, tie, both_bad or skip."""
        self.votes(((rater, pair, outcome, is_swapped, 2000) for pair, outcome in choices), **values)

    def votes(self, told: Iterable[tuple[UUID, UUID, str, bool, int]], **values: Any) -> None:
        """Votes as rater, pair, outcome, whether sides were swapped, and milliseconds."""
        sides = {"0": ("left", "right"), "1": ("right", "left")}
        rows = [
            {
                "id": uuid4(),
                "label_task_id": self.id,
                "pair_id": pair,
                "rater_id": rater,
                "choice": sides[outcome][is_swapped] if outcome in sides else outcome,
                "outcome": outcome,
                "is_swapped": is_swapped,
                "latency_ms": latency,
                "guideline_version": 2,
            }
            | values
            for rater, pair, outcome, is_swapped, latency in told
        ]
        with transaction(self.sessions) as session:
            session.execute(VoteRow.__table__.insert(), rows)  # type: ignore[attr-defined]

    def _side(self, place: int, number: int, policy: str) -> dict[str, Any]:
        buffer = io.BytesIO()
        Image.fromarray(np.full((8, 8, 3), (place * 2 + number) % 256, dtype=np.uint8)).save(buffer, format="PNG")
        path = f"samples/000001/{place:03d}-{number:02d}.png"
        run_folder(self.runs_dir, RUN_ID).write(path, buffer.getvalue())
        return {
            "sample_id": str(uuid4()),
            "run_id": str(RUN_ID),
            "policy": policy,
            "step": 1,
            "seed": 100 + place,
            "reward": number / 2,
            "image_path": path,
            "image_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
        }
