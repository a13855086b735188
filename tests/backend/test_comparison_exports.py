"""A comparison leaves the studio whole: every pair as a line, and a report that carries its own pictures."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy.orm import Session, sessionmaker

from backend.artifacts import run_folder
from backend.client import StudioClient
from backend.db import transaction
from backend.evaluations import table
from backend.runs import repository as runs
from backend.schemas.evaluation import ExportFormat
from backend.schemas.event import ScoreMeasured
from backend.schemas.sample import GroupRecord
from backend.settings import Settings
from tests.backend.shell import Shell

EVALUATE = {
    "kind": "evaluate",
    "name": "two & three",
    "base": {"source": "shipped"},
    "policies": [{"label": "step-20"}],
    "num_prompts": 6,
}
REWARDS = {"base": (1.0, 0.0), "policy": (0.0, 0.5), "step-20": (1.0, None)}
SHARES = {"overall": 1.0, "counting": 0.5}
PROMPTS = ("=2+3", 'a "red" circle <b>& more')


@pytest.fixture
def evaluation(api: TestClient, add: Callable[..., None], make_group: Callable[..., GroupRecord]) -> UUID:
    """Two prompts of one seed by three policies."""
    run_id = UUID(api.post("/api/v1/runs", json={"config": EVALUATE}).json()["id"])
    for policy, rewards in REWARDS.items():
        for index, reward in enumerate(rewards):
            group = make_group(index=index, policy=policy, prompt=PROMPTS[index])
            path = f"samples/000001-evaluate-{policy}/{index:03}-00.png"
            changed = {"reward": reward, "seed": 100, "image_path": path, "index": 0}
            sample = group.samples[0].model_copy(update=changed)
            add(run_id, group.model_copy(update={"samples": (sample,)}), purpose="evaluate")
    return run_id


def paint(settings: Settings, run_id: UUID, *, side: int = 8) -> dict[str, bytes]:
    """Puts the pictures into the run's folder: a colour of its own for each."""
    written = {}
    for place, policy in enumerate(REWARDS):
        for index in range(2):
            buffer = io.BytesIO()
            colour = (40 * place, 90 * index, 30)
            Image.new("RGB", (side, side), colour).save(buffer, format="PNG")
            path = f"samples/000001-evaluate-{policy}/{index:03}-00.png"
            run_folder(settings.runs_dir, run_id).write(path, buffer.getvalue())
            written[path] = buffer.getvalue()
    return written


def measure(
    sessions: sessionmaker[Session], run_id: UUID, shares: Mapping[str, float] = MappingProxyType(SHARES)
) -> None:
    """Has the run tell figures of all three and differences to the base: each a share of the policy's own value."""
    with transaction(sessions) as session:
        row = runs.claim(session, run_id=run_id, worker="w", lease_seconds=60)
        assert row is not None
        for name, value in (("base", 0.3), ("policy", 0.5), ("step-20", 0.4), ("difference", 0.2)):
            body = ScoreMeasured(
                step=1,
                policy=name,
                values={figure: value * share for figure, share in shares.items()},
                intervals=dict.fromkeys(list(shares)[:1], (value - 0.1, value + 0.1)),
                num_prompts=6,
                samples_per_prompt=1,
            )
            runs.append_event(session, run_id=run_id, attempt=row.attempt, body=body)


