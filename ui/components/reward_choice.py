"""The choice of a learned reward's source in the launch form: reward models by name, and the aliases that mean one now.

A refused one is a choice too, with the reason in its words: the studio refuses the run. Knows no layout.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.schemas.config import RunConfig, TrainConfig
from backend.schemas.every_run import ALIAS_PREFIX
from backend.schemas.known_reward import RewardModel
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.registry import Alias, AliasKind
from backend.schemas.reward import RewardName
from ui.studio import StudioClient

NONE = ("none", "")
_SOURCE = re.compile(r"rewards\.\d+\.source")
_NUM_LISTED = 100


def is_reward_source(path: str) -> bool:
    """Whether a field of the form is the source of a reward."""
    return _SOURCE.fullmatch(path) is not None


@dataclass(frozen=True)
class LearnedRewards:
    """The newest reward models that have been judged, and the names that mean one."""

    models: Sequence[RewardModel] = ()
    aliases: Sequence[Alias] = ()

    @property
    def choices(self) -> list[tuple[str, str]]:
        """(label, source) of each: no source, the aliases, the models that runs may train on, the refused ones."""
        told = self.told
        named = [
            (f"{alias.name}, now {told.get(alias.target, alias.target)}", source_of(alias)) for alias in self.aliases
        ]
        models = sorted(self.models, key=lambda model: model.refusal is not None)
        return [NONE, *named, *((told[model.source], model.source) for model in models)]

    @property
    def told(self) -> Mapping[str, str]:
        """What each source is, in one line, by source; of an alias, what it means now."""
        told = {model.source: _told(model) for model in self.models}
        return told | {source_of(alias): told.get(alias.target, alias.target) for alias in self.aliases}


def source_of(alias: Alias) -> str:
    """What stands in a configuration where an alias is meant."""
    return f"{ALIAS_PREFIX}{alias.name}"


def learned_rewards(client: StudioClient) -> LearnedRewards:
    """What there is to choose from now; a reward model in training is not yet among it.

    Raises:
        StudioError: when the studio does not answer.
    """
    models = [model for model in client.list_reward_models(limit=_NUM_LISTED).data if model.report is not None]
    aliases = [each for each in client.list_aliases(limit=_NUM_LISTED).data if each.kind is AliasKind.REWARD_MODEL]
    known = {model.source for model in models}
    return LearnedRewards([*models, *_older(client, aliases, known)], aliases)


def learned_facts(client: StudioClient, config: RunConfig) -> list[tuple[str, str]]:
    """What stands behind the learned rewards of a configuration, as (source, its line); asks only where there is one.

    Raises:
        StudioError: when the studio does not answer.
    """
    rewards = config.rewards if isinstance(config, TrainConfig | EvaluateConfig) else ()
    sources = [reward.source for reward in rewards if reward.name is RewardName.LEARNED]
    told = learned_rewards(client).told if sources else {}
    return [(f"Reward {_short(source)}", told[source]) for source in sources if source in told]


def _older(client: StudioClient, aliases: Sequence[Alias], known: set[str]) -> list[RewardModel]:
    """What aliases mean that is not among the newest."""
    targets = dict.fromkeys(alias.target for alias in aliases if alias.target not in known)
    return [client.get_reward_model(target.removeprefix("run:")) for target in targets if target.startswith("run:")]


def _told(model: RewardModel) -> str:
    name = f"{model.name or 'reward'} ({_short(model.source)})"
    accuracy = model.report.accuracy if model.report is not None else None
    found = "" if accuracy is None else f"accuracy {accuracy.value:.3g}"
    if model.refusal is None:
        return f"{name}, {found}" if found else name
    if accuracy is None or (model.report is not None and model.report.is_better_than_chance):
        return f"{name}, refused: {model.refusal}"
    return f"{name}, refused: {found} [{accuracy.low:.3g}, {accuracy.high:.3g}] is no better than chance"


def _short(source: str) -> str:
    """An id as lists show it, the end of it; an alias whole."""
    return source if source.startswith(ALIAS_PREFIX) else f"…{source[-8:]}"
