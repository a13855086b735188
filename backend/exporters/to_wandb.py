"""Weights & Biases: one of its runs for each of ours, by our run's id, so that an export goes on where one stopped."""

from __future__ import annotations

from collections.abc import Mapping

from backend.errors import MalformedError
from backend.exporters.sink import RunFacts, Tracker, load_package
from backend.schemas.run import RunStatus

OFFLINE = "offline:"


class WandbSink:
    """A run with Weights & Biases.

    `uri` is a server's address; `offline:FOLDER` writes into a folder, which `wandb sync` sends later.
    """

    tracker = Tracker.WANDB

    def __init__(self, facts: RunFacts, *, project: str, uri: str | None) -> None:
        wandb = load_package("wandb", Tracker.WANDB)
        is_offline = uri is not None and uri.startswith(OFFLINE)
        folder = uri.removeprefix(OFFLINE) if uri is not None and is_offline else None
        settings = None if uri is None or is_offline else wandb.Settings(base_url=uri)
        try:
            self._run = wandb.init(
                project=project,
                id=facts.id,
                name=facts.name,
                config=dict(facts.settings),
                tags=facts.tags,
                dir=folder or None,
                mode="offline" if is_offline else "online",
                resume=None if is_offline else "allow",
                settings=settings,
            )
        except wandb.Error as error:
            raise MalformedError(f"Weights & Biases does not take the run: {error}") from error
        # A run that is resumed there says at which step it stands; one that begins is at 0.
        self.last_step = int(self._run.step) - 1

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the numbers of one step."""
        self._run.log(dict(values), step=step)
        self.last_step = step

    def close(self, *, outcome: RunStatus | None) -> None:
        """Ends the run there, which can be gone on with; only a failed one of ours is a failed one there."""
        if outcome is not None:
            # There a run is finished or failed, and no more: that a person ended ours stands in its summary.
            self._run.summary["unmask/status"] = outcome.value
        self._run.finish(exit_code=1 if outcome is RunStatus.FAILED else 0)
