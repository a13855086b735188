"""Each exporter against its real package where that is installed, read back from its own files; else against a fake.

The fakes have the signatures of mlflow-skinny 3.17, wandb 0.31 and trackio 0.43.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.exporters import RunFacts, Tracker, export_events, open_sink
from backend.models import RunRow
from backend.schemas.event import Event
from backend.schemas.run import RunStatus
from tests.backend.shell import Shell
from worker import recorder


def is_missing(package: str) -> bool:
    return find_spec(package) is None


@pytest.mark.skipif(is_missing("mlflow"), reason="needs the extra mlflow")
# MLflow's own use of SQLAlchemy; what it deprecates is not ours to mend.
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
def test_mlflow_keeps_each_step_once_also_when_the_export_is_repeated(
    facts: RunFacts, events: list[Event], tmp_path: Path
) -> None:
    from mlflow.tracking import MlflowClient  # noqa: PLC0415

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for part in (events[:4], events, events):
        export_events(part, open_sink(Tracker.MLFLOW, facts, project="p", uri=uri))
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("p")
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "reward/mean")
    assert [(each.step, each.value) for each in history] == [(1, 0.25), (2, 0.5), (3, 0.75)]
    assert run.data.params["policy.source"] == "shipped"
    assert (run.info.status, run.info.run_name) == ("FINISHED", "first look")
    assert "ratio _odd_" in run.data.metrics


@pytest.mark.skipif(is_missing("wandb"), reason="needs the extra wandb")
def test_wandb_writes_a_folder_that_can_be_sent_later(facts: RunFacts, events: list[Event], tmp_path: Path) -> None:
    import wandb  # noqa: PLC0415

    export_events(events, open_sink(Tracker.WANDB, facts, project="p", uri=f"offline:{tmp_path}"))
    wandb.teardown()  # As at the end of the command: its own process writes the last bytes then.
    (file,) = tmp_path.glob(f"wandb/offline-run-*-{facts.id}/*.wandb")
    content = file.read_bytes()
    assert b"reward/mean" in content
    assert b"mini-geneval/policy/overall" in content


@pytest.mark.skipif(is_missing("trackio"), reason="needs the extra trackio")
def test_trackio_keeps_each_step(facts: RunFacts, events: list[Event], tmp_path: Path) -> None:
    export_events(events, open_sink(Tracker.TRACKIO, facts, project="p", uri=str(tmp_path)))
    from trackio.sqlite_storage import SQLiteStorage  # noqa: PLC0415

    (run,) = SQLiteStorage.get_runs("p")
    logs = SQLiteStorage.get_logs("p", run)
    assert [(each["step"], each.get("reward/mean")) for each in logs] == [(0, None), (1, 0.25), (2, 0.5), (3, 0.75)]


class FakeMLflow:
    """MLflow's client with one experiment and its runs in memory."""

    runs: list[SimpleNamespace]

    def __init__(self, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        self.uri = tracking_uri

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        return SimpleNamespace(experiment_id="1") if self.runs else None

    def create_experiment(self, name: str) -> str:
        return "1"

    def search_runs(self, experiment_ids: list[str], filter_string: str = "") -> list[SimpleNamespace]:
        return [run for run in self.runs if f"'{run.data.tags['unmask.run_id']}'" in filter_string]

    def create_run(
        self, experiment_id: str, start_time: int | None = None, tags: Any = None, run_name: str | None = None
    ) -> SimpleNamespace:
        data = SimpleNamespace(tags=dict(tags), params=[], metrics=[])
        self.runs.append(SimpleNamespace(info=SimpleNamespace(run_id="r", status="RUNNING"), data=data))
        return self.runs[-1]

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = (), tags: Any = ()) -> None:
        self.runs[-1].data.params += params
        self.runs[-1].data.metrics += metrics

    def set_tag(self, run_id: str, key: str, value: Any) -> None:
        self.runs[-1].data.tags[key] = value

    def set_terminated(self, run_id: str, status: str | None = None) -> None:
        self.runs[-1].info.status = status


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has a module be there for this test."""

    def put(name: str, **values: Any) -> None:
        module = ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)

    return put


def test_mlflow_is_called_as_its_client_wants_it(
    facts: RunFacts, events: list[Event], install: Callable[..., None]
) -> None:
    FakeMLflow.runs = []
    install("mlflow")
    install("mlflow.entities", Metric=lambda key, value, timestamp, step: (key, value, step), Param=lambda k, v: (k, v))
    install("mlflow.tracking", MlflowClient=FakeMLflow)
    for part in (events[:4], events, events):
        export_events(part, open_sink(Tracker.MLFLOW, facts, project="p", uri="file:x"))
    (run,) = FakeMLflow.runs
    assert [each for each in run.data.metrics if each[0] == "reward/mean"] == [
        ("reward/mean", 0.25, 1),
        ("reward/mean", 0.5, 2),
        ("reward/mean", 0.75, 3),
    ]
    assert ("policy.source", "shipped") in run.data.params
    assert run.info.status == "FINISHED"
    for status, end in ((RunStatus.CANCELLED, "KILLED"), (RunStatus.FAILED, "FAILED")):
        open_sink(Tracker.MLFLOW, facts, project="p", uri="file:x").close(outcome=status)
        assert run.info.status == end


def test_an_mlflow_server_that_goes_away_ends_in_a_sentence(
    studio: str,
    shell: Shell,
    make_run: Callable[..., RunRow],
    sessions: sessionmaker[Session],
    events: list[Event],
    install: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*words: Any, **named: Any) -> None:
        raise ConnectionError("connection refused")

    FakeMLflow.runs = []
    install("mlflow")
    install("mlflow.entities", Metric=lambda key, value, timestamp, step: (key, step), Param=lambda k, v: (k, v))
    install("mlflow.tracking", MlflowClient=FakeMLflow)
    row = make_run(worker="w")
    seq = row.num_events
    for event in events:
        with transaction(sessions) as session:
            seq = recorder.record(session, row.id, row.attempt, event.body, seq).seq
    monkeypatch.setattr(FakeMLflow, "set_tag", refuse)
    assert shell("export-metrics", str(row.id), "--to", "mlflow") == 2
    assert "does not answer any more: ConnectionError: connection refused" in shell.err
    FakeMLflow.runs = []
    monkeypatch.setattr(FakeMLflow, "log_batch", refuse)
    assert shell("export-metrics", str(row.id), "--to", "mlflow") == 2
    assert "MLflow does not answer at its default address: connection refused" in shell.err


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_the_others_are_begun_logged_to_and_finished(
    name: str, facts: RunFacts, events: list[Event], install: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    summary: dict[str, str] = {}
    monkeypatch.setenv("TRACKIO_DIR", "")

    class FakeRun:
        def __init__(self) -> None:
            self.step, self.summary = 0, summary

        def log(self, data: dict[str, Any], step: int | None = None) -> None:
            told.append((step, data.get("reward/mean")))

        def finish(self, exit_code: int | None = None) -> None:
            told.append(exit_code or "finished")

    def init(**options: Any) -> FakeRun:
        told.append((options["project"], options["name"].startswith("first look"), options["config"]["num_steps"]))
        return FakeRun()

    install(name, init=init, Error=RuntimeError, Settings=SimpleNamespace)
    export_events(events, open_sink(Tracker(name), facts, project="p", uri="offline:x" if name == "wandb" else "x"))
    assert told == [("p", True, 3), (0, None), (1, 0.25), (2, 0.5), (3, 0.75), "finished"]
    for status in (RunStatus.CANCELLED, RunStatus.FAILED):
        sink = open_sink(Tracker(name), facts, project="p", uri="offline:x" if name == "wandb" else "x")
        sink.close(outcome=status)
    ends, last = (["finished", 1], "failed") if name == "wandb" else (["finished"] * 2, None)
    assert ([each for each in told if each in ("finished", 1)][1:], summary.get("unmask/status")) == (ends, last)


@pytest.mark.parametrize("words", [(), ("--follow",)])
def test_a_run_is_exported_by_command_and_a_second_time_nothing_is_sent_twice(
    words: tuple[str, ...],
    studio: str,
    shell: Shell,
    make_run: Callable[..., RunRow],
    sessions: sessionmaker[Session],
    events: list[Event],
    install: Callable[..., None],
) -> None:
    FakeMLflow.runs = []
    install("mlflow")
    install("mlflow.entities", Metric=lambda key, value, timestamp, step: (key, step), Param=lambda k, v: (k, v))
    install("mlflow.tracking", MlflowClient=FakeMLflow)
    row = make_run(worker="w", name="counting")
    seq = row.num_events
    for event in events:
        with transaction(sessions) as session:
            seq = recorder.record(session, row.id, row.attempt, event.body, seq).seq
    assert shell("export-metrics", str(row.id), "--to", "mlflow", "--project", "p", *words) == 0
    assert shell.err == "counting: 4 steps sent to mlflow as 'p'\n"
    assert ("num_steps", "60") in FakeMLflow.runs[0].data.params
    assert shell("export-metrics", str(row.id), "--to", "mlflow", "--project", "p", *words) == 0
    assert [each for each in FakeMLflow.runs[0].data.metrics if each[0] == "reward/mean"] == [
        ("reward/mean", 1),
        ("reward/mean", 2),
        ("reward/mean", 3),
    ]
