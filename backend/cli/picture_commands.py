"""`unmask sample`: pictures of prompts, as a run that is followed; and the options that other picture runs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.markup import escape

from backend.cli.configuration import checked
from backend.cli.edit_options import Extend, NewCells, Source, extrapolation_of
from backend.cli.finding import whole_refs
from backend.cli.follow import SUCCEEDED, follow_quietly
from backend.cli.output import AsJSON, number_text, print_json, print_table
from backend.cli.studio import LARGEST_PAGE, all_items, connect
from backend.client import StudioClient
from backend.errors import MalformedError
from backend.schemas.run import Run, RunCreate
from backend.schemas.sample import Group

Steps = Annotated[int, typer.Option("--steps", min=1, max=256, help="Unmasking steps a picture")]
Guidance = Annotated[float, typer.Option("--guidance", min=0, max=30, help="Classifier-free guidance; 0 = none")]
Seed = Annotated[int, typer.Option(min=0, help="The only source of chance")]


def sample(
    context: typer.Context,
    prompts: Annotated[list[str], typer.Argument(help="What to show")],
    policy: Annotated[
        str, typer.Option(help="shipped, a folder, run:<id>, run:<id>@<step> or alias:<name>")
    ] = "shipped",
    num: Annotated[int, typer.Option(min=1, max=1000, help="Pictures a prompt")] = 4,
    seed: Seed = 7,
    steps: Steps = 16,
    guidance: Guidance = 0.0,
    source: Source = None,
    extend: Extend = None,
    num_new: NewCells = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Write the pictures to this folder")] = None,
    as_json: AsJSON = False,
) -> None:
    """Make pictures of prompts, or let one grow beyond its edges."""
    client = connect(context)
    values = {
        "kind": "sample",
        "seed": seed,
        "policy": {"source": policy},
        "prompts": {"texts": prompts},
        "num_prompts": len(prompts),
        "samples_per_prompt": num,
        "sampling": {"num_unmasking_steps": steps, "guidance_scale": guidance},
    } | extrapolation_of(client, policy, source, extend, num_new)
    run = client.create_run(RunCreate(config=whole_refs(client, checked(values))))
    code = follow_quietly(client, run, as_json=as_json)
    if code != SUCCEEDED:
        raise typer.Exit(code)
    groups = _groups_of(client, run)
    paths = {} if out_dir is None else _write_pictures(client, groups, out_dir)
    _tell_pictures(run, groups, paths, as_json=as_json)


def _groups_of(client: StudioClient, run: Run) -> list[Group]:
    steps = sorted({each.step for each in client.list_group_steps(run.id)})
    return [group for step in steps for group in _groups_at(client, run, step)]


def _groups_at(client: StudioClient, run: Run, step: int) -> list[Group]:
    return all_items(
        lambda after: client.list_groups(run.id, step=step, limit=LARGEST_PAGE, after=after), at_most=100_000
    )


def _write_pictures(client: StudioClient, groups: list[Group], folder: Path) -> dict[UUID, Path]:
    """Writes each picture as prompt number and seed; MalformedError where the folder cannot be written."""
    paths: dict[UUID, Path] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, group in enumerate(groups):
            for sample in group.samples:
                paths[sample.id] = folder / f"{number:03}-seed-{sample.seed}.png"
                paths[sample.id].write_bytes(client.get_image(sample.id))
    except OSError as error:
        raise MalformedError(f"the pictures cannot be written to {folder}: {error.strerror}") from error
    return paths


def _tell_pictures(run: Run, groups: list[Group], paths: dict[UUID, Path], *, as_json: bool) -> None:
    samples = [sample for group in groups for sample in group.samples]
    if as_json:
        listed = [
            sample.model_dump(mode="json") | ({"path": str(paths[sample.id])} if sample.id in paths else {})
            for sample in samples
        ]
        print_json({"run_id": str(run.id), "samples": listed})
        return
    rows = [
        (escape(each.prompt), str(each.seed), number_text(each.reward), str(paths.get(each.id, each.id)))
        for each in samples
    ]
    print_table(("prompt", "seed", "reward", "file" if paths else "sample"), rows, "The run made no pictures.")
