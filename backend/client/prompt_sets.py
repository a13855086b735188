"""Prompt sets, over REST: uploading, reading, editing, downloading; and what an evaluation shares with training."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from backend.client.connection import Connection
from backend.errors import MalformedError
from backend.schemas.base import Page
from backend.schemas.prompt_set import (
    PromptEntry,
    PromptFormat,
    PromptSet,
    PromptSetCreate,
    PromptSetDetail,
    PromptSetEdit,
)


class PromptSetRoutes(Connection):
    """Making, reading, changing and removing prompt sets."""

    def create_prompt_set(self, wanted: PromptSetCreate) -> PromptSetDetail:
        """Makes a set of a file's text."""
        return PromptSetDetail.model_validate_json(
            self._send("POST", "/prompt-sets", content=wanted.model_dump_json()).content
        )

    def upload_prompt_set(
        self, path: Path, wanted: PromptFormat, name: str, *, prompt_set_id: UUID | None = None
    ) -> PromptSetDetail:
        """Makes a set of a file of this machine, or the next version of one."""
        data = {"format": wanted.value, "name": name}
        data |= {} if prompt_set_id is None else {"prompt_set_id": str(prompt_set_id)}
        try:
            with path.open("rb") as file:
                answer = self._send("POST", "/prompt-sets/upload", data=data, files={"file": (path.name, file)})
        except OSError as error:
            raise MalformedError(f"{path} cannot be read: {error.strerror}") from error
        return PromptSetDetail.model_validate_json(answer.content)

    def list_prompt_sets(self, *, limit: int = 20, after: str | None = None) -> Page[PromptSet]:
        """Sets, the newest first; the shipped ones last."""
        return self._get(Page[PromptSet], "/prompt-sets", limit=limit, after=after)

    def get_prompt_set(self, set_id: UUID) -> PromptSetDetail:
        """A set, its versions, and the runs that name one."""
        return self._get(PromptSetDetail, f"/prompt-sets/{set_id}")

    def edit_prompt_set(self, set_id: UUID, changes: PromptSetEdit, *, if_match: str | None = None) -> PromptSetDetail:
        """Renames a set, or makes its next version."""
        headers = {} if if_match is None else {"If-Match": if_match}
        content = changes.model_dump_json(exclude_none=True)
        answer = self._send("PATCH", f"/prompt-sets/{set_id}", content=content, headers=headers)
        return PromptSetDetail.model_validate_json(answer.content)

    def list_prompts(
        self,
        set_id: UUID,
        *,
        version: int | None = None,
        task: str | None = None,
        limit: int = 20,
        after: str | None = None,
    ) -> Page[PromptEntry]:
        """The prompts of a version, in order."""
        path = f"/prompt-sets/{set_id}/prompts"
        return self._get(Page[PromptEntry], path, version=version, task=task, limit=limit, after=after)

    def download_prompt_set(self, set_id: UUID, wanted: PromptFormat, *, version: int | None = None) -> bytes:
        """A version as a file."""
        params = {"format": wanted.value} | ({} if version is None else {"version": str(version)})
        return self._send("GET", f"/prompt-sets/{set_id}/download", params=params).content

    def delete_prompt_set(self, set_id: UUID) -> None:
        """Removes a set that no run names."""
        self._send("DELETE", f"/prompt-sets/{set_id}")
