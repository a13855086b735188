"""Label tasks, raters and votes, over REST: the owner's side, and the rater's door with a token of its own."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx

from backend.client.connection import Connection, RunID
from backend.schemas.base import Page
from backend.schemas.preference import (
    BlindPairs,
    FlagCreate,
    LabelTask,
    LabelTaskCreate,
    LabelTaskEdit,
    NewRater,
    PairFlag,
    Rater,
    RaterCreate,
    RaterEdit,
    RaterVote,
    RatingTask,
    SamplesForPeople,
    Vote,
    VotePut,
)

TaskID = UUID | str


class PreferenceRoutes(Connection):
    """Asking people, and voting as one of them."""

    def create_label_task(self, wanted: LabelTaskCreate, *, idempotency_key: str | None = None) -> LabelTask:
        """Makes pairs of a source."""
        return self._post(LabelTask, "/label-tasks", wanted, idempotency_key)

    def ask_people(
        self, run_id: RunID, wanted: SamplesForPeople | None = None, *, idempotency_key: str | None = None
    ) -> LabelTask:
        """Asks people about some samples of a run; which pairs they make is the studio's to choose."""
        return self._post(LabelTask, f"/runs/{run_id}/label-tasks", wanted or SamplesForPeople(), idempotency_key)

    def list_label_tasks(
        self, *, limit: int = 20, after: str | None = None, status: str | None = None
    ) -> Page[LabelTask]:
        """Label tasks, the newest first."""
        return self._get(Page[LabelTask], "/label-tasks", limit=limit, after=after, status=status)

    def get_label_task(self, task_id: TaskID) -> LabelTask:
        """A label task and how far it is."""
        return self._get(LabelTask, f"/label-tasks/{task_id}")

    def edit_label_task(self, task_id: TaskID, changes: LabelTaskEdit, *, etag: str | None = None) -> LabelTask:
        """Changes name, guideline or status."""
        headers = {} if etag is None else {"If-Match": etag}
        content = changes.model_dump_json(exclude_none=True)
        answer = self._send("PATCH", f"/label-tasks/{task_id}", content=content, headers=headers)
        return LabelTask.model_validate_json(answer.content)

    def create_rater(self, task_id: TaskID, wanted: RaterCreate, *, idempotency_key: str | None = None) -> NewRater:
        """Makes a rater; the token is in this answer only, and in that to the same request under the same key."""
        return self._post(NewRater, f"/label-tasks/{task_id}/raters", wanted, idempotency_key)

    def list_raters(self, task_id: TaskID, *, limit: int = 20, after: str | None = None) -> Page[Rater]:
        """A task's raters."""
        return self._get(Page[Rater], f"/label-tasks/{task_id}/raters", limit=limit, after=after)

    def get_rater(self, rater_id: UUID) -> Rater:
        """A rater and how many votes of theirs stand."""
        return self._get(Rater, f"/raters/{rater_id}")

    def edit_rater(self, rater_id: UUID, changes: RaterEdit, *, etag: str | None = None) -> Rater:
        """Renames, excludes or withdraws."""
        headers = {} if etag is None else {"If-Match": etag}
        content = changes.model_dump_json(exclude_none=True)
        answer = self._send("PATCH", f"/raters/{rater_id}", content=content, headers=headers)
        return Rater.model_validate_json(answer.content)

    def list_votes(self, task_id: TaskID, *, limit: int = 20, after: str | None = None) -> Page[Vote]:
        """All votes of a task, undone ones too."""
        return self._get(Page[Vote], f"/label-tasks/{task_id}/votes", limit=limit, after=after)

    def list_flags(self, task_id: TaskID, *, limit: int = 20, after: str | None = None) -> Page[PairFlag]:
        """The pairs that raters flagged."""
        return self._get(Page[PairFlag], f"/label-tasks/{task_id}/flags", limit=limit, after=after)

    def get_rating_task(self, token: str) -> RatingTask:
        """What a rater sees of the task."""
        return RatingTask.model_validate_json(self._as_rater("GET", token, "").content)

    def next_pairs(self, token: str, *, count: int = 2) -> BlindPairs:
        """The rater's next pairs."""
        return BlindPairs.model_validate_json(self._as_rater("GET", token, "/next", params={"count": count}).content)

    def get_pair_picture(self, token: str, url: str) -> bytes:
        """A blind pair's picture, by `left_url` or `right_url`."""
        return self._as_rater("GET", token, url.removeprefix("/api/v1/rating")).content

    def put_vote(self, token: str, vote_id: UUID, vote: VotePut) -> RaterVote:
        """Votes; the same id and vote any number of times is one vote."""
        content = vote.model_dump_json()
        return RaterVote.model_validate_json(self._as_rater("PUT", token, f"/votes/{vote_id}", content=content).content)

    def undo_vote(self, token: str, vote_id: UUID) -> RaterVote:
        """Takes a vote back."""
        return RaterVote.model_validate_json(self._as_rater("DELETE", token, f"/votes/{vote_id}").content)

    def flag_pair(self, token: str, flag: FlagCreate) -> None:
        """Tells the owner that something is wrong with a pair."""
        self._as_rater("POST", token, "/flags", content=flag.model_dump_json())

    def _as_rater(self, method: str, token: str, path: str, **options: Any) -> httpx.Response:
        return self._send(method, f"/rating{path}", headers={"Authorization": f"Bearer {token}"}, **options)
