"""Any policy of an evaluation may be what the others are compared to, checked against a bootstrap done by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from fastapi.testclient import TestClient
from scipy.stats import t as student
from sqlalchemy import delete
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.figures.evaluation import Measures, difference
from backend.models import GroupRow
from backend.runs import repository as runs
from backend.schemas.event import ScoreMeasured
from backend.schemas.picture_runs import difference_name
from backend.schemas.sample import GroupRecord
from tests.backend.shell import Shell

LABELS = ("base", "policy", "step-20", "step-40")
TASKS = ["counting"] * 9 + ["position"] * 5 + ["colors"] * 7
NUM_SEEDS = 2
CONFIG = {
    "kind": "evaluate",
    "base": {"source": "shipped"},
    "policies": [{"label": label} for label in LABELS[2:]],
    "num_prompts": len(TASKS),
}
Arrays = dict[str, dict[str, np.ndarray[Any, Any]]]


def drawn() -> Arrays:
    """Scores (num_prompts, num_seeds) of each policy, each better than the one before."""
    chance = np.random.default_rng(5)
    shape = (len(TASKS), NUM_SEEDS)
    return {
        label: {
            "correct": (chance.random(shape) < 0.3 + 0.15 * place).astype(float),
            "clip": chance.normal(0.05 * place, 0.1, shape),
        }
        for place, label in enumerate(LABELS)
    }


@pytest.fixture
def scores() -> Arrays:
    return drawn()


@pytest.fixture
def evaluation(
    api: TestClient,
    sessions: sessionmaker[Session],
    add: Callable[..., None],
    make_group: Callable[..., GroupRecord],
    scores: Arrays,
) -> str:
    """The address of an evaluation with its samples, and the figures that a job tells of them."""
    run_id = UUID(api.post("/api/v1/runs", json={"config": CONFIG}).json()["id"])
    for label, found in scores.items():
        for index, task in enumerate(TASKS):
            group = make_group(index=index, policy=label, prompt=f"prompt {index}", task=task)
            samples = [
                sample.model_copy(
                    update={
                        "index": place,
                        "seed": place,
                        "reward": found["correct"][index, place],
                        "reward_breakdown": {name: each[index, place] for name, each in found.items()},
                    }
                )
                for place, sample in enumerate(group.samples[:NUM_SEEDS])
            ]
            add(run_id, group.model_copy(update={"samples": tuple(samples)}), purpose="evaluate")
    with transaction(sessions) as session:
        row = runs.claim(session, run_id=run_id, worker="w", lease_seconds=60)
        assert row is not None
        for body in told(scores):
            runs.append_event(session, run_id=run_id, attempt=row.attempt, body=body)
    return f"/api/v1/evaluations/{run_id}"


def told(scores: Arrays) -> list[ScoreMeasured]:
    """What the job tells: each one's own figures, and the differences to the first."""
    measures = {label: Measures(found, found["correct"]) for label, found in scores.items()}
    shared = {"step": 1, "num_prompts": len(TASKS), "samples_per_prompt": NUM_SEEDS}
    own = [
        ScoreMeasured(
            policy=label, values={"overall": by_task(found["correct"]), "clip": found["clip"].mean()}, **shared
        )
        for label, found in scores.items()
    ]
    for label in LABELS[1:]:
        found = difference(TASKS, measures[LABELS[0]], measures[label], is_geneval=False)
        own.append(
            ScoreMeasured(policy=difference_name(label), values=found.values, intervals=found.intervals, **shared)
        )
    return own


def by_task(values: np.ndarray[Any, Any]) -> float:
    return float(np.mean([values[rows].mean() for rows in rows_of_tasks()]))


def rows_of_tasks() -> list[list[int]]:
    return [[row for row, each in enumerate(TASKS) if each == task] for task in dict.fromkeys(TASKS)]


def bootstrap(by_prompt: np.ndarray[Any, Any], tasks: list[list[int]]) -> tuple[float, float]:
    """The paired bootstrap, prompts drawn within their tasks, widened for few prompts (Hesterberg 2015)."""
    chance = np.random.default_rng(0)
    means = np.zeros(2000)
    for rows in tasks:
        values = by_prompt[rows]
        means += values[chance.integers(len(rows), size=(2000, len(rows)))].mean(axis=1) / len(tasks)
    mean = np.mean([by_prompt[rows].mean() for rows in tasks])
    variance = sum(by_prompt[rows].var(ddof=1) / len(rows) for rows in tasks)
    of_draws = sum(by_prompt[rows].var() / len(rows) for rows in tasks)
    free = sum(len(rows) - 1 for rows in tasks)
    wide = student.ppf(0.975, free) / 1.959964 * math.sqrt(variance / of_draws)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(mean + wide * (low - mean)), float(mean + wide * (high - mean))


def differences(api: TestClient, evaluation: str, base: str) -> dict[str, dict[str, Any]]:
    answer = api.get(evaluation, params={"base": base})
    assert answer.status_code == 200, answer.text
    assert answer.json()["against"] == base
    return {each["policy"]: each for each in answer.json()["differences"]}


def test_the_first_policys_differences_are_the_jobs_own_to_the_last_digit(
    api: TestClient, evaluation: str, scores: Arrays
) -> None:
    jobs = {each.policy: each.model_dump(mode="json") for each in told(scores) if each.policy.startswith("difference")}
    assert differences(api, evaluation, "base") == jobs
    unasked = api.get(evaluation).json()
    assert (unasked["against"], {each["policy"]: each for each in unasked["differences"]}) == ("base", jobs)


