"""`unmask up`, `migrate`, `openapi`, `version`: the commands about the studio itself, not about what it does."""

from __future__ import annotations

import json
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from backend.access.exposure import exposure
from backend.cli.output import AsJSON, err, out, print_json
from backend.settings import Settings, get_settings

_COLOURS = {"postgres": "blue", "valkey": "magenta", "migrate": "yellow", "web": "cyan", "worker": "green"}


def up(
    host: Annotated[str | None, typer.Option(help="Address to listen on; loopback unless told otherwise")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the web process")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept")] = None,
    as_json: AsJSON = False,
) -> None:
    """Start the whole studio on this machine: database, broker, migrations, web and worker. Ctrl-C stops all of it."""
    from backend.embedded.studio import run_studio  # noqa: PLC0415 - the other commands need no servers.

    given = {"host": host, "port": port, "data_dir": data_dir}
    settings = get_settings().model_copy(update={key: value for key, value in given.items() if value is not None})
    console = err()

    def show(name: str, line: str) -> None:
        if as_json:
            print(json.dumps({"service": name, "line": line}), flush=True)
        else:
            console.print(f"[{_COLOURS.get(name, 'bold')}]{name:<8}[/] {escape(line)}", soft_wrap=True)

    def announce(address: str) -> None:
        if as_json:
            is_shut = settings.access_token is not None
            print(json.dumps({"service": "unmask", "address": address, "is_sign_in_required": is_shut}), flush=True)
        else:
            out().print(f"\n  The studio is ready:  [bold]{address}[/]\n{_who_may_enter(settings)}  Ctrl-C stops it.\n")

    run_studio(settings, show, announce)


def _who_may_enter(settings: Settings) -> str:
    """A line for who starts the studio; empty where nobody else reaches it."""
    if settings.access_token is not None:
        return "  Sign-in is on: it asks for what UNMASK_ACCESS_TOKEN holds.\n"
    warning = exposure(settings)
    return "" if warning is None else f"  [bold red]Warning:[/] {escape(warning)}.\n"


def migrate(as_json: AsJSON = False) -> None:
    """Bring the database's tables up to date; `up` does so by itself."""
    settings = get_settings()
    from backend.embedded.studio import run_migrations_alone  # noqa: PLC0415
    from migrations import upgrade  # noqa: PLC0415

    if settings.database_url is not None:
        upgrade(settings.database_url.get_secret_value())
    else:
        run_migrations_alone(settings, lambda name, line: err().print(f"{name} {escape(line)}"), upgrade)
    if as_json:
        print_json({"is_migrated": True})
    else:
        out().print("The database is up to date.")


def openapi() -> None:
    """Print the API's OpenAPI description, made from the code; needs no running studio."""
    from backend.app import openapi_text  # noqa: PLC0415

    print(openapi_text(), end="")


def version(as_json: AsJSON = False) -> None:
    """Print the version of this program."""
    number = package_version("unmask-studio")
    if as_json:
        print_json({"name": "unmask-studio", "version": number})
    else:
        out().print(f"unmask-studio {number}")
