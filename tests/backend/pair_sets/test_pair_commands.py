"""`unmask pairs` against a real API over HTTP: votes become a set, sets become files, files become sets."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.client import StudioClient
from backend.errors import ConflictError, MalformedError
from backend.pair_sets.formats import csv_table
from backend.pair_sets.pairs import PairSource
from backend.schemas.pair_set import PairFormat
from tests.backend.shell import Shell
from tests.backend.voted_task import VotedTask


@pytest.fixture
def task(sessions: sessionmaker[Session], tmp_path: Path) -> VotedTask:
    """One pair that a person and a program voted on, and one that the program alone did."""
    made = VotedTask(sessions, tmp_path / "runs")
    first, second = made.pair("a red circle"), made.pair("two stars")
    made.vote(made.rater("Ada"), (first, "1"))
    made.vote(made.rater("Red", is_simulated=True), (first, "0"), (second, "0"))
    return made


def test_votes_are_frozen_listed_exported_and_removed(
    studio: str, shell: Shell, task: VotedTask, tmp_path: Path
) -> None:
    assert shell("pairs", "freeze", str(task.id), "--name", "first votes") == 0
    sha256 = shell.out.strip()
    assert len(sha256) == 64
    assert "2 pairs of 2 prompts, 3 votes of 2, 1 simulated" in shell.err
    # The same votes are the same set: a second name is not taken in silence, for programs neither.
    assert shell("pairs", "freeze", str(task.id)[-8:], "--name", "again", "--json") == 0
    assert "kept already as 'first votes' version 1; 'again' names nothing" in shell.err
    assert (json.loads(shell.out)["name"], json.loads(shell.out)["sha256"]) == ("first votes", sha256)
    assert shell("pairs", "list") == 0
    assert sha256[:12] in shell.out
    assert "first votes" in shell.out
    assert shell("pairs", "list", "--json") == 0
    assert [each["sha256"] for each in json.loads(shell.out)] == [sha256]
    out = tmp_path / "train.parquet"
    assert shell("pairs", "export", sha256[:12], "--format", "pick_a_pic", "--out", str(out)) == 0
    assert pq.read_table(out).num_rows == 3
    assert shell("pairs", "delete", sha256[:12]) == 0
    assert shell("pairs", "list") == 0
    assert "There are no pair sets" in shell.err


def test_results_are_told_with_intervals_and_raters(studio: str, shell: Shell, task: VotedTask) -> None:
    assert shell("pairs", "results", str(task.id)) == 0
    assert "3 votes of 2 raters, 1 of them simulated on 2 pairs" in shell.out
    assert "policy against base" in shell.out
    assert "1 / 0 / 2" in shell.out
    assert "0.333     [0, 1]" in shell.out
    assert "Red (simulated)" in shell.out
    assert shell("pairs", "results", str(task.id), "--json") == 0
    assert json.loads(shell.out)["figures"]["num_votes"] == 3
    empty = task.__class__(task.sessions, task.runs_dir)
    assert shell("pairs", "results", str(empty.id)) == 0
    assert "No two policies have met yet." in shell.err


def test_a_tasks_votes_are_exported_as_they_are(studio: str, shell: Shell, task: VotedTask, tmp_path: Path) -> None:
    out = tmp_path / "votes.csv"
    assert shell("pairs", "export", str(task.id), "--format", "csv", "--out", str(out)) == 0
    assert len(out.read_text().splitlines()) == 4


def test_a_rater_can_be_left_out(studio: str, shell: Shell, task: VotedTask) -> None:
    with StudioClient(studio) as client:
        red = next(each for each in client.get_label_results(task.id).raters if each.is_simulated)
        assert client.get_label_results(task.id, exclude_rater=[red.rater_id]).figures.num_votes == 1
    words = ("pairs", "freeze", str(task.id), "--name", "x", "--exclude-rater", str(red.rater_id), "--json")
    assert shell(*words) == 0
    found = json.loads(shell.out)
    assert (found["num_pairs"], found["num_simulated_raters"]) == (1, 0)
    assert found["left_out"] == {"votes of excluded raters": 2, "pairs without a vote that counts": 1}


def test_a_file_is_sent_and_a_folder_is_read_where_the_studio_is(
    studio: str, shell: Shell, source: PairSource, tmp_path: Path
) -> None:
    sent = tmp_path / "theirs.zip"
    sent.write_bytes(b"".join(csv_table.write_with_pictures(source)))
    assert shell("pairs", "import", str(sent), "--format", "csv", "--name", "theirs") == 0
    assert "3 pairs of 2 prompts" in shell.err
    folder = tmp_path / "folder"
    (folder / "test").mkdir(parents=True)
    for name, path in source.pictures.items():
        (folder / "test" / name).write_bytes(path.read_bytes())
    entry = {"prompt": "x", "image_path": list(source.pictures)[:2], "rank": [1, 2]}
    (folder / "test.json").write_text(json.dumps([entry]))
    assert shell("pairs", "import", str(folder), "--format", "hpdv2", "--name", "folder") == 0
    assert "1 pairs of 1 prompts" in shell.err


def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    studio: str, shell: Shell, task: VotedTask, source: PairSource, tmp_path: Path
) -> None:
    table = tmp_path / "bad.csv"
    table.write_text("prompt,image_0,image_1,label_0\na star,a.png,b.png,9\n")
    assert shell("pairs", "import", str(table), "--format", "csv", "--name", "x") == 2
    assert "/rows/0/label_0: 9.0 is no label" in shell.err
    assert shell("pairs", "import", str(tmp_path / "none.csv"), "--format", "csv", "--name", "x") == 2
    assert "cannot be read" in shell.err
    assert shell("pairs", "delete", "abc") == 2
    assert "'abc' matches none of the pair sets" in shell.err
    assert shell("pairs", "freeze", str(task.id), "--name", "x", "--json") == 0
    sha256 = json.loads(shell.out)["sha256"]
    assert shell("pairs", "export", sha256, "--format", "csv", "--out", str(tmp_path / "no" / "a.csv")) == 2
    assert "cannot be written" in shell.err


def test_the_client_downloads_a_tasks_votes_and_leaves_no_part_of_a_refused_file(
    studio: str, task: VotedTask, tmp_path: Path
) -> None:
    with StudioClient(studio) as client:
        client.export_label_task(task.id, PairFormat.HPDV2, tmp_path / "votes.zip")
        assert client.upload_pair_set(tmp_path / "votes.zip", PairFormat.HPDV2, "back").num_votes == 3
        everybody = [each.rater_id for each in client.get_label_results(task.id).raters]
        with pytest.raises(ConflictError, match="nothing can be exported"):
            client.export_label_task(task.id, PairFormat.CSV, tmp_path / "none.csv", exclude_rater=everybody)
        with pytest.raises(MalformedError):
            client.upload_pair_set(tmp_path / "votes.zip", PairFormat.PICK_A_PIC, "x")
    assert not (tmp_path / "none.csv").exists()
