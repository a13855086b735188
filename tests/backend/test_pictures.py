"""Pictures from outside: brought to whole cells of a policy, told what was done, kept under their hash."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from backend.errors import MalformedError
from backend.pictures.service import fit
from backend.schemas.picture import PictureFit
from tests.backend.test_reward_tests import huge_header


def encoded(width: int, height: int, kind: str = "PNG") -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 60)).save(buffer, format=kind)
    return base64.b64encode(buffer.getvalue()).decode()


def test_a_picture_is_brought_in_once_and_read_again(api: TestClient, tmp_path: Path) -> None:
    body = {"image": encoded(300, 200, "JPEG")}
    made = api.post("/api/v1/pictures", json=body)
    assert made.status_code == 201
    told = made.json()
    assert (told["width"], told["height"], told["num_rows"], told["num_columns"]) == (96, 64, 8, 12)
    assert (told["window_side"], told["name"]) == (8, f"picture:{told['sha256']}")
    assert told["what_was_done"] == "Resized from 300 x 200 to 96 x 64 pixels"
    assert api.post("/api/v1/pictures", json=body).json() == told
    assert api.get(made.headers["location"]).json() == told
    with Image.open(io.BytesIO(api.get(told["image_url"]).content)) as picture:
        assert picture.size == (96, 64)
    square = api.post("/api/v1/pictures", json=body | {"fit": "square"}).json()
    assert (square["width"], square["height"]) == (64, 64)
    assert square["what_was_done"] == "Resized from 300 x 200 to 96 x 64 pixels, cropped to the middle 64 x 64"


@pytest.mark.parametrize(
    ("size", "how", "grid", "said"),
    [
        ((64, 64), PictureFit.WHOLE, (8, 8), "Kept as it is"),
        ((40, 60), PictureFit.WHOLE, (12, 8), "Resized from 40 x 60 to 64 x 96 pixels"),
        ((67, 64), PictureFit.WHOLE, (8, 8), "Cropped to the middle 64 x 64"),
        ((6400, 64), PictureFit.WHOLE, (8, 32), "Cropped to the middle 256 x 64"),
        ((100, 64), PictureFit.SQUARE, (8, 8), "Cropped to the middle 64 x 64"),
    ],
)
def test_the_shorter_side_becomes_the_policys_own(
    size: tuple[int, int], how: PictureFit, grid: tuple[int, int], said: str
) -> None:
    fitted = fit(Image.new("RGB", size), 8, 8, how)
    assert (fitted.num_rows, fitted.num_columns, fitted.what_was_done) == (*grid, said)
    assert fitted.image.size == (8 * grid[1], 8 * grid[0])


def test_the_middle_is_what_stays() -> None:
    picture = Image.new("RGB", (192, 64))
    picture.paste((255, 255, 255), (64, 0, 128, 64))
    assert fit(picture, 8, 8, PictureFit.SQUARE).image.getextrema() == ((255, 255),) * 3


def test_what_cannot_be_brought_in_is_told(api: TestClient) -> None:
    refused = api.post("/api/v1/pictures", json={"image": base64.b64encode(b"no picture").decode()})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/image")
    unknown = {"image": encoded(64, 64), "policy": {"source": "/nowhere"}}
    assert "there is no policy at /nowhere" in api.post("/api/v1/pictures", json=unknown).json()["detail"]
    for part in ("", "/image"):
        missing = api.get(f"/api/v1/pictures/{'0' * 64}{part}")
        assert (missing.status_code, "bring it in with POST" in missing.json()["detail"]) == (404, True)
    with pytest.raises(MalformedError, match="at most 100 times as long as wide"):
        fit(Image.new("RGB", (1000, 2)), 8, 8, PictureFit.WHOLE)


def test_a_header_that_claims_a_huge_picture_is_refused_with_the_bound(api: TestClient) -> None:
    answer = api.post("/api/v1/pictures", json={"image": huge_header(20_000, 20_000)})
    assert answer.status_code == 422
    assert "400000000 pixels, at most 16777216 are read: make it smaller" in answer.json()["detail"]
