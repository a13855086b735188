"""Figures against sums done by hand: tasks weigh the same, gaps are left out, differences are paired."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from backend.figures.intervals import wilson_interval
from backend.figures.scores import mean_differences, means, share_differences, shares, wins
from worker.benchmarks.table import Table
from worker.maskgrpo.types import Rewards

TASKS = ["a", "a", "a", "b"]


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)[:, None]


def test_every_task_weighs_the_same_however_many_prompts_it_has() -> None:
    found = shares(TASKS, column(1, 0, 0, 1), "overall")
    assert found.values == {"overall": pytest.approx((1 / 3 + 1) / 2), "a": pytest.approx(1 / 3), "b": 1.0}
    wilson = wilson_interval(1, 3)
    assert found.intervals["a"] == (wilson.low, wilson.high)


def test_an_interval_of_shares_stays_within_what_shares_can_be() -> None:
    tasks = ["a"] * 2 + ["b"] * 8
    low, high = shares(tasks, np.ones((10, 2)), "overall").intervals["overall"]
    assert 0.5 < low < high == 1
    gained = share_differences(tasks, np.zeros((10, 2)), np.ones((10, 2)), "overall").intervals
    assert all(-1 <= low <= high <= 1 for low, high in gained.values())


def test_a_figure_of_one_prompt_has_no_interval() -> None:
    assert mean_differences("clip", column(0), column(0.075)).intervals == {}
    assert means("clip", column(3)).intervals == {}
    assert set(share_differences(TASKS, column(0, 0, 0, 1), column(1, 0, 0, 0), "overall").intervals) == {"a"}


def test_without_tasks_the_overall_share_is_that_of_all_pictures() -> None:
    assert shares([None, None], np.array([[1.0, 0], [1, 1]]), "overall").values == {"overall": 0.75}


def test_a_prompt_that_was_not_judged_counts_in_no_figure() -> None:
    scores = column(1, np.nan, 0, np.nan)
    assert shares(TASKS, scores, "overall").values == {"overall": 0.5, "a": 0.5}
    assert means("clip", scores).values == {"clip": 0.5}
    assert means("clip", column(np.nan, np.nan)).values == {}
    assert mean_differences("clip", scores, column(2, 9, 2, 9)).values == {"clip": 1.5}


def test_a_difference_is_paired_so_that_a_constant_gain_has_no_spread() -> None:
    base = np.random.default_rng(0).normal(size=(20, 2))
    found = mean_differences("clip", base, base + 0.25)
    assert found.values["clip"] == pytest.approx(0.25)
    assert found.intervals["clip"] == (pytest.approx(0.25), pytest.approx(0.25))
    low, high = means("clip", base).intervals["clip"]
    assert high - low > 0.3, "the score itself does spread"


def test_the_bootstrap_is_as_wide_as_the_standard_error_over_prompts_says() -> None:
    scores = np.random.default_rng(1).normal(size=(400, 1))
    low, high = means("clip", scores).intervals["clip"]
    assert (high - low) / 2 == pytest.approx(1.96 * scores.std() / 20, rel=0.1)


def test_the_difference_of_shares_weighs_tasks_alike() -> None:
    found = share_differences(TASKS, column(0, 0, 0, 1), column(1, 0, 0, 0), "overall")
    assert found.values == {"overall": pytest.approx((1 / 3 - 1) / 2), "a": pytest.approx(1 / 3), "b": -1.0}


def test_wins_leave_out_pairs_that_were_not_both_judged() -> None:
    found = wins(column(0, 1, 1, np.nan), column(1, 0, 1, 1))
    assert (found.values["num_wins"], found.values["num_losses"], found.values["num_ties"]) == (1, 1, 1)
    assert found.values["win_rate"] == 0.5


def test_a_table_survives_its_file_with_its_gaps() -> None:
    table, back = Table(2, 2), Table(2, 2)
    table.enter(1, Rewards(torch.zeros(2), {"clip": torch.tensor([0.1, -1.0])}))
    back.load_state(json.loads(json.dumps(table.to_state())))
    np.testing.assert_array_equal(back["clip"], table["clip"])
    assert np.isnan(back["clip"][0]).all()
    assert back.names == ("clip",)
