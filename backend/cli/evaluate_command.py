"""`unmask evaluate`: policies on the same prompts and seeds, judged by all that is asked for, as a followed run.

Every option is a field of the evaluate run's configuration; `--set` reaches those that have no option.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.cli.configuration import checked
from backend.cli.evaluation_prompts import chosen_prompts
from backend.cli.figures_table import print_figures, split_scores
from backend.cli.finding import whole_refs
from backend.cli.follow import SUCCEEDED, follow_quietly
from backend.cli.output import AsJSON, err, print_json
from backend.cli.picture_commands import Guidance, Seed, Steps
from backend.cli.run_commands import Changes
from backend.cli.studio import connect
from backend.client import StudioClient
from backend.errors import MalformedError
from backend.schemas.event import Event, ScoreMeasured
from backend.schemas.run import Run, RunCreate

Words = list[str] | None
Policy = Annotated[str, typer.Argument(help="shipped, a folder, run:<id>, run:<id>@<step> or alias:<name>")]
Base = Annotated[str | None, typer.Option(help="The policy compared against, on the same prompts and seeds")]
Policies = Annotated[Words, typer.Option("--policy", help="A further one, label=source; may be repeated")]
Texts = Annotated[Words, typer.Option("--prompt", help="Show this instead of held-out captions; may be repeated")]
PromptFile = Annotated[
    Path | None, typer.Option("--prompts", help="Show a file's: a line each, or CSV and JSON lines as a prompt set")
]
PromptSet = Annotated[str, typer.Option("--prompt-set", help="Show a set's: its name or SHA-256, name:2 = version 2")]
Tasks = Annotated[Words, typer.Option("--task", help="Only prompts of this task; may be repeated")]
NumPrompts = Annotated[int | None, typer.Option(min=6, help="Held-out captions; default: 500, or all of the --task")]
Rewards = Annotated[Words, typer.Option("--reward", help="Score with it too, name or name=source; may be repeated")]
Diversity = Annotated[bool, typer.Option("--diversity", help="Measure how unlike the pictures of a prompt are")]
Reference = Annotated[Path | None, typer.Option(help="Measure FID and KID against this folder of real pictures")]
Inception = Annotated[Path | None, typer.Option(help="InceptionV3's weights for FID and KID; default: the small CLIP")]
GenEval = Annotated[bool, typer.Option("--geneval", help="Judge as GenEval does; the prompts need its metadata")]
Detector = Annotated[str, typer.Option(help="Of --geneval: a Mask2Former's folder; default: the published one's name")]
Colours = Annotated[str, typer.Option(help="Of --geneval: the CLIP for colours, as ViT-L-14-quickgelu:FILE")]
EachNum = Annotated[int, typer.Option("--num", min=1, max=64, help="Pictures a prompt")]


def evaluate(
    context: typer.Context,
    policy: Policy,
    base: Base = None,
    policies: Policies = None,
    prompt: Texts = None,
    prompts: PromptFile = None,
    prompt_set: PromptSet = "",
    task: Tasks = None,
    num_prompts: NumPrompts = None,
    num: EachNum = 2,
    seed: Seed = 7,
    steps: Steps = 16,
    guidance: Guidance = 0.0,
    reward: Rewards = None,
    diversity: Diversity = False,
    reference: Reference = None,
    inception: Inception = None,
    geneval: GenEval = False,
    detector: Detector = "",
    colours: Colours = "",
    changes: Changes = None,
    as_json: AsJSON = False,
) -> None:
    """Compare policies on held-out captions or prompts of yours, and print every figure with its interval."""
    client = connect(context)
    values: dict[str, Any] = {
        "kind": "evaluate",
        "seed": seed,
        "policy": {"source": policy},
        "base": None if base is None else {"source": base},
        "policies": [_further(each) for each in policies or ()],
        "samples_per_prompt": num,
        "sampling": {"num_unmasking_steps": steps, "guidance_scale": guidance},
        "rewards": [_named("name", "source", each) for each in reward or ()],
        **chosen_prompts(client, prompt or (), prompts, prompt_set, task or (), num_prompts),
        **_measures(diversity, reference, inception, geneval or bool(detector or colours), detector, colours),
    }
    _run_and_tell(client, values, changes or (), as_json=as_json)


def _run_and_tell(client: StudioClient, values: dict[str, Any], changes: Sequence[str], *, as_json: bool) -> None:
    run = client.create_run(RunCreate(config=whole_refs(client, checked(values, changes))))
    scores: dict[str, ScoreMeasured] = {}

    def keep(event: Event) -> None:
        # A resumed evaluation tells its figures again: the last ones count.
        if isinstance(event.body, ScoreMeasured):
            scores[event.body.policy] = event.body

    code = follow_quietly(client, run, as_json=as_json, keep=keep)
    if code != SUCCEEDED:
        raise typer.Exit(code)
    own, differences = split_scores(list(scores.values()))
    if as_json:
        print_json({"run_id": str(run.id), "scores": _dumped(own), "differences": _dumped(differences)})
    else:
        print_figures(own, differences)
        _say_what_next(run, is_compared=bool(differences))


def _dumped(scores: Sequence[ScoreMeasured]) -> list[dict[str, Any]]:
    return [score.model_dump(mode="json") for score in scores]


def _say_what_next(run: Run, *, is_compared: bool) -> None:
    cure = f"unmask compare {run.id} --html report.html" if is_compared else "--base compares it with another policy"
    err().print(f"[dim]Run {run.id}; {cure}[/]", soft_wrap=True)


def _further(words: str) -> dict[str, str]:
    if "=" not in words:
        raise MalformedError(f"--policy {words!r} is not of the form label=source, such as step-20=run:<id>@20")
    return _named("label", "source", words)


def _named(name: str, value: str, words: str) -> dict[str, str]:
    first, separator, second = words.partition("=")
    return {name: first.strip()} | ({value: second.strip()} if separator else {})


def _measures(
    diversity: bool, reference: Path | None, inception: Path | None, geneval: bool, detector: str, colours: str
) -> dict[str, Any]:
    """The sections of what is measured beside the verifier's figures; paths as the worker will find them."""
    if inception is not None and reference is None:
        raise MalformedError(
            f"--inception {inception} has no effect without --reference: name a folder of real pictures"
        )
    found: dict[str, Any] = {"diversity": {}} if diversity else {}
    if reference is not None:
        found["reference"] = {"folder": _absolute(reference)}
        if inception is not None:
            found["reference"]["inception"] = _absolute(inception)
    if geneval:
        is_here = detector and Path(detector).expanduser().is_dir()
        found["geneval"] = {"detector": _absolute(Path(detector)) if is_here else detector} if detector else {}
        found["geneval"] |= {"clip": colours} if colours else {}
    return found


def _absolute(path: Path) -> str:
    """A path means this folder's; the worker stands in another."""
    return str(path.expanduser().absolute())
