"""`unmask reward-model ...`: train one on a frozen pair set, and see what each is worth."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from backend.cli.configuration import checked, read_source
from backend.cli.finding import RunID, find_run, whole_pair_set, whole_ref
from backend.cli.follow import follow, tell_alarms
from backend.cli.output import AsJSON, err, out, print_json, print_table
from backend.cli.run_commands import Changes, Watch
from backend.cli.run_views import line_of
from backend.cli.studio import LARGEST_PAGE, all_items, connect
from backend.schemas.known_reward import RewardModel
from backend.schemas.reward_report import RewardModelReport, Share
from backend.schemas.run import RunCreate

RECIPE = "reward-from-votes"

reward_model_app = typer.Typer(help="Learn a reward from votes.", no_args_is_help=True, rich_markup_mode=None)


@reward_model_app.command()
def train(
    context: typer.Context,
    pair_set: Annotated[str, typer.Argument(help="A frozen pair set: its SHA-256, a part of it, or its name")],
    base: Annotated[str, typer.Option(help="shipped, a folder, architecture:file, or run:<id>")] = "shipped",
    changes: Changes = None,
    name: Annotated[str | None, typer.Option(help="Shown in lists")] = None,
    watch: Watch = False,
    as_json: AsJSON = False,
) -> None:
    """Queue a run that tunes a CLIP on the votes of a pair set."""
    client = connect(context)
    values, recipe = read_source(client, RECIPE)
    if name is not None:
        values["name"] = name
    named = (f"pairs.source={whole_pair_set(client, pair_set)}", f"base={whole_ref(client, base)}")
    config = checked(values, (*named, *(changes or ())))
    run = client.create_run(RunCreate(config=config, recipe=recipe))
    if watch:
        if not as_json:
            err().print(line_of(run))
        raise typer.Exit(follow(client, run, as_json=as_json))
    if as_json:
        print_json(run)
    else:
        out().print(line_of(run))
    tell_alarms(client, run)


@reward_model_app.command("list")
def list_models(context: typer.Context, as_json: AsJSON = False) -> None:
    """List reward models, the newest first, with their held-out accuracies."""
    client = connect(context)
    found = all_items(lambda after: client.list_reward_models(limit=LARGEST_PAGE, after=after), at_most=10_000)
    if as_json:
        print_json(found)
        return
    rows = [
        (model.source, escape(model.name), model.status.value, _share(_accuracy(model)), _use(model)) for model in found
    ]
    print_table(("source", "name", "status", "accuracy", "for training"), rows, "There is no reward model yet.")


@reward_model_app.command()
def show(context: typer.Context, run_id: RunID, as_json: AsJSON = False) -> None:
    """Show what a reward model is worth, and what it was made of."""
    client = connect(context)
    model = client.get_reward_model(find_run(client, run_id).id)
    if as_json:
        print_json(model)
        return
    out().print(f"{escape(model.name)}, {model.status.value}: source {model.source}, {_use(model)}")
    if model.report is not None:
        _print_report(model.report)
    lineage = model.lineage
    out().print(f"made of pair set {lineage.pair_set_name or ''} {lineage.pair_set or 'none'} and base {lineage.base}")
    if model.refusal is not None and model.report is not None:
        out().print(f"refused: {escape(model.refusal)}")


def _print_report(report: RewardModelReport) -> None:
    figures = (
        ("accuracy, held-out prompts", report.accuracy),
        ("accuracy, held-out prompts and raters", report.accuracy_new_raters),
        ("a rater against the other raters", report.ceiling),
        ("the model against the same raters", report.model_at_ceiling),
        ("the untuned CLIP", report.untuned),
        ("gain over it, paired", report.gain),
    )
    rows = [(name, _share(share), "" if share is None else str(share.num_pairs)) for name, share in figures]
    rows.append(("calibration error", f"{report.calibration.expected_error:.3f}", str(report.heldout.num_pairs)))
    print_table(("figure", "value", "pairs"), rows, "")
    for note in report.notes:
        out().print(escape(note))


def _accuracy(model: RewardModel) -> Share | None:
    return None if model.report is None else model.report.accuracy


def _share(share: Share | None) -> str:
    # A bracket would be read as markup.
    return "-" if share is None else escape(f"{share.value:.3f} [{share.low:.3f}, {share.high:.3f}]")


def _use(model: RewardModel) -> str:
    if model.report is None:
        return "not yet finished" if not model.status.is_terminal else "not finished"
    return "may be trained on" if model.refusal is None else "refused"
