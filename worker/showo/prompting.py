"""Text to token ids and token ids to Show-o's sequence: special tokens, the prompt layout and the text tokenizer.

It knows no weights; a code is an image code, an id is a place in the one vocabulary of text, specials, codes and mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from worker.showo.weights import COPY_ANEW

PAD_TOKEN = "[PAD]"
NEW_TOKENS = ("<|soi|>", "<|eoi|>", "<|sov|>", "<|eov|>", "<|t2i|>", "<|mmu|>", "<|t2v|>", "<|v2v|>", "<|lvg|>")
NUM_NEW_TOKENS = 1 + len(NEW_TOKENS)
END_OF_TEXT = "<|endoftext|>"
UNKNOWN = "<|unknown|>"
TOKENIZER_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))


@dataclass(frozen=True)
class SpecialTokens:
    """The ids that are neither words nor image codes."""

    pad: int
    soi: int
    """start of the image"""
    eoi: int
    """end of the image"""
    t2i: int
    """the task: text to image"""
    bos: int
    eos: int


def special_tokens(llm_vocab_size: int, bos: int, eos: int) -> SpecialTokens:
    """Return the special ids: padding and Show-o's nine new tokens directly follow the words, in published order."""
    new = {name: llm_vocab_size + 1 + place for place, name in enumerate(NEW_TOKENS)}
    soi, eoi, t2i = new["<|soi|>"], new["<|eoi|>"], new["<|t2i|>"]
    return SpecialTokens(pad=llm_vocab_size, soi=soi, eoi=eoi, t2i=t2i, bos=bos, eos=eos)


@dataclass(frozen=True)
class TextBatch:
    """Texts as the fast path reads them: no padding on the left, short ones filled up on the right."""

    ids: Tensor
    """(B, M) int64, `<t2i> bos text eos`, then padding"""
    positions: Tensor
    """(B, M) int64 places in the published, left-padded sequence"""
    is_text: Tensor
    """(B, M) bool, True where a slot holds a token"""


@dataclass(frozen=True)
class PromptLayout:
    """`[PAD]*k <t2i> bos text eos | <soi> image*N <eoi>`, the order of one Show-o sequence."""

    special: SpecialTokens
    max_text_tokens: int
    """longest text block without its task token; 128 in the published model"""
    num_image_tokens: int

    @property
    def text_block_length(self) -> int:
        """Tokens before soi, padding included."""
        return self.max_text_tokens + 1

    @property
    def sequence_length(self) -> int:
        """Tokens of a whole sequence."""
        return self.text_block_length + self.num_image_tokens + 2

    def of_sequences(self, input_ids: Tensor) -> "PromptLayout":
        """Return this layout with the text block that (B, L) int64 sequences have; ValueError where they are none."""
        max_text_tokens = input_ids.shape[1] - self.num_image_tokens - 3
        layout = replace(self, max_text_tokens=max_text_tokens)
        if max_text_tokens < 1:
            raise ValueError(
                f"sequences have {input_ids.shape[1]} tokens, but {self.num_image_tokens} image tokens between soi and "
                f"eoi and a text before them need at least {self.num_image_tokens + 4}"
            )
        special = self.special
        is_marked = (input_ids[:, layout.text_block_length] == special.soi) & (input_ids[:, -1] == special.eoi)
        if not bool(is_marked.all()):
            row = int(is_marked.logical_not().nonzero()[0])
            raise ValueError(
                f"row {row} is no Show-o sequence of {self.num_image_tokens} image tokens: soi ({special.soi}) "
                f"stands before them, eoi ({special.eoi}) ends the sequence"
            )
        return layout

    def text_block(self, text_ids: Sequence[int]) -> list[int]:
        """Return `<t2i> bos text eos` without padding; what overflows is cut and the block still ends in eos."""
        ids = list(text_ids)
        if not ids or ids[0] != self.special.bos:
            ids = [self.special.bos, *ids]
        ids = [self.special.t2i, *ids, self.special.eos]
        if len(ids) > self.text_block_length:
            ids = [*ids[: self.text_block_length - 1], self.special.eos]
        return ids

    def text_batch(self, texts: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> TextBatch:
        """Return B tokenised texts for the fast path; an empty text is the unconditional prompt."""
        blocks = [self.text_block(text) for text in texts]
        longest = max(len(block) for block in blocks)
        ids = torch.tensor([block + [self.special.pad] * (longest - len(block)) for block in blocks])
        lengths = torch.tensor([len(block) for block in blocks])
        slots = torch.arange(longest)
        positions = (self.text_block_length - lengths)[:, None] + slots
        is_text = slots < lengths[:, None]
        return TextBatch(ids.to(device), positions.to(device), is_text.to(device))

    def input_ids(self, texts: Sequence[Sequence[int]], image_ids: Tensor) -> Tensor:
        """Return the published left-padded sequences.

        Args:
            texts: B tokenised texts.
            image_ids: (B, N) int64 vocabulary ids of the image, the mask id where it is masked.

        Returns:
            (B, L) int64.
        """
        blocks = [self.text_block(text) for text in texts]
        padded = [[self.special.pad] * (self.text_block_length - len(block)) + block for block in blocks]
        text = torch.tensor(padded, device=image_ids.device)
        soi = torch.full_like(text[:, :1], self.special.soi)
        eoi = torch.full_like(text[:, :1], self.special.eoi)
        return torch.cat([text, soi, image_ids, eoi], dim=1)


def build_word_tokenizer(words: Sequence[str]) -> PreTrainedTokenizerFast:
    """Return a word-level tokenizer over a closed vocabulary, without Show-o's new tokens."""
    entries = [END_OF_TEXT, UNKNOWN, *sorted(set(words))]
    model = WordLevel({word: place for place, word in enumerate(entries)}, unk_token=UNKNOWN)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT, unk_token=UNKNOWN
    )


