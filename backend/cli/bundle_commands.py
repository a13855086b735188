"""`unmask bundle ...`: a run in one file: create it, prove that it is whole, perform it again."""

from __future__ import annotations

import json
import tempfile
import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from backend.bundles.comparison import METRIC_TOLERANCE, PIXEL_TOLERANCE, Comparison, compare
from backend.bundles.manifest import Finding, read_manifest, verify
from backend.bundles.replay import Recording, perform, surroundings
from backend.cli.finding import RunID, find_run
from backend.cli.output import AsJSON, err, out, print_json
from backend.cli.studio import connect
from backend.errors import MalformedError
from backend.schemas.event import Body, JobStarted, StepFinished

bundle_app = typer.Typer(help="A run in one file.", no_args_is_help=True, rich_markup_mode=None)

BundleFile = Annotated[Path, typer.Argument(help="The bundle's file")]
DIFFERS = 1


@bundle_app.command()
def create(
    context: typer.Context,
    run_id: RunID,
    out_file: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write; default: run-<id>.zip")
    ] = None,
    num_groups: Annotated[int, typer.Option(min=0, max=10_000, help="Groups whose pictures are in it")] = 24,
    has_inputs: Annotated[bool, typer.Option("--inputs/--no-inputs", help="With what the run was made from")] = True,
    has_weights: Annotated[bool, typer.Option("--weights", help="With what the run exported")] = False,
) -> None:
    """Write a run's bundle: configuration, versions, events, metrics, samples, votes, and the hash of each part."""
    client = connect(context)
    run = find_run(client, run_id)
    path = out_file or Path(f"run-{run.id}.zip")
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            client.download_bundle(run.id, file, num_groups=num_groups, has_inputs=has_inputs, has_weights=has_weights)
        if findings := verify(part):
            raise MalformedError(f"what came is no whole bundle: {findings[0]}")
        part.replace(path)
    except OSError as error:
        raise MalformedError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    out().print(_summary(path))


@bundle_app.command("verify")
def verify_bundle(path: BundleFile, as_json: AsJSON = False) -> None:
    """Check every file against the manifest; name all that is damaged, missing or surplus. Exit code 1 if any is."""
    findings = verify(path)
    if as_json:
        print(json.dumps({"is_whole": not findings, "findings": [_as_dict(each) for each in findings]}, indent=2))
    elif findings:
        for finding in findings:
            out().print(escape(str(finding)), soft_wrap=True)
    else:
        out().print(_summary(path))
    raise typer.Exit(DIFFERS if findings else 0)


@bundle_app.command()
def replay(
    path: BundleFile,
    until_step: Annotated[int | None, typer.Option("--steps", min=1, help="Only the first steps; default: all")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Perform it here and keep the files; default: a folder that goes")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Relative difference that a metric may have")
    ] = METRIC_TOLERANCE,
    as_json: AsJSON = False,
) -> None:
    """Perform the bundle's run on this machine, without a server, and compare. Exit code 1 where it differs."""
    recording = Recording(path)
    place = tempfile.TemporaryDirectory(prefix="unmask-replay-") if folder is None else nullcontext(str(folder))
    with place as root:
        into = Path(root).resolve()
        if into.is_dir() and any(into.iterdir()):
            raise MalformedError(f"{into} is not empty: a replay needs a folder of its own")
        into.mkdir(parents=True, exist_ok=True)
        bodies, made = perform(recording, into, until_step=until_step or recording.until_step, tell=_tell)
        found = compare(recording, bodies, made)
    started = next(body for body in bodies if isinstance(body, JobStarted))
    others = surroundings(recording, started.versions, started.device)
    verdict = "equal" if found.is_equal else "close" if found.is_close(tolerance) else "different"
    if as_json:
        numbers = {name: value for name, value in vars(found).items() if name not in ("missing", "first")}
        first = None if found.first is None else found.first.as_dict()
        print_json({"verdict": verdict, "surroundings": others, "missing": found.missing, "first": first, **numbers})
    else:
        _print_replay(found, others, verdict, tolerance)
    raise typer.Exit(DIFFERS if verdict == "different" else 0)


def _tell(body: Body) -> None:
    if isinstance(body, JobStarted):
        err().print(escape(f"begins on {body.device}"))
    if isinstance(body, StepFinished):
        err().print(f"step {body.step} of {body.num_steps}, {body.seconds:.1f} s")


def _print_replay(found: Comparison, others: list[str], verdict: str, tolerance: float) -> None:
    for each in others:
        out().print(escape(f"other here: {each}"), soft_wrap=True)
    worst = f", at most {found.worst:.2g} apart ({found.worst_name})" if found.worst else ", all equal"
    out().print(escape(f"metrics:  {found.num_metrics} of {found.num_steps} steps{worst}"), soft_wrap=True)
    out().print(f"states:   {found.num_states_equal} of {found.num_states} hashes equal")
    pixels = f", at most {found.worst_pixels:.2g} apart on average" if found.worst_pixels else ""
    unseen = f"; {found.num_pictures_unseen} differ and are not in the bundle" if found.num_pictures_unseen else ""
    out().print(f"pictures: {found.num_pictures_equal} of {found.num_pictures} hashes equal{pixels}{unseen}")
    if found.first is not None:
        out().print(escape(f"first:    {found.first}"), soft_wrap=True)
    for each in found.missing[:10]:
        out().print(escape(f"missing:  {each}"), soft_wrap=True)
    words = {
        "equal": "equal: every state, picture and number is the same",
        "close": f"close: at most {tolerance:g} of a metric and {PIXEL_TOLERANCE:.2g} of a picture apart",
        "different": f"different: more than {tolerance:g} of a metric or {PIXEL_TOLERANCE:.2g} of a picture",
    }
    out().print(words[verdict], soft_wrap=True)


def _summary(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        manifest = read_manifest(archive)
    size = path.stat().st_size / 2**20
    return escape(f"{path}: whole, {len(manifest['files'])} files, {size:.1f} MiB, manifest {manifest['sha256']}")


def _as_dict(finding: Finding) -> dict[str, str]:
    return {"name": finding.name, "what": finding.what, "detail": finding.detail}