def lines(api: TestClient, run_id: UUID, **query: Any) -> list[dict[str, str]]:
    answer = api.get(f"/api/v1/evaluations/{run_id}/export", params={"format": "csv"} | query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_every_pair_is_a_line_with_what_every_policy_made(api: TestClient, evaluation: UUID) -> None:
    first, second = lines(api, evaluation)
    # A spreadsheet would run what begins with an equals sign.
    assert (first["prompt"], second["prompt"]) == ("'=2+3", PROMPTS[1])
    assert (first["base_reward"], first["policy_reward"], first["step-20_reward"]) == ("1.0", "0.0", "1.0")
    assert (first["difference"], second["difference"], first["seed"]) == ("-1.0", "0.5", "100")
    assert second["step-20_reward"] == "", "what was not judged has no number"
    for label in REWARDS:
        sample = api.get(f"/api/v1/samples/{first[f'{label}_sample']}").json()
        assert (sample["prompt"], sample["seed"], sample["run_id"]) == (PROMPTS[0], 100, str(evaluation))


def test_other_policies_tasks_and_bounds_choose_the_lines(api: TestClient, evaluation: UUID) -> None:
    other = lines(api, evaluation, base="policy", policy="step-20")
    assert [(line["base"], line["policy"], line["difference"]) for line in other] == [
        ("policy", "step-20", "1.0"),
        ("policy", "step-20", ""),
    ]
    assert [line["prompt"] for line in lines(api, evaluation, min_difference=0.2)] == [PROMPTS[1]]
    assert lines(api, evaluation, task="no such") == []


def test_no_line_is_lost_between_chunks(api: TestClient, evaluation: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = lines(api, evaluation)
    monkeypatch.setattr(table, "_CHUNK", 1)
    assert lines(api, evaluation) == whole


def report(api: TestClient, run_id: UUID, **query: Any) -> str:
    answer = api.get(f"/api/v1/evaluations/{run_id}/export", params={"format": "html"} | query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-disposition"] == f'attachment; filename="two-three-{str(run_id)[-8:]}.html"'
    return answer.text


def embedded(page: str, kind: str = "png") -> set[bytes]:
    return {base64.b64decode(found) for found in re.findall(f'src="data:image/{kind};base64,([^"]+)"', page)}


def test_the_report_holds_figures_settings_and_every_policys_picture(
    api: TestClient, evaluation: UUID, settings: Settings, sessions: sessionmaker[Session]
) -> None:
    written = paint(settings, evaluation)
    measure(sessions, evaluation)
    page = report(api, evaluation)
    assert embedded(page) == set(written.values())
    assert page.count("<svg") == 1
    assert "overall 0.3 → 0.5, +0.2" in page
    assert "2 stored pairs: 1 win, 1 loss, 0 equal" in page
    for words in ("num unmasking steps", "captions of the small world, heldout", "policy tuned", "Every policy"):
        assert words in page, words
    # The worse one is told first, and neither stands in both lists.
    assert page.count("<article") == 2
    assert page.index("=2+3") < page.index("a &quot;red&quot; circle")


def test_the_report_names_no_other_place_and_runs_nothing(
    api: TestClient, evaluation: UUID, settings: Settings
) -> None:
    paint(settings, evaluation)
    page = report(api, evaluation)
    assert "<b>& more" not in page, "a prompt is text, whatever it holds"
    assert not re.search(r"(?:https?:)?//|<script|<link|url\(", page)
    assert "default-src 'none'" in page
    assert "two &amp; three" in page


def test_a_report_of_an_unfinished_evaluation_says_so(api: TestClient, evaluation: UUID) -> None:
    page = report(api, evaluation)
    assert "Not measured to its end" in page
    assert page.count("file is gone") == 6, "a picture that is missing does not cost the report"


def test_where_nothing_was_judged_the_report_shows_the_first_pairs(
    api: TestClient, add: Callable[..., None], make_group: Callable[..., GroupRecord]
) -> None:
    run_id = UUID(api.post("/api/v1/runs", json={"config": EVALUATE}).json()["id"])
    none_yet = report(api, run_id)
    assert "No pair is stored yet" in none_yet
    assert "<article" not in none_yet
    for policy in ("base", "policy"):
        for index, prompt in enumerate(PROMPTS):
            group = make_group(index=index, policy=policy, prompt=prompt, task="=1+1")
            sample = group.samples[0].model_copy(update={"reward": None, "seed": 100, "index": 0})
            add(run_id, group.model_copy(update={"samples": (sample,)}), purpose="evaluate")
    page = report(api, run_id)
    assert page.count("<article") == 2
    assert page.index("=2+3") < page.index("a &quot;red&quot; circle")
    assert "none worse or better than another" in page
    assert "No stored pair is worse" not in page
    assert "<article" not in report(api, run_id, num_pairs=0)
    # A task's name comes from a user's file, as a prompt does.
    assert {line["task"] for line in lines(api, run_id)} == {"'=1+1"}


def test_scores_that_know_no_overall_figure_are_told_by_their_name(
    api: TestClient, evaluation: UUID, sessions: sessionmaker[Session]
) -> None:
    measure(sessions, evaluation, {"clip_score": 1.0})
    assert "<p>clip score 0.3 → 0.5, +0.2 " in report(api, evaluation)


def test_figures_of_nothing_leave_the_tables_out(
    api: TestClient, evaluation: UUID, sessions: sessionmaker[Session]
) -> None:
    measure(sessions, evaluation, {})
    page = report(api, evaluation)
    assert "Pictures without scores" in page
    assert "<table" not in page
    assert "<svg" not in page


def test_large_pictures_are_made_smaller(api: TestClient, evaluation: UUID, settings: Settings, tmp_path: Path) -> None:
    paint(settings, evaluation)
    path = run_folder(settings.runs_dir, evaluation).path("samples/000001-evaluate-base/000-00.png")
    noise = Image.effect_noise((512, 512), 80).convert("RGB")
    noise.save(path)
    page = report(api, evaluation)
    (large,) = embedded(page, "webp")
    assert len(large) < path.stat().st_size
    with Image.open(io.BytesIO(large)) as shown:
        assert shown.size == (512, 512)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"policy": "step-99"}, "has base, policy, step-20"),
        ({"base": "policy"}, "compared with itself"),
        ({"min_difference": 1, "max_difference": 0}, "no pair is between"),
        ({"min_difference": "nan"}, ""),
        ({"format": "pdf"}, ""),
    ],
)
def test_a_choice_of_no_pair_is_refused_with_what_there_is(
    api: TestClient, evaluation: UUID, query: dict[str, Any], words: str
) -> None:
    answer = api.get(f"/api/v1/evaluations/{evaluation}/export", params={"format": "csv"} | query)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert answer.json()["errors"][0]["pointer"].startswith("/query/")


