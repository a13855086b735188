"""Which words of a prompt a policy cannot read, told from the file of its text tokenizer: no weights and no torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from backend.prompt_files import read_set, sets_beside
from backend.runs.policies import language_folders, policy_folder
from backend.schemas.config import RunConfig, TrainConfig
from backend.schemas.picture_runs import SampleConfig
from backend.schemas.prompts import PromptConfig

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# So many words are told one by one; a longer vocabulary is only counted.
_NUM_TOLD = 60
_NUM_UNKNOWN_TOLD = 12


def unread_words(config: RunConfig, runs_dir: Path) -> tuple[str, str] | None:
    """What a person should know of own prompts, and the cure; None where every word is read, or nobody can tell."""
    if not isinstance(config, TrainConfig | SampleConfig):
        return None
    texts = _own_texts(config.prompts, runs_dir)
    if not texts:
        return None
    tokenizer = _tokenizer_of(policy_folder(config.policy, runs_dir))
    unknown_token = None if tokenizer is None else getattr(tokenizer.model, "unk_token", None)
    if tokenizer is None or not unknown_token:
        # Real Show-o's tokenizer is made of pieces down to single bytes: it reads every text.
        return None
    words = list(dict.fromkeys(_unknown(tokenizer, unknown_token, texts)))
    if not words:
        return None
    more = f" and {len(words) - _NUM_UNKNOWN_TOLD} more" if len(words) > _NUM_UNKNOWN_TOLD else ""
    told = ", ".join(repr(word) for word in words[:_NUM_UNKNOWN_TOLD])
    place = "texts" if config.prompts.texts else "prompt_set"
    message = f"prompts.{place} has words that the policy has never read: {told}{more}; each stands for nothing to it."
    return message, f"Take words that it knows: {_known(tokenizer)}; or a policy with an open vocabulary."


def _own_texts(prompts: PromptConfig, runs_dir: Path) -> tuple[str, ...]:
    if not prompts.prompt_set:
        return prompts.texts
    try:
        return tuple(prompt.text for prompt in read_set(sets_beside(runs_dir), prompts.prompt_set))
    except ValueError:
        # A set that is not there is refused elsewhere, by its name.
        return ()


def _unknown(tokenizer: Tokenizer, unknown_token: str, texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        found = tokenizer.encode(text, add_special_tokens=False)
        for token, (begin, end) in zip(found.tokens, found.offsets, strict=True):
            if token == unknown_token:
                yield text[begin:end].lower()


def _known(tokenizer: Tokenizer) -> str:
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    words = sorted(set(tokenizer.get_vocab()) - special)
    return ", ".join(words) if len(words) <= _NUM_TOLD else f"it has {len(words)}"


def _tokenizer_of(policy: Path) -> Tokenizer | None:
    try:
        own = json.loads((policy / "config.json").read_text())
        paths = [folder / "tokenizer.json" for folder in language_folders(policy, own)]
        path = next((each for each in paths if each.is_file()), paths[0])
        return _read_tokenizer(path, path.stat().st_mtime_ns)
    except (OSError, ValueError, AttributeError):
        # What is wrong with the policy is the job's to say: here it only means that nobody can tell.
        return None


@lru_cache(maxsize=8)
def _read_tokenizer(path: Path, changed_at: int) -> Tokenizer:
    """The tokenizer of a file as it was changed last; ValueError where the file is none."""
    from tokenizers import Tokenizer  # noqa: PLC0415 - only prompts of a person's own need it.

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        # The library raises plain Exception for whatever it cannot read.
        raise ValueError(f"{path} is no tokenizer file: {error}") from error
