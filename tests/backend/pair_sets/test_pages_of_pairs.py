"""What the page of a pair set reads: its pairs by pages, its pictures by name, and which version it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from backend.pair_sets.folder import PairSets
from backend.pair_sets.pairs import PairSource
from backend.schemas.pair_set import PairSet
from tests.backend.voted_task import VotedTask

SETS = "/api/v1/pair-sets"
Keep = Callable[..., PairSet]


def test_pairs_come_by_pages_with_their_votes_and_pictures(
    api: TestClient, keep: Keep, source: PairSource, tmp_path: Path
) -> None:
    found = keep(source)
    first = api.get(f"{SETS}/{found.sha256}/pairs", params={"limit": 2}).json()
    rest = api.get(f"{SETS}/{found.sha256}/pairs", params={"limit": 2, "after": first["next_cursor"]}).json()
    pairs = [*first["data"], *rest["data"]]
    assert (first["has_more"], rest["has_more"], rest["next_cursor"]) == (True, False, None)
    assert [each["index"] for each in pairs] == [0, 1, 2]
    assert [each["majority"] for each in pairs] == [0, None, 1]
    assert [vote["choice"] for vote in pairs[0]["votes"]] == ["0", "0", "both_bad"]
    assert [vote["is_simulated"] for vote in pairs[0]["votes"]] == [False, False, True]
    assert pairs[0]["votes"][0]["created_at"] == "2026-05-01T10:00:00+00:00"
    assert pairs[0]["provenance"]["picture_0"]["policy"] == "base"
    assert pairs[2]["votes"] == []
    picture = api.get(pairs[0]["image_1_url"])
    assert picture.headers["Content-Type"] == "image/png"
    assert "immutable" in picture.headers["Cache-Control"]
    assert picture.content == source.pictures[source.pairs[0].image_1].read_bytes()


@pytest.mark.parametrize("name", ["pairs.jsonl", "manifest.json", "0" * 64 + ".png", "..%2fmanifest.json"])
def test_only_a_sets_own_pictures_are_given_out(api: TestClient, keep: Keep, source: PairSource, name: str) -> None:
    assert api.get(f"{SETS}/{keep(source).sha256}/pictures/{name}").status_code == 404


def test_a_set_that_is_not_there_has_no_pairs_and_a_made_up_cursor_none_either(
    api: TestClient, keep: Keep, source: PairSource
) -> None:
    assert api.get(f"{SETS}/{'0' * 64}/pairs").status_code == 404
    pairs = f"{SETS}/{keep(source).sha256}/pairs"
    assert api.get(pairs, params={"after": "no"}).status_code == 422
    # [10 ** 30] as a cursor: farther than any file.
    assert api.get(pairs, params={"after": "WzEwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDBd"}).json()["data"] == []


def test_the_sets_of_a_task_are_counted_and_so_are_imports_of_a_name(
    api: TestClient, sessions: sessionmaker[Session], tmp_path: Path
) -> None:
    task = VotedTask(sessions, tmp_path / "runs")
    pair, rater = task.pair("a"), task.rater()
    task.vote(rater, (pair, "0"))

    def freeze(name: str, of: VotedTask = task) -> dict[str, Any]:
        found: dict[str, Any] = api.post(SETS, json={"name": name, "label_task_id": str(of.id)}).json()
        return found

    first = freeze("one")
    task.vote(task.rater("Bob"), (pair, "1"))
    second, again = freeze("renamed"), freeze("one")
    assert [first["version"], second["version"], again["version"]] == [1, 2, 2]
    other = VotedTask(sessions, tmp_path / "runs")
    other.vote(other.rater(), (other.pair("b"), "0"))
    assert freeze("one", other)["version"] == 1


def test_a_manifest_from_before_versions_is_the_first(pair_sets: PairSets, keep: Keep, source: PairSource) -> None:
    found = keep(source)
    manifest = pair_sets.root / found.sha256 / "manifest.json"
    manifest.write_text(manifest.read_text().replace(' "version": 1,\n', ""))
    assert "version" not in manifest.read_text()
    assert pair_sets.get(found.sha256).version == 1
