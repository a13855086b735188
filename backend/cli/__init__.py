"""`unmask`: the command line. It speaks to a running studio through backend.client alone, but for `up` and `migrate`.

Exit codes: 0 done, 1 the run failed, 2 refused or misused. Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from pydantic import ValidationError

from backend.cli.bundle_commands import bundle_app
from backend.cli.catalogue_commands import models, recipes
from backend.cli.compare_command import compare
from backend.cli.evaluate_command import evaluate
from backend.cli.export_command import export_metrics
from backend.cli.label_commands import label_app
from backend.cli.output import show_error
from backend.cli.pair_commands import pairs_app
from backend.cli.picture_commands import sample
from backend.cli.preflight_command import preflight
from backend.cli.prompt_commands import prompts_app
from backend.cli.registry_commands import alias_app, model_app
from backend.cli.reward_model_commands import reward_model_app
from backend.cli.run_commands import run_app
from backend.cli.studio_commands import migrate, openapi, up, version
from backend.errors import StudioError
from backend.schemas.refusal import refusals

REFUSED = 2

app = typer.Typer(
    name="unmask",
    help="Unmask Studio: reinforcement learning of masked text-to-image models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
COMMANDS = (up, migrate, sample, evaluate, compare, preflight, models, recipes, export_metrics, openapi, version)
for command in COMMANDS:
    app.command()(command)
app.add_typer(run_app, name="run")
app.add_typer(label_app, name="label")
app.add_typer(pairs_app, name="pairs")
app.add_typer(prompts_app, name="prompts")
app.add_typer(reward_model_app, name="reward-model")
app.add_typer(model_app, name="model")
app.add_typer(alias_app, name="alias")
app.add_typer(bundle_app, name="bundle")


@app.callback()
def choose_studio(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(
            envvar="UNMASK_URL",
            help="The studio to speak to; empty = the one that runs on DATA_DIR. UNMASK_TOKEN opens it",
        ),
    ] = None,
) -> None:
    """Remembers which studio the command speaks to."""
    context.obj = url


def main() -> None:
    """The entry point: a person's mistake is one line on stderr and exit code 2, never a traceback."""
    try:
        app()
    except StudioError as error:
        show_error(error)
    except ValidationError as error:
        show_error(StudioError(refusals(error)))
    sys.exit(REFUSED)
