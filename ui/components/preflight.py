"""The preflight as HTML: memory by part, time a step, and the changes that make a run fit, each with its figures."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from backend.schemas.preflight import MemoryPart, Preflight, PreflightChange
from ui.components.panels import panel
from ui.views import duration

GIB, MIB = 1 << 30, 1 << 20


def preflight_panel(found: Preflight) -> str:
    """A card: the verdict first, then what it is made of, then what to do."""
    verdict = f"{_refusals(found.refusals)}{_verdict(found)}"
    body = f"{verdict}{_parts(found.parts, found.peak_bytes)}{_changes(found.changes)}{_notes(found)}"
    return panel("Preflight", body, found.device.name)


def unknown_panel(title: str, detail: str) -> str:
    """Why there is no estimate."""
    return panel("Preflight", f'<p class="u-muted"><b>{escape(title)}</b>: {escape(detail)}</p>')


def gib(num_bytes: int) -> str:
    """Bytes as people read memory."""
    return f"{number(num_bytes / GIB)} GiB" if num_bytes >= GIB // 10 else f"{number(num_bytes / MIB)} MiB"


def number(value: float) -> str:
    """Three significant digits, and no powers of ten."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _verdict(found: Preflight) -> str:
    memory = found.device.memory_bytes
    words = {True: "It fits", False: "It does not fit", None: "Whether it fits is unknown"}[found.fits]
    room = "" if memory is None else f" of {gib(memory)} ({escape(found.device.memory_source)})"
    kind = {True: "", False: " u-error", None: " u-warning"}[found.fits]
    judging = f", judging {number(found.seconds_judging)} s" if found.seconds_judging else ""
    seconds = (
        f"{number(found.seconds_a_step)} s a step: rollout {number(found.seconds_rollout)} s, update "
        f"{number(found.seconds_update)} s{judging}. {duration(found.seconds_in_all)} for {found.num_steps}."
    )
    return (
        f'<div class="u-note{kind}" role="status"><strong>{words}: {gib(found.peak_bytes)}{room}</strong>'
        f"at the peak, {escape(found.peak_moment)}. About {escape(seconds)}</div>"
    )


def _refusals(reasons: Sequence[str]) -> str:
    """Stands before the verdict: what fits is of no use where the run is refused."""
    told = "".join(f"<p>{escape(reason)}</p>" for reason in reasons)
    return told and f'<div class="u-note u-error" role="alert"><strong>It would not run</strong>{told}</div>'


def _parts(parts: Sequence[MemoryPart], whole: int) -> str:
    rows = "".join(
        f'<tr title="{escape(part.what, quote=True)}"><td>{escape(part.name)}</td>'
        f'<td style="width:40%;vertical-align:middle"><div class="u-progress" aria-hidden="true">'
        f'<div style="width:{100 * part.num_bytes / whole:.1f}%"></div></div></td>'
        f'<td class="num">{gib(part.num_bytes)}</td></tr>'
        for part in parts
    )
    return f'<table class="u-table" style="margin-top:8px" aria-label="Memory by part"><tbody>{rows}</tbody></table>'


def _changes(changes: Sequence[PreflightChange]) -> str:
    if not changes:
        return ""
    rows = "".join(
        f'<tr><td><span class="u-mono">{escape(change.setting)} = {escape(change.value)}</span>'
        f'<div class="u-muted u-small">{escape(change.why)}</div></td>'
        f'<td class="num">{gib(change.peak_bytes)}<div class="u-muted u-small">{"fits" if change.fits else "not yet"}'
        f'</div></td><td class="num">{number(change.seconds_a_step)} s<div class="u-muted u-small">a step</div></td>'
        "</tr>"
        for change in changes
    )
    title = '<p style="margin:12px 0 0"><b>Change, in this order</b></p>'
    return f'{title}<table class="u-table"><tbody>{rows}</tbody></table>'


def _notes(found: Preflight) -> str:
    lines = (f"Rate {found.device.rate_source}.", *found.notes)
    return "".join(f'<p class="u-muted u-small" style="margin:8px 0 0">{escape(line)}</p>' for line in lines)
