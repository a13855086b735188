"""Models and aliases, over REST."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO
from urllib.parse import quote

from pydantic import TypeAdapter

from backend.client.connection import Connection
from backend.errors import MalformedError
from backend.schemas.base import Page
from backend.schemas.registry import Alias, AliasMove, AliasSet, Lineage, Model, ModelImport, ModelKind, ModelUser

_users: TypeAdapter[list[ModelUser]] = TypeAdapter(list[ModelUser])


class RegistryRoutes(Connection):
    """Listing, importing and deleting models; setting and moving aliases."""

    def list_models(self, *, limit: int = 20, after: str | None = None, kind: Sequence[ModelKind] = ()) -> Page[Model]:
        """Models that runs can start from or be rewarded by; a page is `limit` runs with all that each made."""
        return self._get(Page[Model], "/models", limit=limit, after=after, kind=list(kind))

    def get_model(self, ref: str) -> Model:
        """One model."""
        return self._get(Model, _path(ref))

    def import_model(self, wanted: ModelImport) -> Model:
        """Enters a folder of the server or a hub name."""
        return self._post(Model, "/models", wanted)

    def delete_model(self, ref: str) -> None:
        """Deletes a model; ConflictError names whatever uses it."""
        self._send("DELETE", _path(ref))

    def download_model(self, ref: str, file: IO[bytes]) -> int:
        """Writes the model's folder, as a zip archive, into an open file; gives its size in bytes."""
        return self._receive(f"{_path(ref)}/download", file)

    def list_users(self, ref: str) -> list[ModelUser]:
        """What refers to a model."""
        return _users.validate_json(self._send("GET", f"{_path(ref)}/users").content)

    def get_lineage(self, ref: str) -> Lineage:
        """What a model was made from and what was made from it."""
        return self._get(Lineage, f"{_path(ref)}/lineage")

    def list_aliases(self, *, limit: int = 20, after: str | None = None) -> Page[Alias]:
        """Aliases by name."""
        return self._get(Page[Alias], "/aliases", limit=limit, after=after)

    def get_alias(self, name: str) -> Alias:
        """What a name means now."""
        return self._get(Alias, _alias_path(name))

    def set_alias(self, name: str, wanted: AliasSet, *, revision: int | None = None) -> Alias:
        """Has a name mean a model; with a revision, only when nobody moved it since."""
        content = wanted.model_dump_json()
        response = self._send("PUT", _alias_path(name), content=content, headers=_if_match(revision))
        return Alias.model_validate_json(response.content)

    def delete_alias(self, name: str, *, revision: int | None = None) -> None:
        """Gives a name up."""
        self._send("DELETE", _alias_path(name), headers=_if_match(revision))

    def list_moves(self, name: str, *, limit: int = 20, after: str | None = None) -> Page[AliasMove]:
        """What a name has meant, the newest first."""
        return self._get(Page[AliasMove], f"{_alias_path(name)}/moves", limit=limit, after=after)


def _path(ref: str) -> str:
    return f"/models/{quote(ref, safe='')}"


def _alias_path(name: str) -> str:
    if not name.strip():
        # Without a name the address is that of the list, which knows no such request.
        raise MalformedError("the alias has no name: give it one, of lower case letters, digits and hyphens")
    return f"/aliases/{quote(name, safe='')}"


def _if_match(revision: int | None) -> dict[str, str]:
    return {} if revision is None else {"If-Match": f'"{revision}"'}
