"""`unmask reward-model`: train on a pair set, list, show, and refusals with exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.settings import Settings
from tests.backend.reward_models import write_reward
from tests.backend.shell import Shell

PAIR_SET = "b" * 64


@pytest.fixture
def pair_set(tmp_path: Path) -> str:
    (tmp_path / "pair-sets" / PAIR_SET).mkdir(parents=True)
    return PAIR_SET


def test_train_queues_the_recipe_on_the_votes(studio: str, shell: Shell, pair_set: str) -> None:
    words = ("--name", "mine", "--set", "num_steps=50", "--json")
    assert shell("reward-model", "train", pair_set, *words) == 0
    run = json.loads(shell.out)
    assert (run["kind"], run["recipe"], run["name"]) == ("reward_model", "reward-from-votes", "mine")
    assert (run["config"]["pairs"]["source"], run["config"]["num_steps"]) == (pair_set, 50)


def test_train_refuses_what_is_no_pair_set(studio: str, shell: Shell) -> None:
    assert shell("reward-model", "train", "abc") == 2
    assert "'abc' matches none of the pair sets" in shell.err
    assert shell("reward-model", "train", "a" * 64) == 2
    assert "there is no pair set aaa" in shell.err


def test_show_tells_what_a_model_is_worth_and_list_whether_it_may_be_used(
    studio: str, shell: Shell, settings: Settings, pair_set: str
) -> None:
    ids = []
    for accuracy in ((0.8, 0.7, 0.9), (0.55, 0.45, 0.65)):
        shell("reward-model", "train", pair_set, "--json")
        ids.append(json.loads(shell.out)["id"])
        write_reward(settings.runs_dir, ids[-1], accuracy=accuracy)
    assert shell("reward-model", "show", ids[0]) == 0
    for words in (
        "may be trained on",
        "0.800 [0.700, 0.900]",
        "a rater against the other raters",
        "intervals are wide",
    ):
        assert words in shell.out
    assert shell("reward-model", "show", ids[1]) == 0
    assert "refused: Its held-out accuracy is 0.550" in shell.out
    assert shell("reward-model", "list") == 0
    newest, oldest = [line.rstrip() for line in shell.out.splitlines() if line.startswith("run:")]
    assert newest.endswith("refused")
    assert oldest.endswith("may be trained on")
    assert shell("reward-model", "list", "--json") == 0
    assert [model["run_id"] for model in json.loads(shell.out)] == ids[::-1]
