"""MLflow: one experiment a project, one of its runs for each of ours, found again by a tag."""

from __future__ import annotations

import time
from collections.abc import Mapping

from backend.errors import MalformedError
from backend.exporters.sink import RunFacts, Tracker, load_package
from backend.schemas.run import RunStatus

_RUN_TAG, _STEP_TAG = "unmask.run_id", "unmask.last_step"
# MLflow's own bounds of one call.
_PARAMS_AT_ONCE, _METRICS_AT_ONCE, _LONGEST_PARAM = 100, 1000, 6000

_ENDS = {RunStatus.SUCCEEDED: "FINISHED", RunStatus.FAILED: "FAILED", RunStatus.CANCELLED: "KILLED"}


class MLflowSink:
    """A run with MLflow; `uri` is its tracking URI, such as sqlite:///mlflow.db or http://127.0.0.1:5000."""

    tracker = Tracker.MLFLOW

    def __init__(self, facts: RunFacts, *, project: str, uri: str | None) -> None:
        load_package("mlflow", Tracker.MLFLOW)
        self._entities = load_package("mlflow.entities", Tracker.MLFLOW)
        try:
            self._client = load_package("mlflow.tracking", Tracker.MLFLOW).MlflowClient(tracking_uri=uri)
            experiment = self._client.get_experiment_by_name(project)
            key = self._client.create_experiment(project) if experiment is None else experiment.experiment_id
            found = self._client.search_runs([key], filter_string=f"tags.`{_RUN_TAG}` = '{facts.id}'")
            self._run_id = found[0].info.run_id if found else self._begin(key, facts)
        except Exception as error:
            # Whatever MLflow raises of its own, of the file system or of HTTP, the address is what a person can mend.
            raise MalformedError(f"MLflow does not answer at {uri or 'its default address'}: {error}") from error
        self.last_step = int(found[0].data.tags.get(_STEP_TAG, -1)) if found else -1

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the numbers of one step."""
        now = int(time.time() * 1000)
        metrics = [self._entities.Metric(_name(name), value, now, step) for name, value in values.items()]
        for start in range(0, len(metrics), _METRICS_AT_ONCE):
            self._client.log_batch(self._run_id, metrics=metrics[start : start + _METRICS_AT_ONCE])
        self._client.set_tag(self._run_id, _STEP_TAG, str(step))
        self.last_step = step

    def close(self, *, outcome: RunStatus | None) -> None:
        """Ends the run there; one of ours that goes on stays open."""
        if outcome is not None:
            self._client.set_terminated(self._run_id, _ENDS[outcome])

    def _begin(self, experiment: str, facts: RunFacts) -> str:
        tags = {_RUN_TAG: facts.id, "unmask.tags": ",".join(facts.tags)}
        run = self._client.create_run(experiment, tags=tags, run_name=facts.name)
        params = [self._entities.Param(name, str(value)[:_LONGEST_PARAM]) for name, value in facts.settings.items()]
        for start in range(0, len(params), _PARAMS_AT_ONCE):
            self._client.log_batch(run.info.run_id, params=params[start : start + _PARAMS_AT_ONCE])
        return str(run.info.run_id)


def _name(name: str) -> str:
    """MLflow takes letters, digits, and - . / _ and spaces in names."""
    return "".join(letter if letter.isalnum() or letter in "_-. /" else "_" for letter in name)
