"""What was made from what: walks from a model to all that it was made from, and to all that was made from it.

A run's checkpoints and its export are one node; an edge says which of them exactly was referred to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from backend.models import RunRow
from backend.registry import repository
from backend.registry.refs import SHIPPED, ModelRef, read_ref
from backend.schemas.every_run import RunKind
from backend.schemas.registry import Lineage, LineageEdge, LineageKind, LineageNode, Relation

MAX_NODES = 120
SHIPPED_CLIP = "shipped CLIP"
_RUN_REF = re.compile(r"run:[0-9a-fA-F-]{36}(@\d{1,9})?")
_SETS = {Relation.PROMPTED_BY: LineageKind.PROMPT_SET, Relation.LEARNED_FROM: LineageKind.PAIR_SET}


def trace(session: Session, ref: ModelRef) -> Lineage:
    """The lineage of a model, cut off after `MAX_NODES` nodes."""
    walk = _Walk(session)
    focus = walk.enter(ref.text)
    walk.ancestors(focus)
    walk.descendants(focus)
    edges = tuple(edge for edge in walk.edges if edge.origin in walk.nodes and edge.product in walk.nodes)
    return Lineage(ref=ref.text, focus=focus, nodes=tuple(walk.nodes.values()), edges=edges, is_cut=walk.is_cut)


def inputs_of(kind: str, config: dict[str, Any]) -> Iterator[tuple[Relation, str]]:
    """What a run's configuration names as its material, in words of a lineage."""
    policy = config.get("policy")
    if kind == repository.REWARD_MODEL:
        base = str(config.get("base", SHIPPED))
        # The word means another thing here: the tiny CLIP, not the tiny Show-o.
        yield Relation.STARTED_FROM, SHIPPED_CLIP if base == SHIPPED else base
    elif isinstance(policy, dict) and (kind != RunKind.PRETRAIN or config.get("clip")):
        yield Relation.STARTED_FROM, str(policy.get("source", SHIPPED))
    for reward in config.get("rewards") or ():
        if isinstance(reward, dict) and _RUN_REF.fullmatch(str(reward.get("source", ""))):
            yield Relation.REWARDED_BY, str(reward["source"])
    for relation, section, name in (
        (Relation.PROMPTED_BY, "prompts", "prompt_set"),
        (Relation.LEARNED_FROM, "pairs", "source"),
    ):
        part = config.get(section)
        if isinstance(part, dict) and part.get(name):
            yield relation, str(part[name])


class _Walk:
    """Nodes by id, and edges without repeats, as they are found."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._runs: dict[str, RunRow] = {}
        self.nodes: dict[str, LineageNode] = {}
        self.edges: list[LineageEdge] = []
        self.is_cut = False

    def enter(self, ref: str, relation: Relation = Relation.STARTED_FROM) -> str:
        """Makes the node of a ref, where there is none yet; gives its id, or "" where there is no room."""
        run_id = read_ref(ref).run_id if _RUN_REF.fullmatch(ref) else None
        key = ref if run_id is None else f"run:{run_id}"
        if key in self.nodes:
            return key
        if len(self.nodes) >= MAX_NODES:
            self.is_cut = True
            return ""
        self.nodes[key] = self._node(key, run_id, relation)
        return key

    def ancestors(self, start: str) -> None:
        """Follows configurations back to what needs nothing else."""
        waiting, seen = [start], set()
        while waiting:
            key = waiting.pop()
            run = self._runs.get(key)
            if run is None or key in seen:
                continue
            seen.add(key)
            for relation, ref in inputs_of(run.kind, run.config):
                if origin := self.enter(ref, relation):
                    self._link(origin, key, relation, ref)
                    waiting.append(origin)

    def descendants(self, start: str) -> None:
        """Follows models to the runs that were made from them, with all else that went into those."""
        waiting, seen = [start], set()
        while waiting:
            key = waiting.pop()
            if key in seen or not key:
                continue
            seen.add(key)
            for row in self._made_from(key):
                product = self.enter(f"run:{row.id}")
                for relation, ref in inputs_of(row.kind, row.config) if product else ():
                    if origin := self.enter(ref, relation):
                        self._link(origin, product, relation, ref)
                waiting.append(product)

    def _made_from(self, key: str) -> list[RunRow]:
        node = self.nodes[key]
        if node.run_id is not None:
            return list(repository.makers_naming_run(self._session, run_id=node.run_id, limit=MAX_NODES))
        found = repository.runs_naming(self._session, ref=ModelRef(key), kinds=repository.MAKERS, limit=MAX_NODES)
        return [row for row in found if any(ref == key for _, ref in inputs_of(row.kind, row.config))]

    def _link(self, origin: str, product: str, relation: Relation, ref: str) -> None:
        edge = LineageEdge(origin=origin, product=product, relation=relation, ref=ref)
        if edge not in self.edges:
            self.edges.append(edge)

    def _node(self, key: str, run_id: UUID | None, relation: Relation) -> LineageNode:
        if run_id is None:
            return self._outside(key, relation)
        row = repository.find_run(self._session, run_id=run_id)
        if row is None:
            return LineageNode(id=key, kind=LineageKind.RUN, name="a run that is not here", run_id=None)
        self._runs[key] = row
        is_reward = row.kind == repository.REWARD_MODEL
        return LineageNode(
            id=key,
            kind=LineageKind.REWARD_MODEL if is_reward else LineageKind.RUN,
            name=row.name,
            run_id=row.id,
            status=row.status,
            aliases=repository.aliases_of_run(self._session, run_id=row.id),
            detail=_rewards_in_words(row),
        )

    def _outside(self, key: str, relation: Relation) -> LineageNode:
        if relation in _SETS:
            return LineageNode(id=key, kind=_SETS[relation], name=self._set_name(key, relation))
        names = repository.aliases_of(self._session, targets=[key]).get(key, ())
        if key in (SHIPPED, SHIPPED_CLIP):
            name = "Tiny Show-o" if key == SHIPPED else "Tiny CLIP"
            return LineageNode(id=key, kind=LineageKind.BASE, name=name, aliases=names)
        row = repository.find_imported(self._session, source=key)
        name = key if row is None else row.name
        return LineageNode(id=key, kind=LineageKind.IMPORTED, name=name, aliases=names, detail=key)

    def _set_name(self, key: str, relation: Relation) -> str:
        if relation is Relation.PROMPTED_BY and (found := repository.find_prompt_set(self._session, sha256=key)):
            return f"{found[0]}, version {found[1]}"
        return f"{key[:12]}…" if len(key) > 20 else key


def _rewards_in_words(row: RunRow) -> str:
    names = [str(reward.get("name")) for reward in row.config.get("rewards") or () if isinstance(reward, dict)]
    kind = row.kind.replace("_", " ")
    return f"{kind}: {' + '.join(names)}" if names else kind
