"""The small world's verifier as three rewards: all that was asked, the share of it, all of it and nothing more."""

from __future__ import annotations

from worker.rewards.picture import JudgedPicture


def correct(picture: JudgedPicture) -> float:
    """1 when every condition of the prompt holds, else 0; extra objects are forgiven, as in GenEval."""
    return float(picture.verdict.is_correct)


def dense(picture: JudgedPicture) -> float:
    """The share of the prompt's conditions that hold, in [0, 1]."""
    return picture.verdict.dense


def strict(picture: JudgedPicture) -> float:
    """1 when the picture is correct and holds nothing that was not asked for, else 0."""
    return float(picture.verdict.is_strict)
