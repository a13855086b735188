"""Which prompts `unmask evaluate` shows: held-out captions, texts, a file's, or a prompt set's. Knows no run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.cli.output import err
from backend.cli.prompt_commands import ENDINGS, find_prompt_set
from backend.cli.studio import LARGEST_PAGE, all_items
from backend.client import StudioClient
from backend.errors import MalformedError
from backend.prompt_files import SHA256, content_of
from backend.prompt_sets.formats import read_prompts
from backend.schemas.prompt_set import PromptFormat, PromptSetCreate
from backend.schemas.prompts import NUM_HELDOUT_CAPTIONS, TASK_NAMES

# Of captions, unless a number is asked for; the small world holds out equally many of every task.
_NUM_CAPTIONS = 500
_NUM_OF_A_TASK = NUM_HELDOUT_CAPTIONS // len(TASK_NAMES)


def chosen_prompts(
    client: StudioClient,
    texts: Sequence[str],
    path: Path | None,
    prompt_set: str,
    tasks: Sequence[str],
    num_prompts: int | None,
) -> dict[str, Any]:
    """The fields `prompts` and `num_prompts` of an evaluate run.

    Raises:
        MalformedError: prompts are to come from two places, a file or a set cannot be read, or a number or a task has
            no effect on what is shown.
    """
    given = {"--prompt": bool(texts), "--prompts": path is not None, "--prompt-set": bool(prompt_set)}
    named = [name for name, is_given in given.items() if is_given]
    if len(named) > 1:
        raise MalformedError(f"{' and '.join(named)} each say what is shown: keep one of them")
    if named and num_prompts is not None:
        raise MalformedError(
            f"--num-prompts {num_prompts} counts held-out captions, but with {named[0]} all are shown: leave it out"
        )
    if path is not None and ENDINGS.get(path.suffix.lower(), PromptFormat.TEXT) is not PromptFormat.TEXT:
        return {"prompts": {"prompt_set": _kept_as_set(client, path), "tasks": list(tasks)}}
    if prompt_set:
        return {"prompts": {"prompt_set": version_of(client, prompt_set), "tasks": list(tasks)}}
    own = list(texts) if path is None else [each.text for each in read_prompts(_read(path), PromptFormat.TEXT)]
    if not own:
        number = min(_NUM_CAPTIONS, _NUM_OF_A_TASK * len(set(tasks)) or _NUM_CAPTIONS)
        return {"prompts": {"tasks": list(tasks)}, "num_prompts": num_prompts or number}
    if tasks:
        raise MalformedError(
            f"--task {tasks[0]} has no effect on {named[0]}, whose prompts have no task: give a CSV file with a column "
            "task"
        )
    return {"prompts": {"texts": own}}


def version_of(client: StudioClient, words: str) -> str:
    """The SHA-256 of `NAME`, `NAME:version`, `SHA` or `SHA:version`; without a version it is the last one.

    Raises:
        MalformedError: there is no such set, several, or no such version.
    """
    if SHA256.fullmatch(words):
        return words
    name, separator, version = words.rpartition(":")
    if not (separator and version.isdigit()):
        return find_prompt_set(client, words).latest.sha256
    detail = client.get_prompt_set(find_prompt_set(client, name).id)
    found = next((each for each in detail.versions if each.version == int(version)), None)
    if found is None:
        raise MalformedError(
            f"--prompt-set {words}: {detail.name!r} has no version {version}, it has 1 to {detail.latest.version}: "
            "leave the number out for the last one"
        )
    return found.sha256


def _kept_as_set(client: StudioClient, path: Path) -> str:
    """The hash of the file's prompts, which are made a prompt set where no set has them already."""
    wanted, content = ENDINGS[path.suffix.lower()], _read(path)
    sha256 = hashlib.sha256(content_of(read_prompts(content, wanted))).hexdigest()
    sets = all_items(lambda after: client.list_prompt_sets(limit=LARGEST_PAGE, after=after), at_most=100_000)
    if all(each.latest.sha256 != sha256 for each in sets):
        made = client.create_prompt_set(
            PromptSetCreate(name=path.stem, format=wanted, content=content.decode("utf-8-sig"))
        )
        err().print(f"{path.name} is the prompt set {made.name} now: {made.latest.num_prompts} prompts", markup=False)
    return sha256


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MalformedError(f"--prompts {path} cannot be read: {error.strerror}") from error
