"""An evaluation's figures as text for people: a line a figure and policy, with intervals and differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.markup import escape

from backend.cli.output import number_text, out, print_table
from backend.schemas.event import ScoreMeasured
from backend.schemas.picture_runs import DIFFERENCE, label_of

# Told in a sentence, for they are of two policies at once.
_COUNTS = (("num_wins", "wins"), ("num_losses", "losses"), ("num_ties", "ties"))


def split_scores(scores: Sequence[ScoreMeasured]) -> tuple[list[ScoreMeasured], list[ScoreMeasured]]:
    """The policies' own figures, the first policy's first, and the differences of the others to it."""
    own = [score for score in scores if score.policy.partition(":")[0] != DIFFERENCE]
    return own, [score for score in scores if score.policy.partition(":")[0] == DIFFERENCE]


def print_figures(scores: Sequence[ScoreMeasured], differences: Sequence[ScoreMeasured], against: str = "") -> None:
    """A table of what each policy reaches, how far it is from one of them, and who wins how often.

    Args:
        scores: each policy's own.
        differences: the others' to one of them.
        against: that one's label; the first policy's where it is empty.
    """
    by_label = {label_of(each.policy): each for each in differences}
    names = dict.fromkeys(name for score in scores for name in score.values if not name.endswith("_strict"))
    first = against or (scores[0].policy if scores else "")
    columns = ["figure", "policy", "value", "95 %", *([f"minus {first}", "95 %"] if differences else [])]
    rows = [
        [name, escape(score.policy), *_cells(score, name), *(_cells(by_label.get(score.policy), name) * bool(by_label))]
        for name in names
        for score in scores
        if name in score.values
    ]
    print_table(columns, rows, "Nothing is measured yet.")
    for label, each in by_label.items():
        if "num_wins" in each.values:
            out().print(escape(f"{label} against {first}: {_wins(each.values, each)}"), soft_wrap=True)
    notes = dict.fromkeys(f"{name}: {note}" for score in scores for name, note in score.notes.items())
    for note in notes:
        out().print(f"[dim]{escape(note)}[/]", soft_wrap=True)


def _cells(score: ScoreMeasured | None, name: str) -> tuple[str, str]:
    """A figure and its interval; nothing where it is not told, a dash where it was not measured."""
    if score is None or name not in score.values:
        return "", ""
    ends = score.intervals.get(name)
    interval = "" if ends is None else f"\\[{number_text(ends[0])}, {number_text(ends[1])}]"
    return number_text(score.values[name]), interval


def _wins(values: Mapping[str, float | None], difference: ScoreMeasured) -> str:
    counts = [f"{values.get(name) or 0:.0f} {word}" for name, word in _COUNTS]
    rate = values.get("win_rate")
    if rate is None:
        return ", ".join(counts)
    ends = difference.intervals.get("win_rate")
    interval = "" if ends is None else f" [{number_text(ends[0])}, {number_text(ends[1])}]"
    return f"{', '.join(counts)}; win rate {number_text(rate)}{interval}"