def test_a_pair_is_found_by_either_picture_and_holds_the_others(api: TestClient, evaluation: UUID) -> None:
    listed = api.get(f"/api/v1/evaluations/{evaluation}/pairs").json()["data"][0]
    assert set(listed["others"]) == {"step-20"}
    for side in ("base", "policy"):
        found = api.get(f"/api/v1/evaluations/{evaluation}/pairs/{listed[side]['id']}")
        assert found.json() == listed
    other = listed["others"]["step-20"]["id"]
    missing = api.get(f"/api/v1/evaluations/{evaluation}/pairs/{other}")
    assert missing.status_code == 404
    assert "is in no pair of base and policy" in missing.json()["detail"]
    shown = api.get(f"/api/v1/evaluations/{evaluation}/pairs/{other}", params={"policy": "step-20"}).json()
    assert shown["difference"] == 0


def test_the_tally_counts_what_a_choice_leaves_over(api: TestClient, evaluation: UUID) -> None:
    def tally(**query: Any) -> tuple[int, ...]:
        found = api.get(f"/api/v1/evaluations/{evaluation}/pairs/tally", params=query).json()
        return tuple(found[f"num_{name}"] for name in ("pairs", "wins", "losses", "unjudged"))

    assert tally() == (2, 1, 1, 0)
    assert tally(min_difference=0) == (1, 1, 0, 0)
    # The second was not judged, which is neither won, lost nor equal.
    assert tally(base="policy", policy="step-20") == (2, 1, 0, 1)


def test_the_client_writes_what_the_api_sends(api: TestClient, evaluation: UUID, tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        found = api.get(str(request.url))
        return httpx.Response(found.status_code, content=found.content)

    client = StudioClient("http://testserver", transport=httpx.MockTransport(answer))
    path = tmp_path / "pairs.csv"
    with path.open("wb") as file:
        size = client.export_comparison(evaluation, ExportFormat.CSV, file, policy="step-20")
    assert size == path.stat().st_size
    assert [line["policy"] for line in csv.DictReader(path.read_text().splitlines())] == ["step-20", "step-20"]
    found = client.list_pairs(evaluation, policy="step-20", max_difference=0).data
    assert [pair.difference for pair in found] == [0]
    assert client.get_pair(evaluation, found[0].base.id, policy="step-20") == found[0]


def test_the_command_line_writes_both_files_or_none(
    studio: str, shell: Shell, evaluation: UUID, sessions: sessionmaker[Session], tmp_path: Path
) -> None:
    measure(sessions, evaluation)
    html, pairs = tmp_path / "report.html", tmp_path / "pairs.csv"
    assert shell("compare", str(evaluation), "--html", str(html), "--csv", str(pairs)) == 0
    assert "pairs stored: 2; wins 1, losses 1" in shell.out
    assert "two &amp; three" in html.read_text()
    assert len(list(csv.DictReader(pairs.read_text().splitlines()))) == 2
    missing = tmp_path / "none.csv"
    assert shell("compare", str(evaluation), "--csv", str(missing), "--policy", "step-99") == 2
    assert "has base, policy, step-20" in shell.err.replace("\n", " ")
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == ["pairs.csv"]
    assert not list(tmp_path.glob(".*.part"))
