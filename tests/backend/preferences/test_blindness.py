"""What reaches a rater's browser says nothing of what made the pictures."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

from fastapi.testclient import TestClient
from PIL import Image, PngImagePlugin

from backend.artifacts import run_folder
from backend.preferences.rating_endpoints import _bare
from backend.schemas.sample import GroupRecord
from tests.backend.preferences.conftest import DOOR, TASKS, MakeRater, MakeTask
from tests.backend.preferences.test_rating import vote


def test_nothing_that_a_rater_gets_names_run_sample_policy_or_file(
    api: TestClient, make_task: MakeTask, make_rater: MakeRater, evaluation: str
) -> None:
    rater = make_rater(make_task(gold={"num_pairs": 2}))
    answers = [api.get(DOOR, headers=rater), api.get(f"{DOOR}/next?count=20", headers=rater)]
    for pair in answers[1].json()["data"]:
        assert set(pair) == {"pair_id", "prompt", "left_url", "right_url"}
        answers += [api.get(pair[side], headers=rater) for side in ("left_url", "right_url")]
    answers.append(vote(api, rater, answers[1].json()["data"][0]["pair_id"]))
    answers.append(vote(api, rater, str(uuid4())))
    samples = [
        each
        for row in api.get(f"/api/v1/evaluations/{evaluation}/pairs").json()["data"]
        for each in row.values()
        if isinstance(each, dict) and "id" in each
    ]
    secrets = {"the-secret-run", "base", "policy", "gold", "000001", "seed", "reward", "evaluate", evaluation}
    secrets |= {each[key] for each in samples for key in ("id", "image_sha256", "group_id")}
    for answer in answers:
        told = f"{answer.headers} {answer.text}".lower()
        assert not [secret for secret in secrets if secret in told], told


def test_a_pictures_file_says_nothing_but_its_pixels() -> None:
    buffer, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("Software", "the secret policy")
    Image.new("RGB", (4, 4), "red").save(buffer, format="PNG", pnginfo=info)
    bare = _bare(buffer.getvalue())
    assert b"secret" not in bare
    with Image.open(io.BytesIO(bare)) as picture:
        assert picture.getpixel((1, 1)) == (255, 0, 0)


def test_what_no_reader_of_pictures_shows_is_left_out_too() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(buffer, format="PNG")
    whole = buffer.getvalue()
    end = whole.index(b"IEND") - 4
    hidden = [_chunk(name, b"the secret policy") for name in (b"tEXt", b"tIME", b"eXIf", b"prIv")]
    loud = whole[:33] + b"".join(hidden) + whole[33:end] + b"".join(hidden) + whole[end:]
    assert _bare(loud + b"the secret policy") == whole


def test_pictures_of_two_sizes_make_no_task_for_their_size_would_tell_which_is_which(
    api: TestClient, add: Callable[..., None], make_group: Callable[..., GroupRecord], tmp_path: Path
) -> None:
    runs = [api.post("/api/v1/runs", json={"config": {"kind": "sample", "name": name}}).json() for name in "ab"]
    for run, side in zip(runs, (64, 256), strict=True):
        group = make_group(step=side)
        add(UUID(run["id"]), group, purpose="sample")
        _draw(tmp_path, run["id"], group, side)
    source = {"kind": "runs", "run_id": runs[0]["id"], "other_run_id": runs[1]["id"]}
    refused = api.post(TASKS, json={"name": "Sizes", "source": source})
    assert refused.status_code == 422
    assert "64 x 64 pixels by a and of 256 x 256 by b" in refused.json()["detail"]
    assert "make both of one size" in refused.json()["detail"]
    _draw(tmp_path, runs[1]["id"], make_group(step=256), 64)
    assert api.post(TASKS, json={"name": "Sizes", "source": source}).status_code == 201


def _draw(tmp_path: Path, run_id: str, group: GroupRecord, side: int) -> None:
    for sample in group.samples:
        path = run_folder(tmp_path / "runs", UUID(run_id)).path(sample.image_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (side, side), "red").save(path)


def _chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)
