"""Groups in order, pictures cached by their hash, and every unmasking step of a sample."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import ExifTags, Image

from backend.models import RunRow
from backend.samples import files
from backend.schemas.sample import GroupRecord
from tests.backend.conftest import NUM_STEPS, SIDE

MakeRun = Callable[..., RunRow]
MakeGroup = Callable[..., GroupRecord]


def test_a_group_shows_its_samples_best_first(
    api: TestClient, make_run: MakeRun, make_group: MakeGroup, add: Callable[..., None]
) -> None:
    run_id = make_run(worker="w").id
    add(run_id, make_group(num_samples=4, is_kept=False, reason="its rewards hardly differ"))
    (group,) = api.get(f"/api/v1/runs/{run_id}/groups").json()["data"]
    assert [sample["index"] for sample in group["samples"]] == [3, 2, 1, 0]
    assert (group["is_kept"], group["reason"]) == (False, "its rewards hardly differ")
    best = group["samples"][0]
    assert (best["reward_breakdown"], best["prompt"], best["seed"]) == ({"strict": 3.0}, "a red circle", 103)
    assert best["purpose"] == group["purpose"] == "train"
    assert api.get(f"/api/v1/samples/{best['id']}").json() == best


def test_the_newest_step_is_shown_when_none_is_named(
    api: TestClient, make_run: MakeRun, make_group: MakeGroup, add: Callable[..., None]
) -> None:
    run_id = make_run(worker="w").id
    url = f"/api/v1/runs/{run_id}/groups"
    assert api.get(url).json() == {"data": [], "has_more": False, "next_cursor": None}
    add(run_id, make_group(step=1), make_group(step=5))
    add(run_id, make_group(step=9), purpose="probe")
    assert [group["step"] for group in api.get(url, params={"purpose": "train"}).json()["data"]] == [5]
    assert [group["purpose"] for group in api.get(url).json()["data"]] == ["probe"]
    assert [group["step"] for group in api.get(url, params={"step": 1}).json()["data"]] == [1]


def test_groups_of_a_step_are_paged_without_loss(
    api: TestClient, make_run: MakeRun, make_group: MakeGroup, add: Callable[..., None]
) -> None:
    run_id = make_run(worker="w").id
    add(run_id, *(make_group(index=index) for index in range(5)))
    add(
        run_id,
        *(make_group(index=index, policy=policy) for index in range(2) for policy in ("base", "probe")),
        purpose="probe",
    )
    seen: list[tuple[str, str, int]] = []
    cursor: str | None = None
    while True:
        page = api.get(
            f"/api/v1/runs/{run_id}/groups", params={"step": 1, "limit": 2} | ({"after": cursor} if cursor else {})
        ).json()
        seen += [(group["purpose"], group["policy"], group["index"]) for group in page["data"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == [
        *(("probe", policy, index) for policy in ("base", "probe") for index in range(2)),
        *(("train", "policy", index) for index in range(5)),
    ]


def test_the_steps_that_have_groups_are_counted(
    api: TestClient, make_run: MakeRun, make_group: MakeGroup, add: Callable[..., None]
) -> None:
    run_id = make_run(worker="w").id
    add(run_id, make_group(step=1), make_group(step=1, index=1, is_kept=False, mean_reward=1.0), make_group(step=3))
    assert api.get(f"/api/v1/runs/{run_id}/groups/steps").json() == [
        {"step": 1, "purpose": "train", "policy": "policy", "num_groups": 2, "num_kept": 1, "mean_reward": 0.75},
        {"step": 3, "purpose": "train", "policy": "policy", "num_groups": 1, "num_kept": 1, "mean_reward": 0.5},
    ]


def test_a_resumed_run_gives_its_samples_the_same_ids(
    api: TestClient, make_run: MakeRun, make_group: MakeGroup, add: Callable[..., None]
) -> None:
    run_id = make_run(worker="w").id
    add(run_id, make_group())
    before = api.get(f"/api/v1/runs/{run_id}/groups").json()["data"]
    add(run_id, make_group())
    after = api.get(f"/api/v1/runs/{run_id}/groups").json()["data"]
    assert [sample["id"] for sample in after[0]["samples"]] == [sample["id"] for sample in before[0]["samples"]]
    assert UUID(after[0]["id"]).version == 7


def test_a_picture_is_sent_once_and_cached_for_good(api: TestClient, sample_url: str) -> None:
    first = api.get(f"{sample_url}/image")
    assert first.headers["content-type"] == "image/png"
    assert first.headers["etag"] == f'"{1:032x}{0:032x}"'
    assert "immutable" in first.headers["cache-control"]
    assert Image.open(io.BytesIO(first.content)).size == (SIDE, SIDE)
    again = api.get(f"{sample_url}/image", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_trajectory_tells_what_each_step_kept_and_masked_again(api: TestClient, sample_url: str) -> None:
    trajectory = api.get(f"{sample_url}/trajectory").json()
    assert (trajectory["num_rows"], trajectory["num_columns"], trajectory["window_side"]) == (2, 2, 2)
    assert (trajectory["codebook_size"], trajectory["transition"]) == (1024, "candidate_2")
    first, second, last = trajectory["steps"]
    assert [step["num_masked_before"] for step in trajectory["steps"]] == [4, 3, 1]
    assert [step["num_unmasked"] for step in trajectory["steps"]] == [1, 2, 1]
    assert first["codes"] == [5, -1, -1, -1]
    assert first["is_remasked"] == [False, True, True, True]
    assert second["is_newly_unmasked"] == [False, True, True, False]
    assert second["confidence"] == [None, 0.25, 0.75, 0.5]
    assert second["entropy"] == [None, 1.5, 1.5, 1.5]
    assert second["mean_confidence"] == 0.5
    assert last["codes"] == [5, 6, 7, 8]
    assert [step["log_prob"] for step in trajectory["steps"]] == [-1.0, -3.0, -5.0]
    assert api.get(last["image_url"]).status_code == 200


def test_an_infinite_log_prob_is_null(api: TestClient, sample_url: str) -> None:
    sample = api.get(sample_url).json()
    group = api.get(f"/api/v1/runs/{sample['run_id']}/groups").json()["data"][0]
    other = next(each for each in group["samples"] if each["index"] == 1)
    steps = api.get(f"/api/v1/samples/{other['id']}/trajectory").json()["steps"]
    assert [step["log_prob"] for step in steps] == [-2.0, None, -6.0]


def test_each_frame_is_cut_from_the_strip(api: TestClient, sample_url: str) -> None:
    for step in range(NUM_STEPS):
        frame = Image.open(io.BytesIO(api.get(f"{sample_url}/frames/{step}").content))
        assert frame.size == (SIDE, SIDE)
        assert frame.getextrema() == ((10 * step, 10 * step),) * 3
    beyond = api.get(f"{sample_url}/frames/{NUM_STEPS}")
    assert (beyond.status_code, beyond.json()["code"]) == (404, "not_found")
    assert api.get(f"{sample_url}/frames/-1").status_code == 422


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_a_replay_shows_every_frame_enlarged(api: TestClient, sample_url: str, kind: str) -> None:
    response = api.get(f"{sample_url}/replay.{kind}", params={"scale": 3})
    assert response.headers["content-type"] == f"image/{kind}"
    with Image.open(io.BytesIO(response.content)) as replay:
        assert getattr(replay, "n_frames", 1) == NUM_STEPS
        assert replay.size == (3 * SIDE, 3 * SIDE)
    assert api.get(f"{sample_url}/replay.{kind}", params={"scale": 99}).status_code == 422


def sibling(api: TestClient, sample_url: str) -> str:
    """The other sample of the group."""
    sample = api.get(sample_url).json()
    group = api.get(f"/api/v1/runs/{sample['run_id']}/groups").json()["data"][0]
    return next(f"/api/v1/samples/{each['id']}" for each in group["samples"] if each["id"] != sample["id"])


def test_decoded_frames_are_told_from_composed_ones(api: TestClient, sample_url: str, tmp_path: Path) -> None:
    composed_url = sibling(api, sample_url)
    (strip,) = tmp_path.glob("runs/*/frames/*/000-01.png")
    strip.unlink()
    for url, origin in ((sample_url, "decoded"), (composed_url, "composed")):
        assert api.get(f"{url}/trajectory").json()["is_decoded"] is (origin == "decoded")
        for part in ("frames/0", "replay.gif", "replay.webp"):
            assert api.get(f"{url}/{part}").headers["x-frames"] == origin, part
        with Image.open(io.BytesIO(api.get(f"{url}/replay.gif").content)) as replay:
            assert origin in replay.info["comment"].decode()
        with Image.open(io.BytesIO(api.get(f"{url}/replay.webp").content)) as replay:
            assert origin in replay.getexif()[ExifTags.Base.ImageDescription]


def test_a_composed_frame_is_the_finished_picture_with_grey_over_masked_cells(
    api: TestClient, sample_url: str, tmp_path: Path
) -> None:
    (strip,) = tmp_path.glob("runs/*/frames/*/000-00.png")
    strip.unlink()
    # The sample's four tokens were unmasked at steps 0, 1, 1, 2; its picture is filled with 99.
    for step, values in enumerate(([99, 102, 102, 102], [99, 99, 99, 102], [99, 99, 99, 99])):
        frame = np.asarray(Image.open(io.BytesIO(api.get(f"{sample_url}/frames/{step}").content)))[:, :, 0]
        cells = [frame[row : row + 4, column : column + 4] for row in (0, 4) for column in (0, 4)]
        assert [(cell.min(), cell.max()) for cell in cells] == [(value, value) for value in values]


def make_wide(tmp_path: Path) -> None:
    """Turns the picture of 2 x 2 tokens into one that grew to the right: 2 rows and 3 columns of 4 pixels."""
    (path,) = tmp_path.glob("runs/*/trajectories/*/000.npz")
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    unmasked_at = np.array([[-1, -1, 0, -1, -1, 2]] * 2, dtype=np.int16)
    confidence = np.full((NUM_STEPS, 2, 6), np.nan, dtype=np.float16)
    # The window of the last row comes at step 1, and masks its draw again.
    confidence[0, :, 2] = confidence[1:, :, 5] = 0.5
    codes = np.arange(12, dtype=np.int16).reshape(2, 6)
    drawn = np.broadcast_to(codes, (NUM_STEPS, 2, 6))
    changed = {"codes": codes, "drawn": drawn, "confidence": confidence, "entropy": confidence}
    np.savez_compressed(path, **(arrays | changed | {"unmasked_at": unmasked_at, "grid": np.array([2, 3])}))
    (picture,) = tmp_path.glob("runs/*/samples/*/000-00.png")
    Image.new("RGB", (12, 8), (99, 99, 99)).save(picture)
    (strip,) = tmp_path.glob("runs/*/frames/*/000-00.png")
    frames = Image.new("RGB", (NUM_STEPS * 12, 8))
    for step in range(NUM_STEPS):
        frames.paste((10 * step,) * 3, (12 * step, 0, 12 * step + 12, 8))
    frames.save(strip)


def test_a_picture_that_grew_is_replayed_on_its_own_grid(api: TestClient, sample_url: str, tmp_path: Path) -> None:
    make_wide(tmp_path)
    trajectory = api.get(f"{sample_url}/trajectory").json()
    assert (trajectory["num_rows"], trajectory["num_columns"]) == (2, 3)
    first, second, last = trajectory["steps"]
    assert (first["num_masked_before"], first["num_unmasked"]) == (2, 1)
    assert first["codes"] == [0, 1, 2, 3, 4, -1]
    # A cell that no window has come to is masked, but nothing was drawn there to be masked again.
    assert not any(first["is_remasked"])
    assert second["is_remasked"] == [False] * 5 + [True]
    assert last["confidence"] == [None] * 5 + [0.5]
    for step in range(NUM_STEPS):
        frame = Image.open(io.BytesIO(api.get(f"{sample_url}/frames/{step}").content))
        assert (frame.size, frame.getextrema()) == ((12, 8), ((10 * step, 10 * step),) * 3)
        composed = api.get(f"{sample_url}/frames/{step}", params={"origin": "composed"}).content
        covered = np.asarray(Image.open(io.BytesIO(composed)))[:, :, 0]
        assert covered.shape == (8, 12)
        assert (covered[4:, 8:] == (99 if step == 2 else 102)).all()
        assert (covered[:, :8] == 99).all()
    with Image.open(io.BytesIO(api.get(f"{sample_url}/replay.gif", params={"scale": 2}).content)) as replay:
        assert (replay.size, getattr(replay, "n_frames", 1)) == ((24, 16), NUM_STEPS)


def test_a_replay_that_would_be_too_large_names_the_scale_that_is_not(
    api: TestClient, sample_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_REPLAY_PIXELS", NUM_STEPS * SIDE**2 * 9)
    with Image.open(io.BytesIO(api.get(f"{sample_url}/replay.webp").content)) as replay:
        assert replay.size == (3 * SIDE, 3 * SIDE)
    refused = api.get(f"{sample_url}/replay.webp", params={"scale": 4})
    assert (refused.status_code, "ask for a scale of at most 3" in refused.json()["detail"]) == (422, True)
    monkeypatch.setattr(files, "MAX_REPLAY_PIXELS", 1)
    assert "ask for its frames one by one" in api.get(f"{sample_url}/replay.webp").json()["detail"]


def test_a_sample_without_a_trajectory_says_so(
    api: TestClient, make_run: MakeRun, make_group: MakeGroup, add: Callable[..., None]
) -> None:
    run_id = make_run(worker="w").id
    add(run_id, make_group(trajectory_path=None))
    sample = api.get(f"/api/v1/runs/{run_id}/groups").json()["data"][0]["samples"][0]
    assert not sample["has_trajectory"]
    missing = api.get(f"/api/v1/samples/{sample['id']}/trajectory")
    assert (missing.status_code, "did not record it" in missing.json()["detail"]) == (404, True)


def test_a_missing_file_is_named(
    api: TestClient, make_run: MakeRun, make_group: MakeGroup, add: Callable[..., None]
) -> None:
    run_id = make_run(worker="w").id
    add(run_id, make_group())
    sample = api.get(f"/api/v1/runs/{run_id}/groups").json()["data"][0]["samples"][0]
    for part in ("image", "trajectory", "frames/0", "replay.gif"):
        missing = api.get(f"/api/v1/samples/{sample['id']}/{part}")
        assert missing.status_code == 404
        assert "/000001/" in missing.json()["detail"]


def test_an_unknown_sample_is_not_found(api: TestClient) -> None:
    for part in ("", "/image", "/trajectory", "/frames/0", "/replay.webp"):
        assert api.get(f"/api/v1/samples/{uuid4()}{part}").json()["code"] == "not_found"
