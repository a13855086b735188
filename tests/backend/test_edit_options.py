"""`unmask sample --extend`: sides in order become a configuration; what does not fit is refused at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from backend.cli.configuration import checked
from backend.cli.edit_options import extrapolation_of
from backend.client import StudioClient
from backend.errors import MalformedError
from backend.models import RunRow
from backend.schemas.picture_runs import SampleConfig
from backend.schemas.sample import GroupRecord
from tests.backend.shell import Shell


def test_sides_in_order_and_a_sample_become_a_configuration(
    studio: str, make_run: Callable[..., RunRow], make_group: Callable[..., GroupRecord], add: Callable[..., None]
) -> None:
    run_id = make_run(worker="w").id
    add(run_id, make_group())
    with StudioClient(studio) as client:
        sample = client.list_groups(run_id).data[0].samples[0]
        part = extrapolation_of(client, "shipped", str(sample.id), ["right", "up = a beach "], 3)
        config = checked({"kind": "sample", "prompts": {"texts": ["two stars"]}} | part)
    assert isinstance(config, SampleConfig)
    assert config.extrapolation is not None
    assert config.extrapolation.picture == f"run:{run_id}/{sample.image_path}"
    assert [(each.direction, each.prompt) for each in config.extrapolation.extensions] == [
        ("right", None), ("up", "a beach"),
    ]  # fmt: skip
    assert config.extrapolation.num_new == 3


def test_a_file_is_brought_in(studio: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (96, 128)).save(path)
    with StudioClient(studio) as client:
        part = extrapolation_of(client, "shipped", str(path), ["left"], None)
        assert extrapolation_of(client, "shipped", None, None, None) == {}
    assert "Resized from 96 x 128 to 64 x 85 pixels, cropped to the middle 64 x 80" in " ".join(
        capsys.readouterr().err.split()
    )
    assert part["extrapolation"]["picture"].startswith("picture:")
    assert part["extrapolation"]["extensions"] == [{"direction": "left"}]
    config = checked({"kind": "sample", "prompts": {"texts": ["two stars"]}} | part)
    assert isinstance(config, SampleConfig)


@pytest.mark.parametrize(
    ("source", "extend", "num_new", "words"),
    [
        (None, ["right"], None, "--extend needs a picture that grows"),
        ("/a.png", None, None, "--from and --cells say how a picture grows"),
        (None, None, 2, "--from and --cells say how a picture grows"),
        ("/nowhere/a.png", ["right"], None, "neither a sample's id nor a file"),
    ],
)
def test_what_does_not_fit_is_refused(
    source: str | None, extend: list[str] | None, num_new: int | None, words: str
) -> None:
    with StudioClient("http://127.0.0.1:9") as client, pytest.raises(MalformedError, match=words):
        extrapolation_of(client, "shipped", source, extend, num_new)


def test_the_command_refuses_with_the_cure(studio: str, shell: Shell, tmp_path: Path) -> None:
    assert shell("sample", "two stars", "--extend", "right") == 2
    assert "name a sample's id or a file with --from" in " ".join(shell.err.split())
    path = tmp_path / "a.png"
    Image.new("RGB", (64, 64)).save(path)
    assert shell("sample", "two stars", "--from", str(path), "--extend", "sideways=x") == 2
    assert "begin with one of left, right, up, down" in " ".join(shell.err.split())
    assert shell("sample", "two stars", "--from", str(path), *["--extend=up", "--extend=left"] * 4) == 2
    assert "at most 8 times are allowed" in " ".join(shell.err.split())
