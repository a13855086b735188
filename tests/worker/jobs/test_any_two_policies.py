"""Two policies of which neither is the first: they differ as a job that has one of them as its base measures it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy.orm import Session, sessionmaker

from backend.artifacts import RunFolder, run_folder
from backend.db import transaction
from backend.evaluation_files import MEASURED_FILE
from backend.runs import repository as runs
from backend.schemas.config import run_config_adapter
from backend.settings import Settings
from tests.worker.jobs.driving import drive
from worker.jobs import run_job
from worker.recorder import record

Sessions = sessionmaker[Session]


@pytest.fixture
def reference(tmp_path: Path) -> dict[str, Any]:
    """Three pictures to measure FID and KID against."""
    folder = tmp_path / "real"
    folder.mkdir()
    for level in (0, 120, 255):
        Image.new("RGB", (64, 64), (level, 90, 0)).save(folder / f"{level}.png")
    return {"folder": str(folder), "kid_subset_size": 3, "num_kid_subsets": 10}


def evaluated(sessions: Sessions, settings: Settings, **policies: Any) -> tuple[UUID, RunFolder]:
    """An evaluation that has ended, as a worker would have recorded it."""
    config = run_config_adapter.validate_python(
        {
            "kind": "evaluate",
            "num_prompts": 12,
            "samples_per_prompt": 3,
            "batch_size": 18,
            "num_replayed": 0,
            "sampling": {"num_unmasking_steps": 2},
            "rewards": [{"name": "jpeg_size"}],
        }
        | policies
    )
    with transaction(sessions) as session:
        row = runs.create_run(session, config=config, kind=config.kind, name="", tags=())
        claimed = runs.claim(session, run_id=row.id, worker="w", lease_seconds=600)
        assert claimed is not None
        run_id, attempt, seq = row.id, claimed.attempt, claimed.num_events
    folder = run_folder(settings.runs_dir, run_id)
    for body in drive(run_job(config, folder))[0]:
        with transaction(sessions) as session:
            seq = record(session, run_id, attempt, body, seq).seq
    return run_id, folder


def test_it_is_number_for_number_what_a_job_with_one_as_its_base_measures(
    api: TestClient, sessions: Sessions, settings: Settings, policy_folder: Path, reference: dict[str, Any]
) -> None:
    tiny = {"source": str(policy_folder), "num_threads": 1, "device": "cpu"}
    shipped = tiny | {"source": "shipped"}
    measures = {"diversity": {}, "reference": reference}
    direct, _ = evaluated(sessions, settings, base=shipped, policy=tiny, **measures)
    again = [{"label": "again", "source": str(policy_folder)}]
    among_three, _ = evaluated(sessions, settings, base=tiny, policy=shipped, policies=again, **measures)
    measured = api.get(f"/api/v1/evaluations/{direct}").json()["difference"]
    answer = api.get(f"/api/v1/evaluations/{among_three}", params={"base": "policy"}).json()
    found = {each["policy"]: each for each in answer["differences"]}
    assert list(found) == ["difference:base", "difference:again"]
    for name in ("overall", "strict", "dense", "jpeg_size", "diversity", "fid", "fid_infinity", "kid", "num_wins"):
        assert name in measured["values"], name
    assert found["difference:again"] | {"policy": "difference"} == measured
    # Of the first one it is the job's own, seen from the other side.
    assert found["difference:base"]["values"]["jpeg_size"] == measured["values"]["jpeg_size"]


def test_an_older_evaluation_has_no_interval_of_what_it_did_not_keep_and_says_so(
    api: TestClient, sessions: Sessions, settings: Settings, policy_folder: Path, reference: dict[str, Any]
) -> None:
    tiny = {"source": str(policy_folder), "num_threads": 1, "device": "cpu"}
    others = [{"label": "again", "source": str(policy_folder)}]
    run_id, folder = evaluated(
        sessions,
        settings,
        base=tiny,
        policy=tiny | {"source": "shipped"},
        policies=others,
        diversity={},
        reference=reference,
    )
    folder.path(MEASURED_FILE).unlink()
    answer = api.get(f"/api/v1/evaluations/{run_id}", params={"base": "policy"}).json()
    again = next(each for each in answer["differences"] if each["policy"] == "difference:again")
    own = {each["policy"]: each["values"] for each in answer["scores"]}
    for name in ("diversity", "pixel_diversity", "near_duplicates", "fid", "kid"):
        assert again["values"][name] == own["again"][name] - own["policy"][name], name
        assert name not in again["intervals"], name
    assert "without an interval" in again["notes"]["diversity"]
    assert "without an interval" in again["notes"]["fid"]
    assert "jpeg_size" in again["intervals"]
