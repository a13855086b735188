"""What is answered without the access token, path by path. Whatever is not here is shut, also what is yet to come."""

from __future__ import annotations

import re

SIGN_IN = "/sign-in"
SESSION = "/api/v1/session"

# Static files by their names, for a folder would open what is added to it later; a test follows what both pages load.
_SHARED = ("icon.svg", "theme.css", "studio.css", "dom.js", "api.js", "format.js")
READABLE = frozenset({"/livez", "/readyz", "/rate", SIGN_IN}) | {
    f"/studio/{name}" for name in (*_SHARED, "sign_in.css", "sign_in.js")
}
# What is named after the rater's page is its own, and of no use to any other.
_OF_RATE = re.compile(r"/studio/rate(?:_[a-z]+)?\.(?:js|css)")

# The rater's API asks for a token of its own. Segments have no dot, so that no path leads out of it again.
_DOOR = re.compile(r"/api/v1/rating(?:/[A-Za-z0-9_-]+)*")


def is_open(method: str, path: str) -> bool:
    """Whether a request needs no access token; the path is decoded, as the router sees it."""
    if path in READABLE or _OF_RATE.fullmatch(path):
        return method in ("GET", "HEAD")
    return path == SESSION or _DOOR.fullmatch(path) is not None
