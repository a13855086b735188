"""Recipes, workers, health: what a run can be made by, and whether everything is there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, text, update
from sqlalchemy.orm import Session, sessionmaker

import migrations
from backend.app import create_app
from backend.catalogue import repository
from backend.db import transaction
from backend.models import RunRow, WorkerRow
from backend.recipes.loading import load_recipe, load_recipes
from backend.runs.preview import to_yaml
from backend.schemas.config import TrainConfig
from backend.settings import Settings

Sessions = sessionmaker[Session]
MakeRun = Callable[..., RunRow]

HEADER = """# title: A title
# description: What it does,
#   in two lines.
# cost: 5 minutes on 2 cores
# expected: 8 points
# command: unmask run create a
"""


def test_a_recipe_is_its_header_and_its_configuration(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(HEADER + to_yaml(TrainConfig(num_steps=3)))
    recipe = load_recipe(path)
    assert (recipe.name, recipe.title, recipe.cost) == ("a", "A title", "5 minutes on 2 cores")
    assert recipe.description == "What it does, in two lines."
    assert recipe.config == TrainConfig(num_steps=3)
    assert recipe.yaml == path.read_text()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEADER.replace("# cost", "# price") + "kind: train\n", r"lacks the comment lines \['cost'\]"),
        (HEADER + "kind: train\nnum_steps: 0\n", r"^recipe a.yaml: train.num_steps: must be at least 1, not 0$"),
        (HEADER + "kind: [\n", "recipe a.yaml"),
    ],
)
def test_a_broken_recipe_is_refused_by_name(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "a.yaml").write_text(content)
    with pytest.raises(ValueError, match=words):
        load_recipes(tmp_path)


def test_every_shipped_recipe_is_served_as_it_is_checked_in(api: TestClient) -> None:
    served = api.get("/api/v1/recipes").json()
    assert [recipe["name"] for recipe in served["data"]] == [recipe.name for recipe in load_recipes()]
    for recipe in load_recipes():
        assert api.get(f"/api/v1/recipes/{recipe.name}").json()["yaml"] == recipe.yaml
        assert api.post("/api/v1/runs/preview", json={"config": recipe.config.model_dump(mode="json")}).is_success
    assert api.get("/api/v1/recipes/none").json()["code"] == "not_found"


def test_a_worker_is_listed_while_it_is_heard_from(api: TestClient, sessions: Sessions) -> None:
    for name in ("a", "b", "a"):
        with transaction(sessions) as session:
            repository.hear_from_worker(session, name=name, run_id=None, device="cpu", num_cores=2, memory_gib=7.5)
    assert [worker["name"] for worker in api.get("/api/v1/workers").json()["data"]] == ["a", "b"]
    with transaction(sessions) as session:
        repository.forget_worker(session, name="a")
        session.execute(update(WorkerRow).values(seen_at=func.now() - timedelta(minutes=5)))
    assert api.get("/api/v1/workers").json()["data"] == []


def test_the_schema_of_a_configuration_has_what_a_form_needs(api: TestClient) -> None:
    schema = api.get("/api/v1/config-schema").json()
    field = schema["$defs"]["RolloutConfig"]["properties"]["group_size"]
    assert (field["minimum"], field["maximum"], field["default"], field["title"]) == (2, 1024, 6, "Group size")
    assert set(schema["discriminator"]["mapping"]) == {"train", "pretrain", "sample", "evaluate", "reward_model"}


def test_the_version_says_what_answers(api: TestClient) -> None:
    body = api.get("/api/v1/version").json()
    assert (body["name"], body["api"]) == ("unmask-studio", "v1")


def test_a_studio_with_everything_is_ready(api: TestClient) -> None:
    assert api.get("/livez").text == "ok"
    assert api.get("/readyz").json() == {"is_ready": True, "checks": {"database": "ok", "storage": "ok"}}


def test_a_database_without_migrations_is_not_ready(api: TestClient, sessions: Sessions) -> None:
    newest = migrations.newest_revision()
    with transaction(sessions) as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'old'"))
    try:
        response = api.get("/readyz")
    finally:
        with transaction(sessions) as session:
            session.execute(text("UPDATE alembic_version SET version_num = :newest"), {"newest": newest})
    assert response.status_code == 503
    assert response.json()["errors"] == [
        {"pointer": "/database", "message": f"is at revision old, needs {newest}: run `unmask migrate`"}
    ]


def test_a_folder_that_cannot_be_written_is_not_ready(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    blocked = settings.model_copy(update={"data_dir": tmp_path / "file" / "data"})
    with TestClient(create_app(blocked)) as client:
        response = client.get("/readyz")
    assert response.status_code == 503
    assert [each["pointer"] for each in response.json()["errors"]] == ["/storage"]


def test_a_database_that_is_away_is_answered_as_unavailable(settings: Settings, tmp_path: Path) -> None:
    away = Settings.model_validate(
        {
            "DATABASE_URL": f"postgresql://postgres@/postgres?host={tmp_path}",
            "DATA_DIR": tmp_path,
            "allowed_hosts": ("testserver",),
        }
    )
    with TestClient(create_app(away)) as client:
        for path in ("/api/v1/runs", "/readyz", "/metrics"):
            response = client.get(path)
            assert (response.status_code, response.json()["code"]) == (503, "unavailable")
        assert client.get("/livez").status_code == 200
        assert client.get("/api/v1/version").status_code == 200


def test_a_studio_without_a_database_url_says_what_to_do(tmp_path: Path) -> None:
    bare = Settings.model_validate({"DATA_DIR": tmp_path, "allowed_hosts": ("testserver",)})
    with TestClient(create_app(bare.model_copy(update={"database_url": None}))) as client:
        response = client.get("/api/v1/runs")
    assert response.status_code == 503
    assert "unmask up" in response.json()["detail"]


def test_prometheus_reads_runs_by_status_and_requests_by_operation(api: TestClient, make_run: MakeRun) -> None:
    run = make_run()
    api.get(f"/api/v1/runs/{run.id}")
    lines = api.get("/metrics").text
    assert 'unmask_runs{status="queued"} 1.0' in lines
    assert 'unmask_runs{status="failed"} 0.0' in lines
    assert 'unmask_http_requests_total{operation="get_run",status="200"}' in lines
    assert str(run.id) not in lines
