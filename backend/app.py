"""The ASGI app: routes, errors, outer layers. Starts without a database and without torch; pages mount on it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool
from starlette.exceptions import HTTPException

from backend.access import endpoints as access
from backend.access.gate import Gate
from backend.access.layer import AccessLayer
from backend.bundles import endpoints as bundles
from backend.catalogue import endpoints as catalogue
from backend.catalogue.service import get_version
from backend.db import build_engine, build_lane, build_sessions, database_url
from backend.evaluations import endpoints as evaluations
from backend.middleware import REQUESTS, SECONDS, GuardLayer, RequestLayer
from backend.pair_sets import endpoints as pair_sets
from backend.pictures import endpoints as pictures
from backend.preferences import endpoints as preferences
from backend.preferences import rating_endpoints as rating
from backend.preferences import result_endpoints as label_results
from backend.preferences.tokens import RaterLayer
from backend.preflight import endpoints as preflight
from backend.problems import MEDIA_TYPE, install_handlers
from backend.prompt_sets import endpoints as prompt_sets
from backend.registry import alias_endpoints as aliases
from backend.registry import endpoints as registry
from backend.reward_models import endpoints as reward_models
from backend.reward_tests import endpoints as reward_tests
from backend.runs import endpoints as runs
from backend.runs import event_endpoints as run_events
from backend.runs.stream import EventFeed
from backend.samples import endpoints as samples
from backend.samples import followed_endpoints as followed_prompts
from backend.schemas.base import Problem
from backend.settings import Settings, get_settings

DESCRIPTION = """Launch, watch and steer RL post-training of masked text-to-image models.

Errors are problem+json (RFC 9457). Lists are paged by `limit` and `after`, the opaque `next_cursor` of the page before.
Times are RFC 3339 in UTC; a number that is NaN or infinite is null."""

# Longer than any query of ours takes, and shorter than a supervisor's patience.
_IDLE_SECONDS = 2.0

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

# All of them under /api/v1, in the order of the contract. A request is compared with one route after another, so the
# door of the raters, who may be fifty at once, comes first.
ROUTERS = (
    rating.router,
    runs.router,
    run_events.router,
    bundles.router,
    samples.router,
    followed_prompts.router,
    evaluations.router,
    preferences.router,
    reward_models.router,
    reward_tests.router,
    pictures.router,
    label_results.router,
    pair_sets.router,
    prompt_sets.router,
    registry.router,
    aliases.router,
    catalogue.router,
    preflight.router,
    access.router,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The API under /api/v1 and the health routes. Without a DATABASE_URL every route that needs one answers 503."""
    settings = settings or get_settings()
    app = FastAPI(
        title="Unmask Studio",
        version=get_version().version,
        description=DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        generate_unique_id_function=_operation_id,
        responses={"default": {"model": Problem, "description": "A problem, RFC 9457"}},
    )
    app.state.settings = settings
    app.state.engine = None if settings.database_url is None else build_engine(database_url(settings))
    app.state.sessions = None if app.state.engine is None else build_sessions(app.state.engine)
    app.state.lane = None if app.state.engine is None else build_lane(app.state.engine)
    app.state.feed = None if app.state.sessions is None else EventFeed(app.state.sessions)
    app.state.gate = None if settings.access_token is None else Gate(settings.access_token.get_secret_value())
    app.state.collectors = (REQUESTS, SECONDS)
    for router in ROUTERS:
        app.include_router(router, prefix="/api/v1")
    app.include_router(catalogue.health)
    app.include_router(_nothing_here)
    install_handlers(app)
    app.add_middleware(RaterLayer)
    if app.state.gate is not None:
        app.add_middleware(AccessLayer, gate=app.state.gate)
    app.add_middleware(GuardLayer, allowed_hosts=settings.allowed_hosts, public_url=settings.public_url)
    app.add_middleware(RequestLayer)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


_nothing_here = APIRouter(include_in_schema=False)


@_nothing_here.api_route("/api/{path:path}", methods=METHODS)
def refuse_unknown(request: Request, path: str) -> None:
    """Whatever is unknown under /api is the API's to answer, also where pages are mounted at the root."""
    allowed = _methods_at(request.app.openapi(), request.url.path)
    if allowed:
        raise HTTPException(405, headers={"Allow": ", ".join(allowed)})
    raise HTTPException(404)


@_nothing_here.get("/openapi.json")
@_nothing_here.get("/docs")
@_nothing_here.get("/redoc")
def point_to_contract(request: Request) -> RedirectResponse:
    """Where tools look for a contract by habit they find ours, and never that of what is mounted at the root."""
    return RedirectResponse(str(request.app.openapi_url))


def _methods_at(contract: dict[str, Any], path: str) -> list[str]:
    for template, operations in contract["paths"].items():
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path):
            return sorted(method.upper() for method in operations)
    return []


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    if app.state.engine is None:
        return
    await app.state.feed.close()
    await _wait_until_idle(app.state.engine)
    await _wait_until_idle(app.state.lane)
    app.state.engine.dispose()


async def _wait_until_idle(engine: Engine) -> None:
    """Waits for the threads of cancelled requests: what they hold when the pool is disposed of, nobody would close."""
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    with suppress(TimeoutError):
        async with asyncio.timeout(_IDLE_SECONDS):
            while pool.checkedout():
                await asyncio.sleep(0.02)


def _operation_id(route: APIRoute) -> str:
    return route.name


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The contract; a problem's media type is set here, for FastAPI knows one media type a route."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            separate_input_output_schemas=False,
        )
        for path in schema["paths"].values():
            for operation in path.values():
                problem = operation["responses"]["default"]
                problem["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        # Needed only where the studio was started with an access token, hence the empty one beside it.
        schema["components"]["securitySchemes"] = {"access_token": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{}, {"access_token": []}]
        app.openapi_schema = schema
    return app.openapi_schema


def openapi_text() -> str:
    """The contract as docs/openapi.json holds it."""
    return json.dumps(create_app(Settings(database_url=None)).openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(openapi_text())
