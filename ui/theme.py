"""The one visual language as data: colours for light and dark, of states and of series, rendered as CSS variables.

Knows neither Gradio nor pages. Every pair of text and ground in it has a contrast of at least 4.5:1; a test says so.
"""

from __future__ import annotations

from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "bg": "#f6f6f8",
    "surface": "#ffffff",
    "sunken": "#eeeef2",
    "text": "#1b1c20",
    "muted": "#5a5d66",
    "border": "#dddee4",
    "border-strong": "#8b8e99",
    "accent": "#4338ca",
    "accent-soft": "#ebebfc",
    "on-accent": "#ffffff",
    "queued": "#5a5d66",
    "running": "#4338ca",
    "paused": "#8a5300",
    "succeeded": "#17693a",
    "failed": "#b3261e",
    "cancelled": "#5a5d66",
    "failed-soft": "#fcefee",
    "paused-soft": "#fdf4e3",
    "series-total": "#1b1c20",
    "series-yellow": "#b39b00",
}

DARK: Mapping[str, str] = {
    "bg": "#121317",
    "surface": "#1a1b20",
    "sunken": "#23242b",
    "text": "#ececf0",
    "muted": "#a4a7b1",
    "border": "#30323a",
    "border-strong": "#747782",
    "accent": "#a9b1ff",
    "accent-soft": "#272947",
    "on-accent": "#14151a",
    "queued": "#a4a7b1",
    "running": "#a9b1ff",
    "paused": "#e3ad52",
    "succeeded": "#62c98d",
    "failed": "#ff8f85",
    "cancelled": "#a4a7b1",
    "failed-soft": "#38201f",
    "paused-soft": "#33291a",
    "series-total": "#ececf0",
    "series-yellow": "#f0e442",
}

# Okabe and Ito's palette: told apart by colour-blind eyes, and the same on both grounds.
SERIES: Mapping[str, str] = {
    "series-blue": "#0072b2",
    "series-orange": "#e69f00",
    "series-green": "#009e73",
    "series-sky": "#56b4e9",
    "series-vermillion": "#d55e00",
    "series-purple": "#cc79a7",
    # The ring around new tokens is the same in both themes: a pale one would be lost on viridis.
    "ring": "#4338ca",
}
DARK_SERIES: Mapping[str, str] = {**SERIES, "series-blue": "#3f9bd4"}

TEXT_ON_GROUND = (
    ("text", ("bg", "surface", "sunken", "accent-soft", "failed-soft", "paused-soft")),
    ("muted", ("bg", "surface", "sunken")),
    ("accent", ("bg", "surface", "sunken", "accent-soft")),
    ("on-accent", ("accent",)),
    ("paused", ("bg", "surface", "paused-soft")),
    ("succeeded", ("bg", "surface")),
    ("failed", ("bg", "surface", "failed-soft")),
    ("queued", ("bg", "surface")),
    ("cancelled", ("bg", "surface")),
)


def contrast(first: str, second: str) -> float:
    """The WCAG contrast of two #rrggbb colours, 1 to 21."""
    brighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def css_variables() -> str:
    """The colours as CSS: light, dark where the system asks for it, and either where the person chose it."""
    light, dark = _declarations({**LIGHT, **SERIES}), _declarations({**DARK, **DARK_SERIES})
    return (
        f":root {{ color-scheme: light; {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ color-scheme: dark; {dark} }} }}\n"
        f":root[data-theme=dark] {{ color-scheme: dark; {dark} }}\n"
    )


def _declarations(colours: Mapping[str, str]) -> str:
    return " ".join(f"--u-{name}: {value};" for name, value in colours.items())
