"""An event as a line for people: in a terminal and in a job's log."""

from __future__ import annotations

from backend.schemas.event import (
    Alarm,
    Body,
    CheckpointSaved,
    JobStarted,
    Log,
    SamplesMade,
    ScoreMeasured,
    StatusChanged,
    StepFinished,
)

_SHOWN = ("reward", "reward/mean", "loss", "kl", "entropy", "correct", "strict", "accuracy")
_SCORES = ("overall", "strict", "accuracy", "ceiling", "untuned", "gain")


def line_of(body: Body) -> str:
    """An event in a line."""
    match body:
        case JobStarted():
            line = f"begins at step {body.from_step} of {body.num_steps} on {body.device}"
        case StepFinished():
            line = f"step {body.step:>5} / {body.num_steps}  {body.seconds:6.2f} s  {_figures(body)}"
        case ScoreMeasured():
            line = f"{body.benchmark}, {body.policy}: {_scores(body)}"
        case CheckpointSaved():
            line = f"checkpoint of step {body.step}: {body.num_bytes / 2**20:.1f} MiB"
        case SamplesMade():
            line = f"{body.num_done} of {body.num_total} pictures ({body.purpose})"
        case Alarm():
            line = f"{body.severity.value}: {body.message} {body.cure}"
        case Log():
            line = f"{body.level}: {body.message}"
        case StatusChanged():
            line = f"{body.status.value}: {body.reason}" if body.reason else body.status.value
    return line


def _scores(body: ScoreMeasured) -> str:
    """The benchmark's first figures, with intervals where it has them."""
    texts = []
    for name in [name for name in _SCORES if body.values.get(name) is not None]:
        interval = body.intervals.get(name)
        ends = "" if interval is None or name == "strict" else f" [{interval[0]:.3f}, {interval[1]:.3f}]"
        texts.append(f"{name} {body.values[name]:.3f}{ends}")
    return ", ".join(texts)


def _figures(body: StepFinished) -> str:
    """The few metrics that say how it goes, whatever the kind of run."""
    shown = [name for name in body.metrics if name in _SHOWN or name.split("/")[-1] in _SHOWN]
    return "  ".join(f"{name} {body.metrics[name]:.4g}" for name in shown if body.metrics[name] is not None)
