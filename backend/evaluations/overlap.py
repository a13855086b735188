"""Which prompts of an evaluation were also training prompts of its policies, through every run that they come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from backend.evaluations import repository, service
from backend.evaluations.prompt_matching import (
    TrainedPrompts,
    split_texts,
    trained_on,
    trained_on_split,
)
from backend.models import RunRow
from backend.prompt_files import HELDOUT, read_set, sets_beside
from backend.runs.policies import RUN_SOURCE
from backend.schemas.config import AnyRunConfig, PretrainConfig, TrainConfig, run_config_adapter
from backend.schemas.overlap import Overlap, OverlappingPrompt, TrainingSource
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.prompts import PromptConfig, PromptSplit

NUM_TOLD = 50
_SHIPPED = "shipped"


class _Lineage:
    """The trainings behind some policies, each once, with the labels of the policies that come from it."""

    def __init__(self, session: Session, runs_dir: Path) -> None:
        self._session = session
        self._runs_dir = runs_dir
        self.names: dict[str, tuple[UUID | None, str]] = {}
        self.prompts: dict[str, TrainedPrompts] = {}
        self.labels: dict[str, list[str]] = {}
        self.unknown: list[str] = []

    def follow(self, label: str, source: str) -> None:
        """Enters every training of the policy at a source, back to its beginning."""
        seen: set[str] = set()
        while source not in seen:
            seen.add(source)
            if source == _SHIPPED:
                self._enter(_SHIPPED, label, None, "the shipped policy", trained_on_split)
                return
            row = self._run_of(source)
            config = None if row is None else run_config_adapter.validate_python(row.config, extra="ignore")
            if row is None or not isinstance(config, TrainConfig | PretrainConfig):
                self.unknown.append(f"{label}: {source}")
                return
            if isinstance(config, TrainConfig) and _is_gone(config.prompts, self._runs_dir):
                self.unknown.append(f"{label}: {row.name}, whose prompt set {config.prompts.prompt_set[:8]} is gone")
            else:
                self._enter(str(row.id), label, row.id, row.name, partial(self._prompts_of, config))
            if isinstance(config, PretrainConfig):
                return
            source = config.policy.source

    def _enter(self, key: str, label: str, run_id: UUID | None, name: str, read: Callable[[], TrainedPrompts]) -> None:
        self.names[key] = (run_id, name)
        if key not in self.prompts:
            self.prompts[key] = read()
        labels = self.labels.setdefault(key, [])
        if label not in labels:
            labels.append(label)

    def _run_of(self, source: str) -> RunRow | None:
        match = RUN_SOURCE.fullmatch(source)
        try:
            return None if match is None else self._session.get(RunRow, UUID(match["run"]))
        except ValueError:
            return None

    def _prompts_of(self, config: AnyRunConfig) -> TrainedPrompts:
        if not isinstance(config, TrainConfig):
            return trained_on_split()
        own = own_texts(config.prompts, self._runs_dir)
        if own:
            return trained_on(own)
        if config.prompts.split is PromptSplit.HELDOUT:
            return trained_on(split_texts(HELDOUT, config.prompts.tasks))
        return trained_on_split(config.prompts.tasks)


def overlap_of(session: Session, runs_dir: Path, run_id: UUID) -> Overlap:
    """What an evaluation's prompts share with training.

    Raises:
        NotFoundError: when there is no such run.
        ConflictError: when it is no evaluation of two policies or more.
    """
    _, config = service.get_evaluation(session, run_id)
    texts = repository.list_prompts(session, run_id=run_id) or _planned(config, runs_dir)
    return overlap_of_texts(session, runs_dir, config, texts)


def overlap_of_texts(session: Session, runs_dir: Path, config: EvaluateConfig, texts: Sequence[str]) -> Overlap:
    """As `overlap_of`, of a configuration and the prompts that it shows."""
    lineage = _Lineage(session, runs_dir)
    for label, policy in config.candidates.items():
        lineage.follow(label, policy.source)
    exact: dict[str, None] = {}
    alike: dict[str, None] = {}
    sources = []
    for key, trained in lineage.prompts.items():
        same = [text for text in texts if trained.has_words(text)]
        content = [text for text in texts if trained.has_content(text) and not trained.has_words(text)]
        exact |= dict.fromkeys(same)
        alike |= dict.fromkeys(content)
        run_id, name = lineage.names[key]
        sources.append(
            TrainingSource(
                run_id=run_id,
                name=name,
                policies=tuple(lineage.labels[key]),
                num_exact=len(same),
                num_same_content=len(content),
            )
        )
    told = [*((text, True) for text in exact), *((text, False) for text in alike if text not in exact)]
    return Overlap(
        num_prompts=len(texts),
        num_overlapping=sum(text in exact for text in texts),
        num_same_content=sum(text in alike and text not in exact for text in texts),
        prompts=tuple(OverlappingPrompt(prompt=text, is_exact=is_exact) for text, is_exact in told[:NUM_TOLD]),
        training_runs=tuple(sources),
        unknown=tuple(lineage.unknown),
    )


def warning_of(session: Session, runs_dir: Path, config: EvaluateConfig) -> str:
    """What to say before an evaluation is launched; empty where no prompt was trained on word for word."""
    found = overlap_of_texts(session, runs_dir, config, _planned(config, runs_dir))
    if not found.num_overlapping:
        return ""
    names = ", ".join(repr(each.name) for each in found.training_runs if each.num_exact)
    return (
        f"{found.num_overlapping} of {found.num_prompts} prompts were training prompts of {names}, as "
        f"{found.prompts[0].prompt!r}: figures on them say little of new prompts; take held-out ones"
    )


def _planned(config: EvaluateConfig, runs_dir: Path) -> tuple[str, ...]:
    """What the job will show, as far as that can be told without it; of drawn captions their plain wordings."""
    own = own_texts(config.prompts, runs_dir)
    if own or config.prompts.prompt_set:
        return own
    return split_texts(config.prompts.split.value, config.prompts.tasks)[: config.num_prompts]


def own_texts(prompts: PromptConfig, runs_dir: Path) -> tuple[str, ...]:
    """Listed prompts, or those of a prompt set; none where the world's captions are meant or the set is gone."""
    if not prompts.prompt_set:
        return prompts.texts
    if _is_gone(prompts, runs_dir):
        return ()
    found = read_set(sets_beside(runs_dir), prompts.prompt_set)
    return tuple(each.text for each in found if not prompts.tasks or each.task in prompts.tasks)


def _is_gone(prompts: PromptConfig, runs_dir: Path) -> bool:
    """Whether a prompt set is named that can no longer be read: then nobody can tell what it held."""
    if not prompts.prompt_set:
        return False
    try:
        read_set(sets_beside(runs_dir), prompts.prompt_set)
    except ValueError:
        return True
    return False
