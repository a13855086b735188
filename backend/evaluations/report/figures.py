"""The report's tables of figures with their intervals, and the forest plot of the paired differences as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from backend.evaluations.report.words import figure, interval, name_of, signed, words_of
from backend.schemas.event import ScoreMeasured
from backend.schemas.figure import kind_of

_HIDDEN = ("num_wins", "num_losses", "num_ties", "win_rate")
_ROW, _SCALE, _LEFT, _WIDTH, _MARGIN = 26, 24, 130, 480, 16


@dataclass(frozen=True)
class ChosenFigures:
    """The two policies of a report, and their difference where one was measured."""

    base: ScoreMeasured
    policy: ScoreMeasured
    difference: ScoreMeasured | None


def figure_names(values: Mapping[str, float | None]) -> list[str]:
    """Overall figures first, then tasks and further scores; without counts of pairs, and strict ones once."""
    names = [name for name in values if name not in _HIDDEN and not name.endswith("_strict")]
    first = [name for name in ("overall", "strict") if name in names]
    return first + sorted(name for name in names if name not in first)


def difference_table(chosen: ChosenFigures) -> str:
    """A row a figure: both policies and the paired difference, each with its interval."""
    difference = chosen.difference
    labels = (name_of(chosen.base.policy), name_of(chosen.policy.policy))
    rows = []
    for name in figure_names(chosen.base.values):
        cells = [_cell(score, name) for score in (chosen.base, chosen.policy)]
        if difference is not None:
            ends = difference.intervals.get(name)
            cells.append(f"<td>{signed(difference.values.get(name))} {interval(ends, is_signed=True)}</td>")
        rows.append(_row(name, cells))
    return _table(("task", *labels, *(() if difference is None else ("difference",))), rows)


def every_policy_table(scores: Iterable[ScoreMeasured]) -> str:
    """A row a figure, a column a policy."""
    found = list(scores)
    rows = [_row(name, [_cell(score, name) for score in found]) for name in figure_names(found[0].values)]
    return _table(("task", *(name_of(score.policy) for score in found)), rows)


def forest(difference: ScoreMeasured) -> str:
    """Each figure's difference and its 95 % interval, figures of one unit on one axis, as an SVG of its own width."""
    by_unit: dict[str, list[str]] = {}
    for name in figure_names(difference.values):
        by_unit.setdefault(kind_of(name).unit, []).append(name)
    parts: list[str] = []
    bottom = 0
    for names in by_unit.values():
        parts.append(f'<g transform="translate(0 {bottom})">{"".join(_on_one_axis(difference, names))}</g>')
        bottom += len(names) * _ROW + _SCALE
    box = f'viewBox="0 0 {_WIDTH} {bottom}" role="img" aria-label="Paired differences with 95 % intervals"'
    return f'<svg class="forest" {box}>{"".join(parts)}</svg>'


def _on_one_axis(difference: ScoreMeasured, names: list[str]) -> list[str]:
    values = {name: difference.values[name] or 0.0 for name in names}
    ends = {name: difference.intervals.get(name, (values[name], values[name])) for name in names}
    low = min(0.0, *(each[0] for each in ends.values()))
    high = max(0.0, *(each[1] for each in ends.values()))
    span = (high - low) or 1.0

    def at(value: float) -> float:
        return round(_LEFT + _MARGIN + (value - low) / span * (_WIDTH - _LEFT - 2 * _MARGIN), 1)

    bottom = len(names) * _ROW
    parts = [f'<line class="axis" x1="{at(0)}" x2="{at(0)}" y1="0" y2="{bottom}"/>']
    for place, name in enumerate(names):
        y, kind = place * _ROW + _ROW // 2, _kind(name, difference.intervals.get(name))
        told = f"{words_of(name)}: {signed(values[name])}"
        if name in difference.intervals:
            told += f" [{signed(ends[name][0])}, {signed(ends[name][1])}]"
        x1, x2 = (at(end) for end in ends[name])
        parts += [
            f'<text x="0" y="{y + 4}">{words_of(name)}</text>',
            f'<line class="{kind}" x1="{x1}" x2="{x2}" y1="{y}" y2="{y}"><title>{told}</title></line>',
            f'<circle class="{kind}" cx="{at(values[name])}" cy="{y}" r="4"/>',
        ]
    for mark in _ticks(low, high):
        parts.append(f'<text x="{at(mark)}" y="{bottom + 16}" text-anchor="middle">{signed(mark)}</text>')
    return parts


def _kind(name: str, ends: tuple[float, float] | None) -> str:
    """Whether the interval leaves out zero, and whether what it shows is better or worse; without one nobody knows."""
    if ends is None or ends[0] <= 0 <= ends[1]:
        return "even"
    return "up" if (ends[0] > 0) is not kind_of(name).is_lower_better else "down"


def _ticks(low: float, high: float) -> list[float]:
    """A few round values that cover the axis."""
    raw = (high - low) / 4 or 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    return [round(k * step, 9) for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _cell(score: ScoreMeasured, name: str) -> str:
    return f"<td>{figure(score.values.get(name))} {interval(score.intervals.get(name))}</td>"


def _row(name: str, cells: list[str]) -> str:
    direction = ' <small class="muted">lower is better</small>' if kind_of(name).is_lower_better else ""
    return f'<tr><th scope="row">{words_of(name)}{direction}</th>{"".join(cells)}</tr>'


def _table(heads: Iterable[str], rows: list[str]) -> str:
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
