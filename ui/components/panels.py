"""The launch page's right-hand side as HTML: problems, what the run will do, differences, the exact YAML."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape

from backend.schemas.run import RunCreate


def panel(title: str, body: str, note: str = "") -> str:
    """A titled card."""
    aside = f'<span class="u-small u-muted">{escape(note)}</span>' if note else ""
    return f'<section class="u-card"><header><h2>{escape(title)}</h2>{aside}</header>{body}</section>'


def problem_panel(problems: Iterable[tuple[str, str]]) -> str:
    """What must be changed before the run can be launched; nothing when all is well."""
    items = "".join(f"<p><b>{escape(title)}</b>: {escape(message)}</p>" for title, message in problems)
    if not items:
        return ""
    return f'<div class="u-note u-error" role="alert"><strong>This cannot be launched yet</strong>{items}</div>'


def not_launched(title: str, reason: str) -> str:
    """Why the button did nothing, in a line beside it; all of it stands below."""
    text = f"<b>Nothing was launched</b>. {escape(title)}: {escape(reason)}"
    return f'<p class="u-note u-error" role="status">{text}</p>'


def warning_panel(warnings: Iterable[str]) -> str:
    """What may be meant, but probably is not."""
    items = "".join(f"<p>{escape(text)}</p>" for text in warnings)
    return f'<div class="u-note u-warning"><strong>Worth a look</strong>{items}</div>' if items else ""


def facts_panel(title: str, facts: Sequence[tuple[str, str]], note: str = "", foot: str = "") -> str:
    """Names and values in two columns, and a line below them."""
    rows = "".join(f"<tr><td>{escape(name)}</td><td class=num>{escape(value)}</td></tr>" for name, value in facts)
    below = f'<p class="u-muted u-small" style="margin-top:8px">{escape(foot)}</p>' if foot else ""
    return panel(title, f'<table class="u-table"><tbody>{rows}</tbody></table>{below}', note)


def changes_panel(changes: Sequence[tuple[str, str, str]], origin: str) -> str:
    """How the configuration departs from where the form started."""
    if not changes:
        return panel("Difference", f'<p class="u-muted">Exactly {escape(origin)}.</p>')
    rows = "".join(
        f'<tr><td class="u-mono">{escape(path)}</td><td class="u-muted">{escape(old)}</td><td>{escape(new)}</td></tr>'
        for path, old, new in changes
    )
    return panel("Difference", f'<table class="u-table"><tbody>{rows}</tbody></table>', f"to {origin}")


def yaml_panel(yaml: str, request: RunCreate) -> str:
    """The exact YAML; the request that launches it stands beside it for "as API call"."""
    body = json.dumps(request.model_dump(mode="json", exclude_defaults=False))
    pre = f'<pre class="u-code tall" tabindex=0 data-request="{escape(body, quote=True)}">{escape(yaml)}</pre>'
    return panel("Configuration", pre, "the exact YAML")


def wrapped(*parts: str) -> str:
    """The parts one under the other."""
    return f'<div class="u-part u-stack">{"".join(parts)}</div>'
