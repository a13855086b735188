"""When two prompts are the same: by their words, or by what they ask for in the small world's wordings.

Pure, and without the small world's grammar: an opening like "a clear photo showing" says nothing of the content.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from backend.prompt_files import HELDOUT, SHIPPED_SETS, TRAIN, prompt_of

_OPENING = re.compile(r"an? (?:(?:simple|clear|neat) )?(?:photo|image|picture|drawing|painting|print) (?:of|showing) ")
_RELATION = re.compile(r" (left of|right of|above|below) ")
_TURNED = {"right of": "left of", "below": "above"}


def plain(text: str) -> str:
    """The words alone: without case, punctuation and the number of spaces."""
    letters = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w\s]|_", " ", letters).split())


def content(text: str) -> str | None:
    """The same string for all wordings of one scene; None for a prompt that does not begin like a caption.

    'a star left of a circle' is 'a circle right of a star', and the order around 'and' does not count.
    """
    words = plain(text)
    opening = _OPENING.match(words)
    if opening is None:
        return None
    asked = words[opening.end() :]
    if related := _RELATION.search(asked):
        first, name, second = asked[: related.start()], related[1], asked[related.end() :]
        return f"{second} {_TURNED[name]} {first}" if name in _TURNED else f"{first} {name} {second}"
    return " and ".join(sorted(asked.split(" and ")))


@dataclass(frozen=True)
class TrainedPrompts:
    """What a training had: prompts by their words and by their content."""

    words: frozenset[str]
    contents: frozenset[str]
    is_every_wording: bool = False
    """of these contents, but for the held-out captions: the small world's training split"""

    def has_words(self, text: str) -> bool:
        """Whether training had these words."""
        if plain(text) in self.words:
            return True
        return self.is_every_wording and content(text) in self.contents and plain(text) not in _heldout_words()

    def has_content(self, text: str) -> bool:
        """Whether training asked for the same, in whatever words."""
        asked = content(text)
        return asked is not None and asked in self.contents


def trained_on(texts: Iterable[str], *, is_every_wording: bool = False) -> TrainedPrompts:
    """What a training on these prompts had."""
    texts = tuple(texts)
    contents = frozenset(asked for asked in map(content, texts) if asked is not None)
    return TrainedPrompts(frozenset(map(plain, texts)), contents, is_every_wording)


def trained_on_split(tasks: Iterable[str] = ()) -> TrainedPrompts:
    """What a training on the small world's training captions may have had: any wording of each content."""
    return trained_on(split_texts(TRAIN, tasks), is_every_wording=True)


def split_texts(split: str, tasks: Iterable[str] = ()) -> tuple[str, ...]:
    """The shipped captions of a split, of these tasks where some are named."""
    wanted = set(tasks)
    lines = (SHIPPED_SETS / f"{split}.jsonl").read_bytes().splitlines()
    prompts = map(prompt_of, lines)
    return tuple(each.text for each in prompts if not wanted or each.task in wanted)


@lru_cache(maxsize=1)
def _heldout_words() -> frozenset[str]:
    return frozenset(map(plain, split_texts(HELDOUT)))
