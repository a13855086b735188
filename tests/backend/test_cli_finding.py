"""Every command that takes an id takes a part of it, and says when that means several or none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.cli.finding import one_of
from backend.errors import ConflictError, NotFoundError
from backend.models import RunRow
from tests.backend.registry.conftest import trained, write_weights
from tests.backend.shell import Shell
from tests.backend.voted_task import VotedTask

__all__ = ["trained", "write_weights"]
Trained = Callable[..., RunRow]


@pytest.mark.parametrize(("text", "found"), [("0123", "0123abcd"), ("abcd", "0123abcd"), ("0123ABCD", "0123abcd")])
def test_a_beginning_or_an_end_or_a_name_is_enough(text: str, found: str) -> None:
    items = [("0123abcd", "first"), ("4567efef", "second")]
    told = {"ids": lambda each: each[0], "names": lambda each: each[1], "see": "unmask list"}
    assert one_of(items, text, "things", **told)[0] == found  # type: ignore[arg-type]
    assert one_of(items, "second", "things", **told)[0] == "4567efef"  # type: ignore[arg-type]
    for unknown in ("", "9999", "45"):
        with pytest.raises(NotFoundError, match="matches none of the things"):
            one_of(items, unknown, "things", **told)  # type: ignore[arg-type]
    with pytest.raises(ConflictError, match="'efef' matches several things, 4567efef, 89abefef: give more"):
        one_of([*items, ("89abefef", "third")], "efef", "things", **told)  # type: ignore[arg-type]


def test_a_models_ref_takes_a_part_of_its_runs_id(studio: str, shell: Shell, trained: Trained) -> None:
    row = trained()
    short = f"run:{str(row.id)[-8:]}"
    assert shell("alias", "set", "champion", f"{short}@10") == 0
    assert f"means policy run:{row.id}@10" in shell.out
    assert shell("model", "lineage", short, "--json") == 0
    assert shell("run", "create", "tiny-shapes", "--set", f"policy.source={short}@20", "--json") == 0
    assert json.loads(shell.out)["config"]["policy"]["source"] == f"run:{row.id}@20"
    assert shell("alias", "set", "champion", "run:ffffffff") == 2
    trained(name="second")
    # Both ids begin with the same milliseconds.
    assert shell("alias", "set", "champion", f"run:{str(row.id)[:8]}") == 2
    assert "matches several runs" in shell.err


def test_a_reward_model_learns_from_a_part_of_a_pair_sets_hash(
    studio: str, shell: Shell, sessions: sessionmaker[Session], tmp_path: Path
) -> None:
    task = VotedTask(sessions, tmp_path / "runs")
    task.vote(task.rater("Ada"), (task.pair("a red circle"), "1"))
    assert shell("pairs", "freeze", str(task.id)[-8:], "--name", "votes of May") == 0
    sha256 = shell.out.strip()
    for words in (sha256[:12], sha256[:8], "votes of May"):
        assert shell("reward-model", "train", words, "--json") == 0, shell.err
        assert json.loads(shell.out)["config"]["pairs"]["source"] == sha256
