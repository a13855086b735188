"""`unmask compare`: an evaluation's policies as figures, and as files: a report that opens anywhere, and a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from backend.cli.figures_table import print_figures
from backend.cli.finding import RunID, find_run
from backend.cli.output import AsJSON, err, out, print_json
from backend.cli.studio import connect
from backend.client import StudioClient
from backend.errors import MalformedError
from backend.schemas.evaluation import Comparison, ExportFormat
from backend.schemas.picture_runs import POLICY
from backend.schemas.run import Run


def compare(
    context: typer.Context,
    run_id: RunID,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the report to this file; it opens anywhere")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write all pairs to this file, a line each")] = None,
    against: Annotated[
        str | None, typer.Option("--against", "--base", help="Label of the policy compared to; default: the first")
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="Label of the other policy, of the files; default: policy, or the first other")
    ] = None,
    num_pairs: Annotated[int, typer.Option(min=0, max=100, help="Worst and best pairs in the report")] = 24,
    as_json: AsJSON = False,
) -> None:
    """Show how an evaluation's policies differ from one of them, and write two of them to files."""
    client = connect(context)
    run = find_run(client, run_id)
    found = client.get_comparison(run.id, base=against)
    others = [label for label in found.config.candidates if label != found.against]
    chosen = policy or (POLICY if POLICY in others else others[0])
    for path, wanted in ((html, ExportFormat.HTML), (csv, ExportFormat.CSV)):
        if path is not None:
            _write(client, run, wanted, path, found.against, chosen, num_pairs)
    if as_json:
        print_json(found)
    else:
        _tell(found)


def _write(
    client: StudioClient,
    run: Run,
    wanted: ExportFormat,
    path: Path,
    base: str,
    policy: str,
    num_pairs: int,
) -> None:
    """Writes beside the file first: one that does not come whole leaves nothing behind."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            client.export_comparison(run.id, wanted, file, base=base, policy=policy, num_pairs=num_pairs)
        part.replace(path)
    except OSError as error:
        raise MalformedError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    err().print(f"Wrote {escape(str(path))}")


def _tell(found: Comparison) -> None:
    print_figures(found.scores, found.differences, found.against)
    for label, smallest in found.smallest_visible_by_policy.items():
        if (overall := smallest.get("overall")) is not None:
            words = f"{label} against {found.against}: four of five evaluations show a difference of {overall:.3g}"
            out().print(escape(words), soft_wrap=True)
    out().print(f"pairs stored: {found.num_pairs}; wins {found.num_wins}, losses {found.num_losses}")
