"""/api/v1/runs/{id}/groups and /api/v1/samples: groups in order, pictures, trajectories, replays."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi import Path as FromPath

from backend.dependencies import (
    MAX_INTEGER,
    After,
    Limit,
    RunsDirDep,
    SessionDep,
    decode_cursor,
    encode_cursor,
    etag_matches,
)
from backend.runs import repository as runs
from backend.samples import repository
from backend.samples.files import FramesOrigin, SampleFiles, files_of
from backend.samples.frames import read_frames, request_frames
from backend.samples.trajectory import build_trajectory
from backend.samples.wire import group_of, sample_of
from backend.schemas.base import Page
from backend.schemas.sample import FramesState, Group, GroupStep, Sample, SampleFrames, Trajectory

router = APIRouter(tags=["samples"])

Step = Annotated[int | None, Query(ge=0, le=MAX_INTEGER, description="Empty = the newest step that has groups")]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", description="Answers 304 when it is the same")]
Scale = Annotated[int | None, Query(ge=1, le=16, description="Pixels a pixel; empty = 4, or as many as fit")]
Milliseconds = Annotated[int, Query(ge=20, le=5000, description="Time a frame")]
Origin = Annotated[
    FramesOrigin | None,
    Query(description="Only frames that came to be so; empty = decoded where they are, else composed"),
]
PNG_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"description": "A picture", "content": {"image/png": {}}},
    304: {"description": "The same"},
}
X_FRAMES: dict[str, Any] = {
    "X-Frames": {
        "description": "decoded: at each step; composed: the finished picture with the still masked cells covered",
        "schema": {"type": "string", "enum": ["decoded", "composed"]},
    }
}


def get_files(session: SessionDep, runs_dir: RunsDirDep, sample_id: UUID) -> SampleFiles:
    """The files of the sample that the path names."""
    sample, group = repository.get_sample(session, sample_id=sample_id)
    return files_of(runs_dir, sample, group)


FilesDep = Annotated[SampleFiles, Depends(get_files)]


@router.get("/runs/{run_id}/groups")
def list_groups(
    session: SessionDep,
    run_id: UUID,
    step: Step = None,
    purpose: Annotated[str | None, Query(max_length=40, description="train, probe, sample_now, ...")] = None,
    policy: Annotated[str | None, Query(max_length=200)] = None,
    limit: Limit = 20,
    after: After = None,
) -> Page[Group]:
    """The groups of a step, their samples best first."""
    runs.get_run(session, run_id=run_id)
    if step is None:
        step = repository.newest_group_step(session, run_id=run_id, purpose=purpose)
    if step is None:
        return Page(data=[], has_more=False)
    place = decode_cursor(after, str, str, int)
    rows = repository.list_groups(
        session,
        run_id=run_id,
        step=step,
        limit=limit + 1,
        after=None if place is None else repository.GroupPlace(*place),
        purpose=purpose,
        policy=policy,
    )
    has_more, shown = len(rows) > limit, rows[:limit]
    samples = repository.samples_of(session, group_ids=[row.id for row in shown])
    cursor = encode_cursor(shown[-1].purpose, shown[-1].policy, shown[-1].index) if has_more else None
    return Page(data=[group_of(row, samples[row.id]) for row in shown], has_more=has_more, next_cursor=cursor)


@router.get("/runs/{run_id}/groups/steps")
def list_group_steps(session: SessionDep, run_id: UUID) -> list[GroupStep]:
    """Which steps have groups, by purpose and policy."""
    runs.get_run(session, run_id=run_id)
    return repository.list_group_steps(session, run_id=run_id)


@router.get("/samples/{sample_id}")
def get_sample(session: SessionDep, sample_id: UUID) -> Sample:
    """One sample."""
    sample, group = repository.get_sample(session, sample_id=sample_id)
    return sample_of(sample, group)


@router.get("/samples/{sample_id}/image", response_class=Response, responses=PNG_ANSWER)
def get_image(files: FilesDep, if_none_match: IfNoneMatch = None) -> Response:
    """The picture."""
    etag = f'"{files.sample.image_sha256}"'
    if etag_matches(if_none_match, etag):
        return Response(status_code=304, headers=_cached(etag))
    return Response(files.image(), media_type="image/png", headers=_cached(etag))


@router.get("/samples/{sample_id}/trajectory")
def get_trajectory(files: FilesDep) -> Trajectory:
    """Every unmasking step: tokens, what was kept and what masked again, confidence, entropy, log-prob."""
    sample = files.sample
    url = f"/api/v1/samples/{sample.id}/frames"
    return build_trajectory(sample.id, sample.index, files.arrays(), url, is_decoded=files.is_decoded)


@router.post(
    "/samples/{sample_id}/frames",
    status_code=202,
    responses={200: {"model": SampleFrames, "description": "They are decoded"}, 202: {"description": "Asked for"}},
)
def request_decoded_frames(session: SessionDep, response: Response, files: FilesDep) -> SampleFrames:
    """Has each unmasking step of the sample decoded by the interactive worker; asking again changes nothing.

    503 where no such worker is there, 404 where there is no trajectory to decode from.
    """
    frames = request_frames(session, files)
    if frames.state is FramesState.DECODED:
        response.status_code = 200
    return frames


@router.get("/samples/{sample_id}/frames")
def get_frames_state(session: SessionDep, files: FilesDep) -> SampleFrames:
    """Where the decoding stands. 409 says why it failed, 503 that nobody is there to go on with it."""
    return read_frames(session, files)


@router.get(
    "/samples/{sample_id}/frames/{step}",
    response_class=Response,
    responses={200: {**PNG_ANSWER[200], "headers": X_FRAMES}, 304: PNG_ANSWER[304]},
)
def get_frame(
    files: FilesDep,
    step: Annotated[int, FromPath(ge=0, le=MAX_INTEGER)],
    origin: Origin = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The picture after an unmasking step, cells that are still masked in grey.

    It was decoded at that step for the samples whose frames the job kept or somebody asked for. For the others it is
    the finished picture, covered where the step had left cells masked. The header X-Frames says which.
    """
    made = files.origin(origin)
    headers = _told(made, f'"{files.sample.image_sha256}-{made}-{step}"', is_lasting=origin is not None)
    if etag_matches(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(files.frame(step, made), media_type="image/png", headers=headers)


@router.get(
    "/samples/{sample_id}/replay.gif",
    response_class=Response,
    responses={200: {"description": "The unmasking, animated", "content": {"image/gif": {}}, "headers": X_FRAMES}},
)
def get_replay_gif(
    files: FilesDep, scale: Scale = None, milliseconds: Milliseconds = 250, origin: Origin = None
) -> Response:
    """The unmasking as a GIF; its comment says whether its frames were decoded or composed."""
    return _replay(files, "GIF", scale, milliseconds, origin)


@router.get(
    "/samples/{sample_id}/replay.webp",
    response_class=Response,
    responses={200: {"description": "The unmasking, animated", "content": {"image/webp": {}}, "headers": X_FRAMES}},
)
def get_replay_webp(
    files: FilesDep, scale: Scale = None, milliseconds: Milliseconds = 250, origin: Origin = None
) -> Response:
    """The unmasking as an animated WebP, without loss; its description says how its frames came to be."""
    return _replay(files, "WEBP", scale, milliseconds, origin)


def _replay(
    files: SampleFiles, kind: Literal["GIF", "WEBP"], scale: int | None, milliseconds: int, origin: FramesOrigin | None
) -> Response:
    made = files.origin(origin)
    etag = f'"{files.sample.image_sha256}-{made}-{kind}-{scale}-{milliseconds}"'
    name = f"{files.sample.id}.{kind.lower()}"
    return Response(
        files.replay(kind, made, scale=scale, milliseconds=milliseconds),
        media_type=f"image/{kind.lower()}",
        headers=_told(made, etag, is_lasting=origin is not None)
        | {"Content-Disposition": f'inline; filename="{name}"'},
    )


def _told(origin: FramesOrigin, etag: str, *, is_lasting: bool) -> dict[str, str]:
    """How frames came to be. What does not name that may be something else once they are decoded: it is asked again."""
    cached = _cached(etag) if is_lasting else {"ETag": etag, "Cache-Control": "private, no-cache"}
    return {"X-Frames": origin} | cached


def _cached(etag: str) -> dict[str, str]:
    return {"ETag": etag, "Cache-Control": "private, max-age=31536000, immutable"}
