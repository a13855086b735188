"""Which words of a prompt a policy cannot read, told from the file of its text tokenizer: no weights and no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from backend.schemas.config import PolicyConfig, RunConfig, SampleConfig, TrainConfig

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# The shipped policy lies in the worker's package, whose code the web process never imports.
SHIPPED_POLICY = Path(__file__).resolve().parents[2] / "worker" / "shapes" / "weights"

_RUN_SOURCE = re.compile(r"run:(?P<run>[A-Za-z0-9][A-Za-z0-9_-]*)(?:@(?P<step>\d+))?")
# So many words are told one by one; a longer vocabulary is only counted.
_NUM_TOLD = 60
_NUM_UNKNOWN_TOLD = 12


def unread_words(config: RunConfig, runs_dir: Path) -> tuple[str, str] | None:
    """What a person should know of own prompts, and the cure; None where every word is read, or nobody can tell."""
    if not isinstance(config, TrainConfig | SampleConfig) or not config.prompts.texts:
        return None
    tokenizer = _tokenizer_of(policy_folder(config.policy, runs_dir))
    unknown_token = None if tokenizer is None else getattr(tokenizer.model, "unk_token", None)
    if tokenizer is None or not unknown_token:
        # Real Show-o's tokenizer is made of pieces down to single bytes: it reads every text.
        return None
    words = list(dict.fromkeys(_unknown(tokenizer, unknown_token, config.prompts.texts)))
    if not words:
        return None
    more = f" and {len(words) - _NUM_UNKNOWN_TOLD} more" if len(words) > _NUM_UNKNOWN_TOLD else ""
    told = ", ".join(repr(word) for word in words[:_NUM_UNKNOWN_TOLD])
    message = f"prompts.texts has words that the policy has never read: {told}{more}; each stands for nothing to it."
    return message, f"Take words that it knows: {_known(tokenizer)}; or a policy with an open vocabulary."


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


def policy_folder(policy: PolicyConfig, runs_dir: Path) -> Path:
    """Where the policy that a configuration names would lie, whether it is there or not."""
    if policy.source == "shipped":
        return SHIPPED_POLICY
    match = _RUN_SOURCE.fullmatch(policy.source)
    if match is None:
        return Path(policy.source).expanduser()
    part = "exports" if match["step"] is None else f"checkpoints/{int(match['step']):06d}"
    return runs_dir / match["run"] / part / "policy"


def _tokenizer_of(policy: Path) -> Tokenizer | None:
    try:
        path = policy / json.loads((policy / "config.json").read_text())["llm_model_path"] / "tokenizer.json"
        return _read_tokenizer(path, path.stat().st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError):
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
