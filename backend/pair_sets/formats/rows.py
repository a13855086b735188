"""Gathers what is read from a foreign file into pairs: votes on the same two pictures of one prompt are one pair's."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NoReturn

from backend.errors import MalformedError
from backend.pair_sets.pairs import Pair
from backend.schemas.base import FieldProblem
from backend.schemas.preference import VoteOutcome

MOST_PAIRS = 1_000_000
_MOST_TOLD = 20
_LONGEST_PROMPT = 10_000


@dataclass
class Gathering:
    """Pairs in the making, and what was wrong with rows."""

    file: str
    """what refusals call the source"""
    left_out: Counter[str] = field(default_factory=Counter)
    _pairs: dict[tuple[str, str, str], list[Pair]] = field(default_factory=dict)
    _problems: list[FieldProblem] = field(default_factory=list)
    _num_refused: int = 0
    _num_added: int = 0

    def add(self, pair: Pair, row: int, column: str) -> None:
        """One row's pair with one vote, several or none; the other way round is the same pair.

        A picture beside itself is noted as a problem of the column: nothing can be preferred there.

        Raises:
            MalformedError: when the file holds more pairs than are read.
        """
        if pair.image_0 == pair.image_1:
            self.refuse(row, column, "it is the same picture as the other: name two, or remove the row")
            return
        self._num_added += 1
        if self._num_added > MOST_PAIRS:
            refuse_file(self.file, "", f"it holds more than {MOST_PAIRS} pairs, as far as row {row}: split it")
        turned = pair.image_0 > pair.image_1
        key = (pair.prompt, *sorted((pair.image_0, pair.image_1)))
        known = self._pairs.setdefault(key, [])  # type: ignore[arg-type]
        if known and (known[0].image_0 > known[0].image_1) != turned:
            pair = _turned(pair)
        known.append(pair)

    def refuse(self, row: int, column: str, message: str) -> None:
        """Notes what is wrong with a value; `message` names the cure."""
        self._num_refused += 1
        if len(self._problems) < _MOST_TOLD:
            self._problems.append(FieldProblem(pointer=f"/rows/{row}/{column}", message=message))

    def finish(self) -> list[Pair]:
        """The pairs, in the order of their first rows.

        Raises:
            MalformedError: with the first twenty values that were refused; nothing is imported then.
        """
        if self._num_refused:
            first = self._problems[0]
            detail = (
                f"{self._num_refused} values of {self.file} are refused, the first at {first.pointer}: {first.message}"
            )
            raise MalformedError(detail, tuple(self._problems))
        if not self._pairs:
            refuse_file(self.file, "", "it holds no pair with a label: nothing can be learned from it")
        return [self._merged(rows) for rows in self._pairs.values()]

    def _merged(self, rows: list[Pair]) -> Pair:
        """One pair of all its rows. Where each row has votes their mean is the label, else that of the rows' labels.

        A vote that a row repeats counts once; people may vote on a pair again, at another moment.
        """
        told = [vote for row in rows for vote in row.votes]
        votes = tuple({(each.rater, each.label_0, each.created_at): each for each in reversed(told)}.values())[::-1]
        if len(votes) < len(told):
            self.left_out["repeated votes"] += len(told) - len(votes)
        is_voted = all(row.votes for row in rows)
        labels = [vote.label_0 for vote in votes] if is_voted else [row.label_0 for row in rows]
        return replace(rows[0], label_0=sum(labels) / len(labels), votes=votes if is_voted else ())


def refuse_file(file: str, column: str, message: str) -> NoReturn:
    """Refuses a whole file."""
    pointer = f"/columns/{column}" if column else ""
    raise MalformedError(f"{file}: {message}", (FieldProblem(pointer=pointer, message=message),))


def label_problem(label_0: Any, label_1: Any) -> str | None:
    """What is wrong with two labels, with the cure; None = nothing."""
    for label in (label_0, label_1):
        if isinstance(label, bool) or not isinstance(label, int | float) or not 0 <= label <= 1:
            return f"{label!r} is no label: write 1 for the preferred picture, 0 for the other, 0.5 for a tie"
    if abs(label_0 + label_1 - 1) > 1e-6:
        return f"the labels {label_0} and {label_1} do not add up to 1: write 1 and 0, or 0.5 twice for a tie"
    return None


def prompt_problem(prompt: Any) -> str | None:
    """What is wrong with a prompt, with the cure; None = nothing."""
    if not isinstance(prompt, str) or not prompt.strip():
        return "the prompt is empty: write what the pictures were to show, or remove the row"
    if len(prompt) > _LONGEST_PROMPT:
        return f"the prompt has {len(prompt)} characters, at most {_LONGEST_PROMPT} are read: shorten it"
    if not prompt.isprintable() and ("\0" in prompt or any("\ud800" <= each <= "\udfff" for each in prompt)):
        return "the prompt has a character that is none (NUL, or half of a pair): write it anew"
    return None


def moment_problem(moment: Any) -> str | None:
    """What is wrong with the moment of a vote, with the cure; None = nothing, as where none is told."""
    try:
        is_moment = moment is None or datetime.fromisoformat(moment).tzinfo is not None
    except (TypeError, ValueError):
        is_moment = False
    return None if is_moment else f"{moment!r} is no moment: write 2026-05-01T10:00:00+00:00, or nothing"


def choice_problem(choice: Any) -> str | None:
    """What is wrong with the choice of a vote, with the cure; None = nothing, as where none is told."""
    is_choice = choice is None or choice in list(VoteOutcome)
    return None if is_choice else f"{choice!r} is no choice: write 0, 1, tie or both_bad, or nothing"


def choice_of(label_0: float) -> str | None:
    """What a vote's label says that was chosen; None where it is a share."""
    return {1.0: "0", 0.0: "1", 0.5: "tie"}.get(label_0)


def _turned(pair: Pair) -> Pair:
    votes = tuple(
        replace(vote, label_0=1 - vote.label_0, choice={"0": "1", "1": "0"}.get(vote.choice or "", vote.choice))
        for vote in pair.votes
    )
    provenance = pair.provenance | {
        key.replace("0", "x").replace("1", "0").replace("x", "1"): value
        for key, value in pair.provenance.items()
        if key.endswith(("_0", "_1"))
    }
    return replace(
        pair,
        image_0=pair.image_1,
        image_1=pair.image_0,
        label_0=1 - pair.label_0,
        votes=votes,
        provenance=provenance,
    )
