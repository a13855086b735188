"""One connection to one studio: requests, and problems raised as what `errors` has."""

from __future__ import annotations

from types import TracebackType
from typing import IO, Any, Self, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel, ValidationError

from backend.errors import StudioError, UnavailableError, error_class
from backend.schemas.base import Problem

Wire = TypeVar("Wire", bound=BaseModel)
RunID = UUID | str


class Connection:
    """Speaks HTTP to one studio; `token` is its access token, where it asks for one."""

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
        token: str | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        # Proxies of the environment are for the world outside; a studio is near.
        self._http = httpx.Client(
            base_url=self.base_url, timeout=timeout, transport=transport, headers=headers, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the connections."""
        self._http.close()

    def _get(self, kind: type[Wire], path: str, /, **params: Any) -> Wire:
        given = {name: value for name, value in params.items() if value is not None}
        return kind.model_validate_json(self._send("GET", path, params=given).content)

    def _post(self, kind: type[Wire], path: str, body: BaseModel | None = None, key: str | None = None) -> Wire:
        headers = {} if key is None else {"Idempotency-Key": key}
        content = None if body is None else body.model_dump_json()
        return kind.model_validate_json(self._send("POST", path, content=content, headers=headers).content)

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._request(method, f"/api/v1{path}", **options)

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        if options.get("content") is not None:
            options["headers"] = {**options.get("headers", {}), "Content-Type": "application/json"}
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise self._away(error) from error
        raise_problem(response)
        return response

    def _receive(self, path: str, file: IO[bytes], **params: Any) -> int:
        """Writes an answer into an open file as it comes; gives its size in bytes."""
        num_bytes = 0
        try:
            with self._http.stream("GET", f"/api/v1{path}", params=params) as response:
                if response.is_error:
                    response.read()
                raise_problem(response)
                for piece in response.iter_bytes():
                    num_bytes += file.write(piece)
        except httpx.TransportError as error:
            raise self._away(error) from error
        return num_bytes

    def _away(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            f"no studio answers at {self.base_url} ({type(error).__name__}): start it with `unmask up`"
        )


def raise_problem(response: httpx.Response) -> None:
    """Raises what an answer of 4xx or 5xx tells, as the class that `errors` has for its status."""
    if not response.is_error:
        return
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        kind = UnavailableError if response.status_code >= 500 else StudioError
        raise kind(f"{response.request.url} answered {response.status_code} without a reason") from None
    error = error_class(problem.status)(problem.detail, tuple(problem.errors))
    error.request_id = problem.request_id
    raise error
