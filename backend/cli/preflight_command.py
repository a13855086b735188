"""`unmask preflight`: the memory and the time that a recipe or a YAML file would need, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.markup import escape

from backend.cli.configuration import checked, read_source
from backend.cli.finding import whole_refs
from backend.cli.output import AsJSON, duration_text, number_text, out, print_json, print_table
from backend.cli.studio import connect
from backend.schemas.preflight import Accelerator, Preflight, PreflightRequest

GIB = 1 << 30


def preflight(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A recipe's name, or a YAML file")],
    changes: Annotated[list[str] | None, typer.Option("--set", help="field=value, may be repeated")] = None,
    gpu: Annotated[Accelerator | None, typer.Option(help="Think of this GPU instead of the worker's device")] = None,
    memory: Annotated[float | None, typer.Option(help="Memory of one device in GiB", min=0.001)] = None,
    as_json: AsJSON = False,
) -> None:
    """Estimate memory by part and time a step, and say what to change where it does not fit; exit code 1 then."""
    client = connect(context)
    values, _ = read_source(client, source)
    config = whole_refs(client, checked(values, changes or ()))
    found = client.preflight(PreflightRequest(config=config, accelerator=gpu, memory_gib=memory))
    if as_json:
        print_json(found)
    else:
        _show(found)
    if found.fits is False or found.refusals:
        raise typer.Exit(1)


def _show(found: Preflight) -> None:
    rows = [(part.name, gib(part.num_bytes), escape(part.what)) for part in found.parts]
    print_table(("part", "GiB", f"at the peak, {found.peak_moment}"), rows, "Nothing is held.")
    for line in _sentences(found):
        out().print(escape(line), soft_wrap=True)
    if found.changes:
        out().print("")
        changed = [
            (
                f"{change.setting}={change.value}",
                gib(change.peak_bytes),
                f"{number_text(change.seconds_a_step)} s",
                "yes" if change.fits else "no",
                change.why,
            )
            for change in found.changes
        ]
        print_table(("change, in this order", "GiB then", "a step", "fits", "what it costs"), changed, "")


def _sentences(found: Preflight) -> Iterator[str]:
    device, memory = found.device, found.device.memory_bytes
    room = "memory unknown" if memory is None else f"{gib(memory)} GiB, {device.memory_source}"
    verdict = {True: "it fits", False: "it does NOT fit", None: "whether it fits is unknown"}[found.fits]
    yield f"\nPeak {gib(found.peak_bytes)} GiB on {device.name} ({room}): {verdict}."
    for reason in found.refusals:
        yield f"It would NOT run: {reason}."
    yield (
        f"Time {number_text(found.seconds_a_step)} s a step (rollout {number_text(found.seconds_rollout)} s, update "
        f"{number_text(found.seconds_update)} s{_judging(found)}), "
        f"{duration_text(found.seconds_in_all)} in all for {found.num_steps}; "
        f"{device.rate_source}."
    )
    yield from found.notes


def _judging(found: Preflight) -> str:
    return f", judging {number_text(found.seconds_judging)} s" if found.seconds_judging else ""


def gib(num_bytes: int) -> str:
    """Bytes as GiB with three significant digits."""
    return number_text(num_bytes / GIB)
