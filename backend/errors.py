"""The errors a person can cause. Each names the value, the bound and the cure; the app renders them as problem+json."""

from __future__ import annotations

from collections.abc import Mapping

from backend.schemas.base import FieldProblem


class StudioError(Exception):
    """Base of all errors that are answered, not crashed on."""

    status = 400
    code = "bad_request"
    title = "Bad request"
    headers: Mapping[str, str] = {}  # Beside those of every answer.

    def __init__(self, detail: str, errors: tuple[FieldProblem, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.request_id: str | None = None  # Known where the error came over the wire.


class NotFoundError(StudioError):
    """What was asked for does not exist."""

    status = 404
    code = "not_found"
    title = "Not found"


class ConflictError(StudioError):
    """The thing is in a state in which this cannot be done."""

    status = 409
    code = "conflict"
    title = "Conflict"


class GoneError(StudioError):
    """What was there is over or removed, and does not come back by itself."""

    status = 410
    code = "gone"
    title = "Gone"


class MalformedError(StudioError):
    """The request itself is wrong."""

    status = 422
    code = "malformed"
    title = "Malformed request"


class UnauthenticatedError(StudioError):
    """The request shows no access token, or a wrong one."""

    status = 401
    code = "unauthenticated"
    title = "Sign in first"
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class TooManyTriesError(StudioError):
    """Too many wrong access tokens came from one address."""

    status = 429
    code = "too_many_tries"
    title = "Too many wrong tries"

    @classmethod
    def for_seconds(cls, wait: int) -> TooManyTriesError:
        """The error that says how long to wait."""
        error = cls(f"too many wrong access tokens came from this address: try again in {wait} s")
        error.headers = {"Retry-After": str(wait)}
        return error


class ForbiddenError(StudioError):
    """The request comes from a place that may not make it."""

    status = 403
    code = "forbidden"
    title = "Forbidden"


class AlreadyVotedError(ConflictError):
    """The rater has a vote on this pair that stands, so another one is no loss."""

    code = "already_voted"


class LinkShutError(ForbiddenError):
    """A rater's link opens nothing: it was withdrawn, or never was one."""

    code = "link_shut"


class MisdirectedError(StudioError):
    """The request names a host that this studio does not answer for."""

    status = 421
    code = "misdirected"
    title = "Misdirected request"


class TooLargeError(StudioError):
    """The request's body is larger than any that makes sense."""

    status = 413
    code = "too_large"
    title = "Too large"


class OutdatedError(StudioError):
    """The thing was changed since it was read."""

    status = 412
    code = "outdated"
    title = "Precondition failed"


class InternalError(StudioError):
    """A mistake of ours; the log knows more under the request's id."""

    status = 500
    code = "internal"
    title = "Internal error"


class UnavailableError(StudioError):
    """A server the studio needs does not answer."""

    status = 503
    code = "unavailable"
    title = "Unavailable"


class LeaseLostError(Exception):
    """An attempt no longer holds its run: it must end and write nothing more."""


def error_class(status: int) -> type[StudioError]:
    """The class that a problem's status stands for."""
    return next((kind for kind in StudioError.__subclasses__() if kind.status == status), StudioError)
