"""What reaches a rater's browser says nothing of what made the pictures."""

from __future__ import annotations

import io
import zlib
from uuid import uuid4

from fastapi.testclient import TestClient
from PIL import Image, PngImagePlugin

from backend.preferences.rating_endpoints import _bare
from tests.backend.preferences.conftest import DOOR, MakeRater, MakeTask
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


def _chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)
