"""The learned rewards that the launch form offers: by alias and by name, the refused ones last, with their reason."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from backend.schemas.config import EvaluateConfig, SampleConfig, TrainConfig
from backend.schemas.known_reward import RewardModel
from backend.schemas.registry import Alias, AliasKind
from ui.components.reward_choice import LearnedRewards, is_reward_source, learned_facts
from ui.forms import fields_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACCURACY = SimpleNamespace(value=0.7123, low=0.61, high=0.8)


def model(number: int, name: str, refusal: str | None = None, accuracy: Any = ACCURACY) -> RewardModel:
    """A finished reward model, of whose report only what is told here stands."""
    run_id = UUID(int=number)
    report = SimpleNamespace(accuracy=accuracy, is_better_than_chance=refusal is None)
    values = {"run_id": run_id, "name": name, "source": f"run:{run_id}", "refusal": refusal, "report": report}
    return RewardModel.model_construct(**values)


def alias(name: str, target: str) -> Alias:
    return Alias(name=name, target=target, kind=AliasKind.REWARD_MODEL, revision=1, created_at=NOW, updated_at=NOW)


COIN, BLUE = model(1, "coin", "It is no better."), model(2, "blue")
LEARNED = LearnedRewards([COIN, BLUE], [alias("champion", BLUE.source), alias("old", "run:gone")])


class Studio:
    """Answers as the client does."""

    def list_reward_models(self, *, limit: int) -> Any:
        return SimpleNamespace(data=[COIN])

    def list_aliases(self, *, limit: int) -> Any:
        return SimpleNamespace(data=[alias("champion", BLUE.source)])

    def get_reward_model(self, run_id: str) -> RewardModel:
        return {str(each.run_id): each for each in (COIN, BLUE)}[run_id]


def test_aliases_come_first_and_what_is_refused_last_with_its_reason() -> None:
    refused = "coin (…00000001), refused: accuracy 0.712 [0.61, 0.8] is no better than chance"
    assert LEARNED.choices == [
        ("none", ""),
        ("champion, now blue (…00000002), accuracy 0.712", "alias:champion"),
        ("old, now run:gone", "alias:old"),
        ("blue (…00000002), accuracy 0.712", BLUE.source),
        (refused, COIN.source),
    ]


def test_without_a_figure_the_studios_own_reason_is_told() -> None:
    none = LearnedRewards([model(3, "", "No held-out pair has a majority.", None)])
    assert none.choices[1][0] == "reward (…00000003), refused: No held-out pair has a majority."


def test_a_configuration_is_told_what_stands_behind_its_learned_rewards_and_an_old_one_is_looked_up() -> None:
    rewards = [{"name": "strict"}, {"name": "learned", "source": "alias:champion"}]
    facts = [("Reward alias:champion", "blue (…00000002), accuracy 0.712")]
    for kind in (TrainConfig, EvaluateConfig):
        assert learned_facts(Studio(), kind.model_validate({"rewards": rewards})) == facts  # type: ignore[arg-type]


def test_where_nothing_is_learned_the_studio_is_not_asked() -> None:
    for config in (TrainConfig(), SampleConfig()):
        assert learned_facts(object(), config) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [TrainConfig, EvaluateConfig])
def test_every_reward_has_the_choice_as_its_source(kind: type[TrainConfig | EvaluateConfig]) -> None:
    paths = [field.path for field in fields_of(kind)]
    assert [path for path in paths if is_reward_source(path)] == [f"rewards.{slot}.source" for slot in range(8)]
    assert not is_reward_source("policy.source")
