"""Which client modules a page needs in the end, so that a browser asks for all at once instead of one after another."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

STATIC = Path(__file__).parents[1] / "components" / "static"
_IMPORTED = re.compile(r"""\bfrom\s+"\./(\w+)\.js"|\bimport\s+"\./(\w+)\.js\"""")


@cache
def modules_behind(module: str) -> tuple[str, ...]:
    """A module and all that it imports, itself first; read once, for the files do not change while the studio runs."""
    found = {module: None}
    waiting = [module]
    while waiting:
        text = (STATIC / f"{waiting.pop(0)}.js").read_text()
        new = [name for names in _IMPORTED.findall(text) for name in names if name and name not in found]
        found |= dict.fromkeys(new)
        waiting += dict.fromkeys(new)
    return tuple(found)


def preloads(module: str) -> str:
    """A link a module, for the head of a page."""
    return "".join(f'<link rel="modulepreload" href="/studio/{name}.js">' for name in modules_behind(module))
