"""The rater's page as one plain document: no navigation, nothing of Gradio's, and no word about runs or policies.

It is served before the pages are built, so that a restart of the studio keeps raters waiting for a second, not ten. Its
service worker keeps document, script and style in the browser, so that the page opens without a network too.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from fastapi import Response
from fastapi.responses import HTMLResponse

from ui.theme import css_variables

# Pictures come with the rater's token as blobs. Nothing may load from elsewhere, and no address is told to anybody.
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-cache",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta name="color-scheme" content="light dark">
<title>Which picture is better?</title>
<link rel="icon" type="image/svg+xml" href="/studio/icon.svg">
<link rel="stylesheet" href="/studio/theme.css">
<link rel="stylesheet" href="/studio/studio.css">
<link rel="stylesheet" href="/studio/rate.css">
<script type="module" src="/studio/rate.js"></script>
</head>
<body><main class="u-part u-rate" aria-busy="true"><p class="u-empty">The pairs are being fetched …</p></main>
<noscript>This page needs JavaScript to show pairs and to send votes.</noscript></body>
</html>
"""


def rating_page() -> HTMLResponse:
    """The document; the token stays in the part of the address that browsers never send."""
    return HTMLResponse(_PAGE, headers=_HEADERS)


def rating_worker(static: Path) -> Response:
    """The page's service worker. It may serve `/rate` and no other page, and changes with each file that it keeps.

    Args:
        static: the folder that is served at /studio.
    """
    files = _files(static)
    content = hashlib.sha256((_PAGE + css_variables()).encode())
    for name in files:
        path = static / name
        content.update(path.read_bytes() if path.exists() else b"")
    kept = {"version": content.hexdigest()[:16], "files": [f"/studio/{name}" for name in files]}
    script = f"const KEPT = {json.dumps(kept)};\n{(static / 'rate_worker.js').read_text()}"
    headers = {"Service-Worker-Allowed": "/rate", "Cache-Control": "no-cache"}
    return Response(script, media_type="text/javascript", headers=headers)


def _files(static: Path) -> list[str]:
    """Every file of the page: what the document names, and what its scripts import."""
    found = re.findall(r'"/studio/([^"]+)"', _PAGE)
    for name in found:
        imports = re.findall(r'from "\./([\w.]+)"', (static / name).read_text()) if name.endswith(".js") else []
        # The list grows while it is walked: scripts of scripts are found in their turn.
        found.extend(each for each in imports if each not in found)
    return found