@pytest.mark.parametrize("base", LABELS[1:])
def test_each_difference_is_the_paired_bootstraps(api: TestClient, evaluation: str, scores: Arrays, base: str) -> None:
    found = differences(api, evaluation, base)
    assert list(found) == [difference_name(label) for label in LABELS if label != base]
    for label in LABELS:
        if label == base:
            continue
        each = found[difference_name(label)]
        gain = scores[label]["clip"] - scores[base]["clip"]
        correct = scores[label]["correct"] - scores[base]["correct"]
        assert each["values"]["clip"] == pytest.approx(gain.mean())
        assert each["intervals"]["clip"] == pytest.approx(bootstrap(gain.mean(axis=1), [[*range(len(TASKS))]]))
        assert each["values"]["overall"] == pytest.approx(by_task(correct))
        assert each["intervals"]["overall"] == pytest.approx(bootstrap(correct.mean(axis=1), rows_of_tasks()))
        for task, rows in zip(dict.fromkeys(TASKS), rows_of_tasks(), strict=True):
            assert each["intervals"][task] == pytest.approx(bootstrap(correct.mean(axis=1), [rows]), abs=1e-12)
        counts = [each["values"][name] for name in ("num_wins", "num_losses", "num_ties")]
        assert counts == [(correct > 0).sum(), (correct < 0).sum(), (correct == 0).sum()]
        assert each["num_prompts"] == len(TASKS)


@pytest.mark.parametrize(("one", "other"), [("base", "step-20"), ("policy", "step-20"), ("step-20", "step-40")])
def test_the_other_way_round_it_is_the_same_with_the_other_sign(
    api: TestClient, evaluation: str, one: str, other: str
) -> None:
    there = differences(api, evaluation, one)[difference_name(other)]
    back = differences(api, evaluation, other)[difference_name(one)]
    for name in ("overall", "clip", "counting"):
        assert back["values"][name] == -there["values"][name]
        assert back["intervals"][name] == [-there["intervals"][name][1], -there["intervals"][name][0]]
    assert back["values"]["num_wins"] == there["values"]["num_losses"]
    assert back["values"]["win_rate"] == pytest.approx(1 - there["values"]["win_rate"])


def test_the_smallest_visible_difference_is_told_of_each(api: TestClient, evaluation: str) -> None:
    found = api.get(evaluation, params={"base": "step-20"}).json()
    smallest = found["smallest_visible_by_policy"]
    assert list(smallest) == ["base", "policy", "step-40"]
    for each, of_policy in zip(found["differences"], smallest.values(), strict=True):
        low, high = each["intervals"]["overall"]
        assert of_policy["overall"] == pytest.approx(2.8 * (high - low) / (2 * 1.96))
        assert set(of_policy) == set(each["intervals"]) - {"win_rate"}
    # What was there before is as it was.
    assert found["smallest_visible_by_figure"] == api.get(evaluation).json()["smallest_visible_by_policy"]["policy"]
    assert found["difference"]["policy"] == "difference"


def test_a_policy_that_is_none_is_refused_with_those_that_there_are(api: TestClient, evaluation: str) -> None:
    answer = api.get(evaluation, params={"base": "step-99"})
    assert answer.status_code == 422
    assert "it has base, policy, step-20, step-40" in answer.json()["detail"]
    assert answer.json()["errors"][0]["pointer"] == "/query/base"


def test_an_evaluation_that_has_not_ended_has_no_difference_to_any(api: TestClient) -> None:
    run_id = api.post("/api/v1/runs", json={"config": CONFIG}).json()["id"]
    found = api.get(f"/api/v1/evaluations/{run_id}", params={"base": "step-20"}).json()
    assert (found["differences"], found["smallest_visible_by_policy"]) == ([], {})


def test_of_prompts_whose_samples_are_gone_the_difference_does_not_speak(
    api: TestClient, evaluation: str, scores: Arrays, sessions: sessionmaker[Session]
) -> None:
    with transaction(sessions) as session:
        session.execute(delete(GroupRow).where(GroupRow.index >= 14))
    found = differences(api, evaluation, "step-20")["difference:step-40"]
    gain = (scores["step-40"]["clip"] - scores["step-20"]["clip"])[:14]
    assert found["values"]["clip"] == pytest.approx(gain.mean())
    assert found["num_prompts"] == 14
    page = api.get(f"{evaluation}/export", params={"format": "html", "base": "step-20", "policy": "step-40"}).text
    assert "It is of the 14 of 21 prompts whose samples are stored." in page


def test_the_report_on_two_others_has_their_difference_and_forest_plot(api: TestClient, evaluation: str) -> None:
    page = api.get(f"{evaluation}/export", params={"format": "html", "base": "step-20", "policy": "step-40"}).text
    assert "step-20 against step-40</h1>" in page
    assert page.count('class="forest"') == 1
    assert "difference</th>" in page
    found = differences(api, evaluation, "step-20")["difference:step-40"]
    assert f"+{found['values']['clip']:.3g}" in page
    assert "The smallest overall difference" in page


def test_the_command_line_compares_to_the_policy_that_it_is_told(
    studio: str, shell: Shell, api: TestClient, evaluation: str, tmp_path: Path
) -> None:
    run_id = evaluation.rsplit("/", 1)[1]
    html, table = tmp_path / "report.html", tmp_path / "pairs.csv"
    command = ("compare", run_id, "--against", "policy", "--html", str(html), "--csv", str(table))
    assert shell(*command) == 0
    assert "minus policy" in shell.out
    assert "step-20 against policy: " in shell.out
    assert "four of five evaluations show a difference of" in shell.out
    # Without --policy the files hold the first of the others.
    assert table.read_text().splitlines()[1].split(",")[3:5] == ["policy", "base"]
    assert "tuned against base" in html.read_text()
    assert shell("compare", run_id, "--against", "step-99") == 2
    assert "it has base, policy, step-20, step-40" in shell.err.replace("\n", " ")
