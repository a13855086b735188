"""Reads what a report tells from the database, so that it can be written after the transaction has ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from backend.evaluations import overlap, repository, service
from backend.evaluations.report.page import ReportContents
from backend.evaluations.repository import PairChoice
from backend.schemas.evaluation import PairOrder, SamplePair


def gather_report(session: Session, runs_dir: Path, run_id: UUID, choice: PairChoice, num_pairs: int) -> ReportContents:
    """The contents of the report on two policies; at most num_pairs worst and as many best pairs, or else first ones.

    Raises:
        NotFoundError, ConflictError: as `service.get_evaluation`.
    """
    worst = _extreme(session, run_id, replace(choice, order=PairOrder.WORST), num_pairs)
    best = _extreme(session, run_id, replace(choice, order=PairOrder.BEST), num_pairs)
    return ReportContents(
        found=service.compare(session, runs_dir, run_id),
        made_at=datetime.now(UTC),
        base=choice.base,
        policy=choice.policy,
        difference=service.difference_of(session, runs_dir, run_id, choice),
        tally=service.tally(session, run_id, choice),
        overlap=overlap.overlap_of(session, runs_dir, run_id),
        worst=worst,
        best=best,
        first=[] if worst or best else _first(session, run_id, choice, num_pairs),
    )


def _extreme(session: Session, run_id: UUID, choice: PairChoice, num_pairs: int) -> list[SamplePair]:
    """The pairs at one end; equal ones are neither worst nor best."""
    rows = repository.list_pairs(session, run_id=run_id, choice=choice, limit=num_pairs)
    pairs = service.pairs_of(session, run_id, choice, rows)
    is_worst = choice.order is PairOrder.WORST
    return [pair for pair in pairs if pair.difference and (pair.difference < 0) is is_worst]


def _first(session: Session, run_id: UUID, choice: PairChoice, num_pairs: int) -> list[SamplePair]:
    """The chosen pairs of the first prompts: what there is to see where nothing was judged, or all alike."""
    rows = repository.list_by_prompt(session, run_id=run_id, choice=choice, limit=num_pairs)
    return service.pairs_of(session, run_id, choice, rows)
