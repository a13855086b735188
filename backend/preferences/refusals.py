"""What the rater's door refuses for a reason that nobody foresaw is logged with the rater's id; knows no route."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from backend.errors import AlreadyVotedError, GoneError, LinkShutError, NotFoundError, StudioError, UnavailableError
from backend.preferences.tokens import door_at

# These are told to the rater, who loses nothing by them.
_FORESEEN = (AlreadyVotedError, GoneError, LinkShutError, NotFoundError, UnavailableError)

log = logging.getLogger(__name__)


class DoorRoute(APIRoute):
    """A route at the door: nothing that a rater did is refused without a word to the studio's owner."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, whose refusals are logged on their way."""
        handle = super().get_route_handler()

        async def handle_and_tell(request: Request) -> Response:
            try:
                return await handle(request)
            except (RequestValidationError, StudioError) as error:
                if request.method != "GET" and not isinstance(error, _FORESEEN):
                    await run_in_threadpool(_tell, request, error)
                raise

        return handle_and_tell


def _tell(request: Request, error: RequestValidationError | StudioError) -> None:
    rater_id = door_at(request, request.headers.get("authorization")).rater_id()
    # The words of a validation error repeat the input; its places and reasons say enough.
    why = error.detail if isinstance(error, StudioError) else [(each["loc"], each["msg"]) for each in error.errors()]
    log.warning("rater %s was refused at %s %s: %s", rater_id, request.method, request.url.path, why)
