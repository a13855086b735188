"""Metrics for other programs: Weights & Biases, MLflow, trackio. None is installed unless asked for, as an extra.

An exporter is a follower of a run's events over REST: no job and no worker knows of it, and none waits for it.
"""

from __future__ import annotations

from backend.exporters.sink import RunFacts, Sink, Tracker
from backend.exporters.stream import export_events

__all__ = ["RunFacts", "Sink", "Tracker", "export_events", "open_sink"]


def open_sink(tracker: Tracker, facts: RunFacts, *, project: str, uri: str | None) -> Sink:
    """Begins a run with the tracker, or goes on with the one of an earlier export.

    Raises:
        UnavailableError: when its package is not installed; names the extra.
        MalformedError: when the tracker cannot be reached in the way that `uri` says.
    """
    # Each file imports its own package only when it is opened.
    if tracker is Tracker.MLFLOW:
        from backend.exporters.to_mlflow import MLflowSink  # noqa: PLC0415

        return MLflowSink(facts, project=project, uri=uri)
    if tracker is Tracker.WANDB:
        from backend.exporters.to_wandb import WandbSink  # noqa: PLC0415

        return WandbSink(facts, project=project, uri=uri)
    from backend.exporters.to_trackio import TrackioSink  # noqa: PLC0415

    return TrackioSink(facts, project=project, uri=uri)
