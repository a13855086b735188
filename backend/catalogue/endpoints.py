"""/api/v1/recipes, workers, version, config-schema: what a run can be made of and by; and the health routes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from backend.catalogue import repository, service
from backend.dependencies import SessionDep, SettingsDep, sessions_of
from backend.recipes.loading import get_recipe as find_recipe
from backend.recipes.loading import load_recipes
from backend.runs import repository as runs
from backend.schemas.base import Page
from backend.schemas.config import run_config_adapter
from backend.schemas.run import Readiness, Recipe, RunStatus, Version, Worker

router = APIRouter(tags=["catalogue"])
health = APIRouter(tags=["health"])


@router.get("/recipes")
def list_recipes() -> Page[Recipe]:
    """Configurations that reproduce a result."""
    return Page(data=list(load_recipes()), has_more=False)


@router.get("/recipes/{name}")
def get_recipe(name: str) -> Recipe:
    """One recipe."""
    return find_recipe(name)


@router.get("/workers")
def list_workers(session: SessionDep) -> Page[Worker]:
    """Workers that were heard from lately, and what each holds."""
    return Page(data=[row.to_wire() for row in repository.list_workers(session)], has_more=False)


@router.get("/version")
def get_version() -> Version:
    """What answers."""
    return service.get_version()


@router.get("/config-schema")
def get_config_schema() -> dict[str, Any]:
    """The JSON schema of a run's configuration, with titles, bounds, units and help: what a form is made of."""
    return run_config_adapter.json_schema()


@health.get("/livez", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def check_life() -> Response:
    """The process answers."""
    return Response("ok", media_type="text/plain")


@health.get("/readyz")
def check_readiness(request: Request, settings: SettingsDep) -> Readiness:
    """Database, migrations at head and storage are there; 503 says which is not."""
    return service.check_readiness(sessions_of(request), settings.data_dir)


@health.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def read_metrics(request: Request, session: SessionDep) -> Response:
    """Prometheus: requests, runs by status, workers."""
    registry = CollectorRegistry()
    for collector in request.app.state.collectors:
        registry.register(collector)
    stands = Gauge("unmask_runs", "Runs by status", ["status"], registry=registry)
    counts = runs.count_by_status(session)
    for status in RunStatus:
        stands.labels(status.value).set(counts.get(status.value, 0))
    Gauge("unmask_workers", "Workers heard from lately", registry=registry).set(len(repository.list_workers(session)))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
