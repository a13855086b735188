"""The rater's page as one plain document: no navigation, nothing of Gradio's, and no word about runs or policies.

It is served before the pages are built, so that a restart of the studio keeps raters waiting for a second, not ten.
"""

from __future__ import annotations

from fastapi.responses import HTMLResponse

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
