"""/api/v1/pictures: pictures from outside, brought to a policy's size, to paint over or to let grow."""

from __future__ import annotations

from fastapi import APIRouter, Response

from backend.dependencies import RunsDirDep
from backend.pictures.service import bring_in, find_picture, read_picture
from backend.schemas.picture import Picture, PictureCreate

router = APIRouter(prefix="/pictures", tags=["pictures"])


@router.post("", status_code=201)
def create_picture(runs_dir: RunsDirDep, response: Response, wanted: PictureCreate) -> Picture:
    """Brings a picture in: resized and cropped to whole cells of the policy, as the answer says.."""
    picture = bring_in(wanted, runs_dir)
    response.headers["Location"] = f"/api/v1/pictures/{picture.sha256}"
    return picture


@router.get("/{sha256}")
def get_picture_facts(runs_dir: RunsDirDep, sha256: str) -> Picture:
    """What was brought in, and how it was fitted."""
    return find_picture(runs_dir, sha256)


@router.get("/{sha256}/image", response_class=Response, responses={200: {"content": {"image/png": {}}}})
def get_picture_image(runs_dir: RunsDirDep, sha256: str) -> Response:
    """The fitted picture."""
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return Response(read_picture(runs_dir, sha256), media_type="image/png", headers=headers)