def has_text_tokenizer(folder: Path) -> bool:
    """Say whether a folder holds a text tokenizer, in one file or as words and merges."""
    return any(all((folder / name).is_file() for name in names) for names in TOKENIZER_FILES)


def load_text_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Load the language model's own tokenizer from a local folder, as published, with or without Show-o's new tokens.

    Raises:
        ValueError: the folder holds none, or a broken one.
    """
    if not has_text_tokenizer(folder):
        raise ValueError(f"no tokenizer.json in {folder}; copy the language model's tokenizer files there")
    kind = PreTrainedTokenizerFast if (folder / "tokenizer.json").is_file() else AutoTokenizer
    try:
        return kind.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # The tokenizers' library raises this very class for a broken file.
        raise ValueError(f"the text tokenizer in {folder} cannot be read: {error}; {COPY_ANEW}") from error


def vocabulary_problems(tokenizer: PreTrainedTokenizerFast, llm_vocab_size: int) -> list[str]:
    """Return a sentence for each way in which a tokenizer's words are not those that a transformer was trained with.

    With Show-o's new tokens there must be `llm_vocab_size` + 10 words, 50305 for the published models; new tokens that
    the tokenizer has already must lie where Show-o put them.
    """
    words = tokenizer.get_vocab()
    places = {token: llm_vocab_size + place for place, token in enumerate((PAD_TOKEN, *NEW_TOKENS))}
    length = len(tokenizer) + sum(token not in words for token in places)
    problems = []
    if length != llm_vocab_size + NUM_NEW_TOKENS:
        problems.append(
            f"the text tokenizer has {length} words with Show-o's {NUM_NEW_TOKENS} new ones, the transformer "
            f"{llm_vocab_size + NUM_NEW_TOKENS}; take the tokenizer that the transformer was trained with"
        )
    misplaced = [f"{token} at {words[token]}, not {place}" for token, place in places.items()
                 if words.get(token, place) != place]  # fmt: skip
    if misplaced:
        problems.append(f"the text tokenizer has Show-o's tokens elsewhere: {', '.join(misplaced)}")
    return problems


def tokenize(tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str]) -> list[list[int]]:
    """Return the ids of each prompt, without special tokens; the empty prompt has none."""
    ids: list[list[int]] = tokenizer(list(prompts), add_special_tokens=False)["input_ids"]
    return ids
