"""Numbers and text as the report writes them: three significant digits, a true minus, and nothing that is markup."""

from __future__ import annotations

from html import escape

_DASH = "–"


def figure(value: float | None) -> str:
    """A number with three significant digits; a dash where there is none."""
    if value is None:
        return _DASH
    is_whole = float(value).is_integer() and abs(value) < 1e6
    return (str(int(value)) if is_whole else f"{value:.3g}").replace("-", "−")


def signed(value: float | None) -> str:
    """The same with its sign; zero has none."""
    if value is None:
        return _DASH
    return ("+" if value > 0 else "") + figure(value)


def interval(ends: tuple[float, float] | None, *, is_signed: bool = False) -> str:
    """An interval in brackets, as markup; empty where there is none."""
    if ends is None:
        return ""
    tell = signed if is_signed else figure
    return f'<small class="muted">[{tell(ends[0])}, {tell(ends[1])}]</small>'


def text(value: object) -> str:
    """Anything as text that a browser takes for nothing else."""
    return escape(str(value))


def words_of(name: str) -> str:
    """A figure's name as people read it."""
    return text(name.replace("_", " "))


def name_of(label: str) -> str:
    """What a policy is called: the one that is judged is the tuned one."""
    return "tuned" if label == "policy" else text(label)


def counted(count: int, noun: str, nouns: str) -> str:
    """A count with its noun."""
    return f"{count} {noun if count == 1 else nouns}"
