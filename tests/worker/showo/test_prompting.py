"""Texts to ids and to the layout of a sequence."""

from pathlib import Path

import pytest
import torch

from worker.showo.prompting import (
    PromptLayout,
    build_word_tokenizer,
    load_text_tokenizer,
    special_tokens,
    tokenize,
)

LAYOUT = PromptLayout(special_tokens(llm_vocab_size=50, bos=1, eos=2), max_text_tokens=6, num_image_tokens=4)


def test_published_ids_come_out_for_the_published_vocabulary() -> None:
    special = special_tokens(llm_vocab_size=50295, bos=50256, eos=50256)
    assert (special.pad, special.soi, special.eoi, special.t2i) == (50295, 50296, 50297, 50300)


def test_an_overflowing_text_is_cut_and_still_ends() -> None:
    assert LAYOUT.text_block([11, 12, 13, 14]) == [54 + 1, 1, 11, 12, 13, 14, 2]
    assert LAYOUT.text_block([11, 12, 13, 14, 15, 16]) == [55, 1, 11, 12, 13, 14, 2]


def test_the_empty_text_is_the_unconditional_prompt() -> None:
    assert LAYOUT.text_block([]) == [55, 1, 2]


def test_a_text_that_brings_its_own_start_gets_no_second() -> None:
    assert LAYOUT.text_block([1, 11]) == [55, 1, 11, 2]


def test_text_positions_are_those_of_the_left_padded_sequence() -> None:
    texts = [[11, 12], []]
    batch = LAYOUT.text_batch(texts)
    sequences = LAYOUT.input_ids(texts, torch.full((2, 4), 60))
    for row in range(2):
        positions = batch.positions[row][batch.is_text[row]]
        assert torch.equal(sequences[row, positions], batch.ids[row][batch.is_text[row]])
        assert positions[-1] == LAYOUT.text_block_length - 1


def test_words_survive_saving_whatever_their_case(tmp_path: Path) -> None:
    tokenizer = build_word_tokenizer(["red", "circle", "a"])
    tokenizer.save_pretrained(tmp_path)
    again = load_text_tokenizer(tmp_path)
    assert tokenize(again, ["A red  Circle", ""]) == tokenize(tokenizer, ["a red circle", ""])
    assert tokenize(again, ["a zebra"])[0][1] == tokenizer.unk_token_id


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no tokenizer\.json in"):
        load_text_tokenizer(tmp_path)
