"""Groups, samples and their pictures, over REST."""

from __future__ import annotations

from typing import Literal

from backend.client.connection import Connection, RunID
from backend.schemas.base import Page
from backend.schemas.picture import Picture, PictureCreate
from backend.schemas.sample import FollowedPrompt, Group, GroupStep, Sample, SampleFrames, Trajectory


class SampleRoutes(Connection):
    """Reading groups, samples, trajectories and frames."""

    def list_groups(
        self,
        run_id: RunID,
        *,
        step: int | None = None,
        purpose: str | None = None,
        policy: str | None = None,
        limit: int = 20,
        after: str | None = None,
    ) -> Page[Group]:
        """The groups of a step, the newest one when none is given."""
        path = f"/runs/{run_id}/groups"
        return self._get(Page[Group], path, step=step, purpose=purpose, policy=policy, limit=limit, after=after)

    def list_group_steps(self, run_id: RunID) -> list[GroupStep]:
        """Which steps have groups."""
        return [GroupStep.model_validate(each) for each in self._send("GET", f"/runs/{run_id}/groups/steps").json()]

    def list_followed_prompts(
        self, run_id: RunID, *, purpose: str = "probe", limit: int = 20, after: str | None = None
    ) -> Page[FollowedPrompt]:
        """Prompts of which a run stored pictures more than once."""
        path = f"/runs/{run_id}/prompts"
        return self._get(Page[FollowedPrompt], path, purpose=purpose, limit=limit, after=after)

    def list_groups_of_prompt(
        self, run_id: RunID, prompt: str, *, purpose: str = "probe", limit: int = 20, after: str | None = None
    ) -> Page[Group]:
        """One prompt's groups from step to step."""
        path = f"/runs/{run_id}/prompts/groups"
        return self._get(Page[Group], path, prompt=prompt, purpose=purpose, limit=limit, after=after)

    def get_sample(self, sample_id: RunID) -> Sample:
        """One sample."""
        return self._get(Sample, f"/samples/{sample_id}")

    def create_picture(self, wanted: PictureCreate) -> Picture:
        """Brings a picture in, fitted to a policy."""
        return self._post(Picture, "/pictures", wanted)

    def get_image(self, sample_id: RunID) -> bytes:
        """A sample's picture, as PNG."""
        return self._send("GET", f"/samples/{sample_id}/image").content

    def get_trajectory(self, sample_id: RunID) -> Trajectory:
        """A sample's unmasking steps."""
        return self._get(Trajectory, f"/samples/{sample_id}/trajectory")

    def request_frames(self, sample_id: RunID) -> SampleFrames:
        """Has each unmasking step decoded; asking again changes nothing."""
        return self._post(SampleFrames, f"/samples/{sample_id}/frames")

    def get_frames(self, sample_id: RunID) -> SampleFrames:
        """Where the decoding stands."""
        return self._get(SampleFrames, f"/samples/{sample_id}/frames")

    def get_frame(self, sample_id: RunID, step: int) -> bytes:
        """The picture after an unmasking step, as PNG."""
        return self._send("GET", f"/samples/{sample_id}/frames/{step}").content

    def get_replay(
        self, sample_id: RunID, kind: Literal["gif", "webp"], *, scale: int = 4, milliseconds: int = 250
    ) -> bytes:
        """The unmasking as an animation."""
        params = {"scale": scale, "milliseconds": milliseconds}
        return self._send("GET", f"/samples/{sample_id}/replay.{kind}", params=params).content
