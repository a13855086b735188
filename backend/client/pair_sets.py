"""Pair sets, over REST: freezing, importing, exporting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backend.client.connection import Connection, RunID, raise_problem
from backend.errors import MalformedError
from backend.schemas.base import Page
from backend.schemas.pair_set import FrozenPair, PairFormat, PairPart, PairSet, PairSetCreate
from backend.schemas.vote_figures import LabelResults

# Reading a hundred thousand pictures takes a while.
_PATIENCE_SECONDS = 3600.0


class PairSetRoutes(Connection):
    """Making, reading and removing pair sets; a label task's results and its export."""

    def get_label_results(self, task_id: RunID, *, exclude_rater: Sequence[RunID] = ()) -> LabelResults:
        """What the votes of a label task say so far."""
        wanted = [str(each) for each in exclude_rater]
        return self._get(LabelResults, f"/label-tasks/{task_id}/results", exclude_rater=wanted)

    def create_pair_set(self, wanted: PairSetCreate) -> PairSet:
        """Freezes a label task's votes, or imports what lies on the studio's machine."""
        content = wanted.model_dump_json()
        answer = self._send("POST", "/pair-sets", content=content, timeout=_PATIENCE_SECONDS)
        return PairSet.model_validate_json(answer.content)

    def upload_pair_set(self, path: Path, wanted: PairFormat, name: str) -> PairSet:
        """Imports a file of this machine."""
        try:
            with path.open("rb") as file:
                answer = self._send(
                    "POST",
                    "/pair-sets/upload",
                    data={"format": wanted.value, "name": name},
                    files={"file": (path.name, file)},
                    timeout=_PATIENCE_SECONDS,
                )
        except OSError as error:
            raise MalformedError(f"{path} cannot be read: {error.strerror}") from error
        return PairSet.model_validate_json(answer.content)

    def list_pair_sets(self, *, limit: int = 20, after: str | None = None) -> Page[PairSet]:
        """Sets, the newest first."""
        return self._get(Page[PairSet], "/pair-sets", limit=limit, after=after)

    def get_pair_set(self, sha256: str) -> PairSet:
        """One set, and the runs that learn from it."""
        return self._get(PairSet, f"/pair-sets/{sha256}")

    def list_pairs_of_set(self, sha256: str, *, limit: int = 20, after: str | None = None) -> Page[FrozenPair]:
        """A set's pairs with their votes, in the order of its file."""
        return self._get(Page[FrozenPair], f"/pair-sets/{sha256}/pairs", limit=limit, after=after)

    def delete_pair_set(self, sha256: str) -> None:
        """Removes a set that no run names."""
        self._send("DELETE", f"/pair-sets/{sha256}")

    def export_pair_set(
        self, sha256: str, wanted: PairFormat, to: Path, *, part: PairPart | None = None, with_pictures: bool = False
    ) -> None:
        """Writes a set to a file for other programs."""
        self._download(f"/pair-sets/{sha256}/export", wanted, to, part, with_pictures)

    def export_label_task(
        self,
        task_id: RunID,
        wanted: PairFormat,
        to: Path,
        *,
        part: PairPart | None = None,
        with_pictures: bool = False,
        exclude_rater: Sequence[RunID] = (),
    ) -> None:
        """Writes a label task's votes, as they are now, to a file for other programs."""
        raters = [str(each) for each in exclude_rater]
        self._download(f"/label-tasks/{task_id}/export", wanted, to, part, with_pictures, raters)

    def _download(
        self,
        path: str,
        wanted: PairFormat,
        to: Path,
        part: PairPart | None,
        with_pictures: bool,
        raters: Sequence[str] = (),
    ) -> None:
        """Writes as it comes. A file that does not come whole is removed."""
        params: dict[str, str | list[str]] = {"format": wanted.value, "exclude_rater": list(raters)}
        params |= {} if part is None else {"part": part.value}
        params |= {"with_pictures": "true"} if with_pictures else {}
        with self._http.stream("GET", f"/api/v1{path}", params=params, timeout=_PATIENCE_SECONDS) as answer:
            if answer.is_error:
                answer.read()
            raise_problem(answer)
            try:
                with to.open("wb") as file:
                    for chunk in answer.iter_bytes():
                        file.write(chunk)
            except OSError as error:
                raise MalformedError(f"{to} cannot be written: {error.strerror}") from error
            except BaseException:
                to.unlink(missing_ok=True)
                raise
