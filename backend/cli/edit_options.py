"""`unmask sample --from ... --extend ...`: how the command line says that a picture grows."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape

from backend.cli.output import err
from backend.client import StudioClient
from backend.errors import MalformedError
from backend.schemas.editing import Direction
from backend.schemas.every_run import PolicyConfig
from backend.schemas.picture import PictureCreate
from backend.schemas.reward_test import MAX_PICTURE_CHARACTERS

Source = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="SAMPLE",
        help="The picture that grows: a sample's id, or a file, which is resized and cropped to whole cells",
    ),
]
Extend = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SIDE[=PROMPT]", help="Let it grow left, right, up or down, with a prompt of its own; once a step"
    ),
]
NewCells = Annotated[
    int | None,
    typer.Option("--cells", min=1, max=63, help="Rows or columns of tokens a step; half a picture if not given"),
]


def extrapolation_of(
    client: StudioClient, policy: str, source: str | None, extend: Sequence[str] | None, num_new: int | None
) -> dict[str, Any]:
    """The part of a sample run's configuration that lets a picture grow; empty where nothing of it is asked for.

    Raises:
        MalformedError: one of the options without another that it needs, or a side that there is none of.
        NotFoundError: there is no such sample.
    """
    if not extend:
        if source is not None or num_new is not None:
            raise MalformedError(
                "--from and --cells say how a picture grows: say where with --extend right, or leave them"
            )
        return {}
    if source is None:
        raise MalformedError("--extend needs a picture that grows: name a sample's id or a file with --from")
    wanted = {"picture": _picture_of(client, policy, source), "extensions": [_extension_of(each) for each in extend]}
    return {"extrapolation": wanted | ({} if num_new is None else {"num_new": num_new})}


def _picture_of(client: StudioClient, policy: str, source: str) -> str:
    try:
        sample = client.get_sample(UUID(source))
    except ValueError:
        path = Path(source).expanduser()
        if not path.is_file():
            raise MalformedError(f"--from is {source!r}, neither a sample's id nor a file that is there") from None
        image = base64.b64encode(path.read_bytes()).decode()
        if len(image) > MAX_PICTURE_CHARACTERS:
            raise MalformedError(f"{path} has {path.stat().st_size:,} bytes, at most 675,000 are taken") from None
        picture = client.create_picture(PictureCreate(image=image, policy=PolicyConfig(source=policy)))
        err().print(f"{escape(path.name)}: {picture.what_was_done}")
        return picture.name
    return f"run:{sample.run_id}/{sample.image_path}"


def _extension_of(text: str) -> dict[str, Any]:
    side, _, prompt = (part.strip() for part in text.partition("="))
    if side not in list(Direction):
        raise MalformedError(f"--extend is {text!r}: begin with one of {', '.join(Direction)}, as in --extend right")
    return {"direction": side} | ({"prompt": prompt} if prompt else {})
