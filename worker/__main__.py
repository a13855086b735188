"""`python -m worker RECIPE.yaml`: the same job without a server, resumable by running it again.

Under torchrun it is one of several processes, on one machine or many: the first performs the job, the others follow.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from backend.artifacts import FolderBusyError, RunFolder
from backend.schemas.config import AnyRunConfig, TrainConfig, run_config_adapter
from backend.schemas.event import Body, StatusChanged, StepFinished
from backend.schemas.run import RequestFlags
from worker.jobs import run_job
from worker.jobs.joining import follow_first, joined_processes
from worker.jobs.launch import PEER_LOST, launch
from worker.jobs.lines import line_of
from worker.jobs.mistakes import last_words
from worker.jobs.pipe import die_with_parent
from worker.jobs.ranks import is_rank, leave, rank
from worker.maskgrpo.processes import ALONE, PeerLostError, Processes

_CONFIG = "config.json"
_INTERRUPTED = 130


def main() -> int:
    """The exit code: 0 after success, 1 after a mistake, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    parser.add_argument("recipe", type=Path, help="a run's configuration as YAML")
    parser.add_argument("--out", type=Path, help="the run's folder; default: ./out/<recipe>")
    parser.add_argument("--until-step", type=int, help="stop after this step, with a checkpoint; go on by repeating")
    parser.add_argument("--json", action="store_true", help="every event as a line of JSON")
    arguments = parser.parse_args()
    folder = RunFolder((arguments.out or Path("out") / arguments.recipe.stem).resolve())
    try:
        show = print_json if arguments.json else print_line
        return take_part(read_recipe(arguments.recipe), folder, show, arguments.until_step)
    except PeerLostError as error:
        print(f"error: {error}", file=sys.stderr)
        return PEER_LOST
    except (ValueError, OSError) as error:
        print(f"error: {last_words(error)}", file=sys.stderr)
        return 1
    except FolderBusyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"stopped; go on from the last checkpoint with the same command ({folder.root})", file=sys.stderr)
        return _INTERRUPTED


def take_part(
    config: AnyRunConfig,
    folder: RunFolder,
    show: Callable[[Body], None],
    until_step: int | None = None,
) -> int:
    """Performs the run, starts the processes that do, or does one of these processes' part; gives the exit code."""
    if not is_rank() and isinstance(config, TrainConfig) and config.scaling.num_processes > 1:
        return launch(config.scaling.num_processes, ["-m", "worker", *sys.argv[1:]])
    if is_rank():
        die_with_parent()
    if rank() > 0:
        return follow_first(folder, config)
    with folder.lock(), joined_processes(config) as processes:
        keep_config(config, folder)
        perform(config, folder, show, processes, until_step)
    return 0


def read_recipe(path: Path) -> AnyRunConfig:
    """The configuration of a recipe's file.

    Raises:
        ValueError: when it is no YAML, or no configuration.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no valid YAML: {error}") from error
    return run_config_adapter.validate_python(content)


def keep_config(config: AnyRunConfig, folder: RunFolder) -> None:
    """Writes the configuration into a new folder, and refuses to go on in a folder of another run.

    Raises:
        ValueError: when the folder holds a run with another configuration.
    """
    content = config.model_dump_json(indent=1).encode()
    if not folder.path(_CONFIG).is_file():
        folder.write(_CONFIG, content)
    elif run_config_adapter.validate_json(folder.read(_CONFIG)) != config:
        raise ValueError(
            f"{folder.root} holds a run with another configuration: name another folder with --out, or delete it"
        )


def perform(
    config: AnyRunConfig,
    folder: RunFolder,
    show: Callable[[Body], None],
    processes: Processes = ALONE,
    until_step: int | None = None,
) -> None:
    """Drives the job to its end, or has it pause once a step is done; nobody asks anything else of it."""
    job = run_job(config, folder, processes)
    try:
        body = next(job)
        is_far_enough = False
        while True:
            show(body)
            is_far_enough |= until_step is not None and isinstance(body, StepFinished) and body.step >= until_step
            body = job.send(RequestFlags(is_pause_requested=is_far_enough))
    except StopIteration as end:
        show(StatusChanged(status=end.value, reason=f"its files lie in {folder.root}"))


def print_json(body: Body) -> None:
    """An event for programs."""
    print(body.model_dump_json(), flush=True)


def print_line(body: Body) -> None:
    """An event for people; only what they would want to read."""
    line = line_of(body)
    if line:
        print(line, flush=True)


if __name__ == "__main__":
    leave(main())
