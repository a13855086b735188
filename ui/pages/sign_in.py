"""The sign-in page as one plain document: one field, nothing of the studio's own. Its script speaks to the API.

It is served before the pages are built, and it alone where a studio is shut: what it loads must be on the open paths.
"""

from __future__ import annotations

from fastapi.responses import HTMLResponse

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'",
    "Referrer-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-cache",
}
# The form posts, so that the token stands in no address even where the script did not come.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sign in · Unmask Studio</title>
<link rel="icon" type="image/svg+xml" href="/studio/icon.svg">
<link rel="stylesheet" href="/studio/theme.css">
<link rel="stylesheet" href="/studio/studio.css">
<link rel="stylesheet" href="/studio/sign_in.css">
<script type="module" src="/studio/sign_in.js"></script>
</head>
<body><main class="u-part u-sign-in" aria-busy="true">
<form class="u-card" method="post">
<img src="/studio/icon.svg" alt="" width="40" height="40">
<h1>Sign in to Unmask Studio</h1>
<label for="token">Access token</label>
<input class="u-input" id="token" type="password" autocomplete="current-password" autocapitalize="none"
 spellcheck="false" maxlength="512" required autofocus aria-describedby="refusal about">
<p id="refusal" class="u-sign-in-refusal" role="alert"></p>
<button class="u-btn u-main" type="submit" disabled>Sign in</button>
<p id="about" class="u-small u-muted">It is what <code>UNMASK_ACCESS_TOKEN</code> was set to when this studio was
started. To rate pictures you need none: open the link that you were given.</p>
</form>
<noscript>Signing in needs JavaScript.</noscript>
</main></body>
</html>
"""


def sign_in_page() -> HTMLResponse:
    """The document, the same for everybody."""
    return HTMLResponse(_PAGE, headers=_HEADERS)
