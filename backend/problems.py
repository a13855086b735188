"""Every error as RFC 9457 problem+json. Knows which exceptions mean what; knows no route."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.types import Scope

from backend.errors import InternalError, MalformedError, StudioError, UnavailableError
from backend.schemas.base import FieldProblem, Problem
from backend.schemas.every_run import RunKind
from backend.schemas.refusal import refusal

MEDIA_TYPE = "application/problem+json"

log = logging.getLogger(__name__)


def request_id_of(scope: Scope) -> str:
    """The id that the outermost layer gave the request."""
    request_id: str = scope.get("state", {}).get("request_id", "")
    return request_id


def problem_response(error: StudioError, scope: Scope) -> Response:
    """The answer that tells of an error."""
    problem = Problem(
        title=error.title,
        status=error.status,
        detail=error.detail,
        code=error.code,
        request_id=request_id_of(scope),
        errors=list(error.errors),
    )
    return Response(problem.model_dump_json(), error.status, error.headers, MEDIA_TYPE)


def install_handlers(app: FastAPI) -> None:
    """Makes the app answer every known exception as a problem; unknown ones reach the outermost layer."""
    app.add_exception_handler(StudioError, _on_studio_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    for kind in (OperationalError, InterfaceError, PoolTimeoutError):
        app.add_exception_handler(kind, _on_database_down)
    app.add_exception_handler(DataError, _on_refused_data)


def answer_crash(scope: Scope) -> Response:
    """The answer to an exception that nobody foresaw; the caller has logged it."""
    return problem_response(
        InternalError(f"something unforeseen happened; the log has it under {request_id_of(scope)}"), scope
    )


def _on_studio_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StudioError)
    return problem_response(error, request.scope)


def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = tuple(FieldProblem(pointer=_pointer(each["loc"]), message=refusal(each)) for each in error.errors())
    detail = "; ".join(f"{each.pointer or 'the body'}: {each.message}" for each in problems[:3])
    return problem_response(MalformedError(detail, problems), request.scope)


def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    try:
        status = HTTPStatus(error.status_code)
    except ValueError:
        status = HTTPStatus.BAD_REQUEST
    shown = StudioError(_plain_words(status, str(error.detail), request))
    shown.status, shown.code, shown.title = status.value, status.name.lower(), status.phrase
    response = problem_response(shown, request.scope)
    response.headers.update(error.headers or {})
    return response


def _on_database_down(request: Request, error: Exception) -> Response:
    log.warning("the database does not answer: %s", error)
    return problem_response(
        UnavailableError("the database does not answer; nothing was changed, try again in a moment"), request.scope
    )


def _on_refused_data(request: Request, error: Exception) -> Response:
    log.info("the database refused a value: %s", error)
    return problem_response(
        MalformedError("a text has a character that cannot be stored (NUL), or a number is out of range"), request.scope
    )


def _plain_words(status: HTTPStatus, detail: str, request: Request) -> str:
    if status is HTTPStatus.NOT_FOUND and detail == status.phrase:
        return f"there is nothing at {request.url.path}: the routes are listed in /api/v1/openapi.json"
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method} is not possible at {request.url.path}"
    return detail


def _pointer(place: Sequence[Any]) -> str:
    """A JSON pointer into the body, or /query/..., /path/..., /header/...; the union's tag is no part of the body."""
    parts = list(place)
    if parts and parts[0] == "body":
        parts = parts[1:]
        if "config" in parts[:1] and len(parts) > 1 and parts[1] in set(RunKind):
            del parts[1]
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
