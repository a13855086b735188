"""Lineage: what a model was made from and what was made from it, exactly as configurations say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from backend.db import transaction
from backend.models import PromptSetRow, PromptSetVersionRow, RunRow
from backend.registry.lineage import inputs_of

Trained = Callable[..., RunRow]


def lineage_of(api: TestClient, ref: str) -> tuple[dict[str, Any], set[tuple[str, str, str]]]:
    """The nodes by id, and the edges as (origin, relation, product)."""
    found = api.get(f"/api/v1/models/{ref}/lineage").json()
    edges = {(edge["origin"], edge["relation"], edge["product"]) for edge in found["edges"]}
    return {node["id"]: node for node in found["nodes"]}, edges


def test_a_lineage_goes_back_to_the_base_and_on_to_the_youngest(api: TestClient, trained: Trained) -> None:
    parent = trained(name="parent")
    child = trained(name="child", policy={"source": f"run:{parent.id}@20"})
    reward = trained(name="taste")
    grandchild = trained(
        name="grandchild",
        policy={"source": f"run:{child.id}"},
        rewards=({"name": "clip", "source": f"run:{reward.id}"}, {"name": "strict"}),
    )
    trained(name="a stranger's child", policy={"source": f"run:{uuid4()}@20"})
    api.put("/api/v1/aliases/champion", json={"target": f"run:{child.id}@10"})
    nodes, edges = lineage_of(api, f"run:{child.id}@10")
    p, c, g, r = (f"run:{row.id}" for row in (parent, child, grandchild, reward))
    assert edges == {
        ("shipped", "started_from", p),
        (p, "started_from", c),
        (c, "started_from", g),
        (r, "rewarded_by", g),
    }
    assert set(nodes) == {"shipped", p, c, g, r}
    assert (nodes[c]["name"], nodes[c]["aliases"], nodes[g]["detail"]) == (
        "child",
        ["champion"],
        "train: clip + strict",
    )
    refs = {edge["ref"] for edge in api.get(f"/api/v1/models/run:{child.id}@10/lineage").json()["edges"]}
    assert f"run:{parent.id}@20" in refs, "the edge says which checkpoint it was"


def test_the_shipped_models_lineage_is_all_that_was_made_from_it(api: TestClient, trained: Trained) -> None:
    row = trained()
    api.post("/api/v1/runs", json={"config": {"kind": "sample"}})
    nodes, edges = lineage_of(api, "shipped")
    assert edges == {("shipped", "started_from", f"run:{row.id}")}
    assert set(nodes) == {"shipped", f"run:{row.id}"}, "pictures are no models"


def test_a_prompt_set_is_told_by_its_name_and_version(
    api: TestClient, trained: Trained, sessions: sessionmaker[Session]
) -> None:
    with transaction(sessions) as session:
        row = PromptSetRow(name="hard ones")
        session.add(row)
        session.flush()
        values = {"num_prompts": 1, "num_duplicates": 0, "tasks": {}}
        session.add(PromptSetVersionRow(prompt_set_id=row.id, version=3, sha256="a" * 64, **values))
    named = trained(prompts={"prompt_set": "a" * 64})
    unnamed = trained(prompts={"prompt_set": "b" * 64})
    nodes, edges = lineage_of(api, f"run:{named.id}")
    assert ("a" * 64, "prompted_by", f"run:{named.id}") in edges
    assert (nodes["a" * 64]["name"], nodes["a" * 64]["kind"]) == ("hard ones, version 3", "prompt_set")
    assert lineage_of(api, f"run:{unnamed.id}")[0]["b" * 64]["name"] == "bbbbbbbbbbbb…"


def test_a_configuration_names_its_material() -> None:
    train = {
        "policy": {"source": "shipped"},
        "rewards": [{"name": "learned", "source": f"run:{uuid4()}"}, {"name": "pickscore", "source": "/weights"}],
        "prompts": {"prompt_set": "f" * 64},
    }
    assert [relation.value for relation, _ in inputs_of("train", train)] == [
        "started_from",
        "rewarded_by",
        "prompted_by",
    ]
    reward = {"base": "shipped", "pairs": {"source": "a" * 64}, "policy": {"source": "shipped"}}
    found = [(relation.value, ref) for relation, ref in inputs_of("reward_model", reward)]
    assert found == [("started_from", "shipped CLIP"), ("learned_from", "a" * 64)]
    assert list(inputs_of("pretrain", {"policy": {"source": "shipped"}, "clip": None})) == []
