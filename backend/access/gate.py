"""The access token as what opens: a token, or a browser's session that it signed. Knows no route and no database.

A session is `<when it ends>.<chance>.<HMAC-SHA256 of both>` under a key made from the token: nothing is stored, a
restart ends none, and another token ends all.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
import re
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from backend.access.tries import Tries
from backend.errors import StudioError, TooManyTriesError, UnauthenticatedError

LIFETIME = timedelta(days=7)

_SESSION = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{43})", re.ASCII)
_WRONG = "this is not the access token of this studio: it is what UNMASK_ACCESS_TOKEN was when the studio was started"

log = logging.getLogger(__name__)


class Gate:
    """Judges what a request shows.

    Args:
        token: the access token.
        tries: counts the wrong ones.
        delay_seconds: how long the answer to a wrong one is held back.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        token: str,
        *,
        tries: Tries | None = None,
        delay_seconds: float = 0.5,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._token = token.encode()
        self._tries = tries or Tries()
        self._delay_seconds = delay_seconds
        self._clock = clock
        # Cookies know no port: under one name, two studios of one machine would sign each other's people out.
        self.cookie_name = f"unmask_session_{self._mac('name of the cookie').hex()[:8]}"

    def is_token(self, given: str) -> bool:
        """Whether this is the access token, in a time that does not tell how much of it is right."""
        return hmac.compare_digest(given.encode(errors="replace"), self._token)

    def new_session(self) -> tuple[str, datetime]:
        """A session's value and when it ends."""
        ends = int(self._clock() + LIFETIME.total_seconds())
        words = f"{ends}.{secrets.token_urlsafe(12)}"
        return f"{words}.{self._signature(words)}", datetime.fromtimestamp(ends, UTC)

    def end_of_session(self, value: str) -> datetime | None:
        """When a session ends; None for one that has ended, or was not signed with this token."""
        found = _SESSION.fullmatch(value)
        if found is None:
            return None
        ends, chance, signature = found.groups()
        is_ours = hmac.compare_digest(signature, self._signature(f"{ends}.{chance}"))
        return datetime.fromtimestamp(int(ends), UTC) if is_ours and int(ends) > self._clock() else None

    async def wrong_try(self, address: str) -> StudioError:
        """The answer to a wrong token, held back a moment; 401, and 429 after too many in a minute from one address.

        Wrong tries alone are slowed: the right token and a session always open, so that nobody can shut the owner out.
        """
        wait = self._tries.note(address)
        if wait == 0:
            log.warning("a wrong access token came from %s", address)
        await asyncio.sleep(self._delay_seconds)
        return UnauthenticatedError(_WRONG) if wait == 0 else TooManyTriesError.for_seconds(wait)

    def _signature(self, words: str) -> str:
        return base64.urlsafe_b64encode(self._mac(f"session {words}")).decode().rstrip("=")

    def _mac(self, words: str) -> bytes:
        return hmac.digest(self._token, words.encode(), "sha256")
