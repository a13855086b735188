"""Prompts that an evaluation shares with training are found by words and content, in every run behind a policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.evaluations.prompt_matching import content, plain, trained_on, trained_on_split
from worker.shapes.captions import all_captions, parse_caption

RUNS = "/api/v1/runs"


def start(api: TestClient, **config: Any) -> str:
    answer = api.post(RUNS, json={"config": config})
    assert answer.status_code == 201, answer.text
    run_id: str = answer.json()["id"]
    return run_id


def overlap(api: TestClient, **config: Any) -> dict[str, Any]:
    run_id = start(api, kind="evaluate", **config)
    found: dict[str, Any] = api.get(f"/api/v1/evaluations/{run_id}/overlap").json()
    return found


def test_case_space_and_punctuation_do_not_make_a_prompt_new() -> None:
    assert plain("  A photo of\ta RED circle!") == plain("a photo of a red circle")
    assert plain("a red-brown dog") != plain("a red brown cat")


def test_wordings_of_one_scene_have_one_content() -> None:
    assert content("a photo of a star left of a circle") == content("a neat print showing a circle right of a star")
    assert content("a photo of a star above a circle") == content("an image of a circle below a star.")
    assert content("a photo of a star and a circle") == content("a photo of a circle and a star")
    assert content("a photo of a star left of a circle") != content("a photo of a circle left of a star")
    assert content("a green bench") is None


def test_the_training_split_is_told_from_the_held_out_one_caption_by_caption() -> None:
    trained = trained_on_split()
    assert all(trained.has_words(caption.text) for caption in all_captions("train")[::7])
    heldout = all_captions("heldout")
    assert not any(trained.has_words(caption.text) for caption in heldout)
    alike = {caption.task for caption in heldout if trained.has_content(caption.text)}
    # These tasks have too few contents to withhold: there only the wording is new.
    assert alike == {"single_object", "counting", "colors"}


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_equal_content_is_what_the_small_worlds_grammar_calls_equal(split: Any) -> None:
    by_content: dict[str | None, set[Any]] = {}
    for caption in all_captions(split)[::5]:
        parsed = parse_caption(caption.text)
        wanted = frozenset(parsed.wanted) if parsed.relation is None else None
        turned = {"right of": "left of", "below": "above"}
        ordered = parsed.wanted[::-1] if parsed.relation in turned else parsed.wanted
        meaning = wanted or (turned.get(parsed.relation or "", parsed.relation), ordered)
        by_content.setdefault(content(caption.text), set()).add(meaning)
    assert None not in by_content
    assert all(len(meanings) == 1 for meanings in by_content.values())


def test_own_prompts_match_by_words_and_by_content() -> None:
    trained = trained_on(["a photo of a red circle", "my cat"])
    assert trained.has_words("A photo of a red circle.")
    assert not trained.has_words("an image of a red circle")
    assert trained.has_content("an image of a red circle")
    assert trained.has_words("My cat!")
    assert not trained.has_content("my dog")


def test_the_lineage_is_followed_to_its_beginning(api: TestClient) -> None:
    first = start(api, kind="train", name="first", prompts={"texts": ["my cat", "a photo of a red circle"]})
    second = start(api, kind="train", name="second", policy={"source": f"run:{first}@10"}, prompts={"texts": ["a dog"]})
    colours = [each.text for each in all_captions("train") if each.task == "colors"]
    reworded = [text for text in colours if text.endswith(" a red circle")][-1]
    found = overlap(
        api,
        base={"source": "shipped"},
        policy={"source": f"run:{second}"},
        prompts={"texts": ["My cat.", reworded, "a horse"]},
    )
    assert (found["num_prompts"], found["num_overlapping"]) == (3, 2)
    # The shipped policy was trained on every wording of a red circle that is not held out.
    by_name = {each["name"]: each for each in found["training_runs"]}
    assert by_name["first"] == {
        "run_id": first,
        "name": "first",
        "policies": ["policy"],
        "num_exact": 1,
        "num_same_content": 1,
    }
    assert by_name["second"]["num_exact"] == 0
    assert by_name["the shipped policy"]["policies"] == ["base", "policy"]
    assert found["prompts"][0]["is_exact"]
    assert found["unknown"] == []


def test_held_out_captions_overlap_in_no_words_and_half_of_them_in_content(api: TestClient) -> None:
    found = overlap(api, base={"source": "shipped"}, num_prompts=540)
    assert (found["num_overlapping"], found["num_same_content"]) == (0, 270)
    assert len(found["prompts"]) == 50


def test_a_set_that_was_trained_on_is_found_and_a_policy_from_elsewhere_is_named(api: TestClient) -> None:
    made = api.post("/api/v1/prompt-sets", json={"name": "mine", "content": "my cat\nmy dog\n"}).json()
    prompts = {"prompt_set": made["latest"]["sha256"]}
    run_id = start(api, kind="train", name="on the set", prompts=prompts)
    found = overlap(api, base={"source": "/models/else"}, policy={"source": f"run:{run_id}"}, prompts=prompts)
    assert found["num_overlapping"] == 2
    assert found["unknown"] == ["base: /models/else"]


def test_a_set_that_is_gone_is_told_as_unknown_and_not_taken_for_the_worlds_captions(
    api: TestClient, tmp_path: Path
) -> None:
    made = api.post("/api/v1/prompt-sets", json={"name": "mine", "content": "my cat\n"}).json()
    sha256 = made["latest"]["sha256"]
    run_id = start(api, kind="train", name="on the set", prompts={"prompt_set": sha256})
    (tmp_path / "prompt-sets" / f"{sha256}.jsonl").unlink()
    captions = [each.text for each in all_captions("train")[:2]]
    found = overlap(
        api, base={"source": "/models/else"}, policy={"source": f"run:{run_id}"}, prompts={"texts": captions}
    )
    assert found["unknown"][1] == f"policy: on the set, whose prompt set {sha256[:8]} is gone"
    assert [each["name"] for each in found["training_runs"]] == ["the shipped policy"]


def test_the_preflight_warns_of_an_evaluation_on_training_prompts(api: TestClient) -> None:
    run_id = start(api, kind="train", name="on cats", prompts={"texts": ["my cat"]})
    config = {"kind": "evaluate", "policy": {"source": "shipped"}, "prompts": {"texts": ["my cat", "my dog"]}}
    policies = [{"label": "tuned", "source": f"run:{run_id}"}]
    answer = api.post("/api/v1/preflight", json={"config": config | {"policies": policies}})
    assert answer.status_code == 200, answer.text
    assert "1 of 2 prompts were training prompts of 'on cats'" in answer.json()["notes"][0]
    clean = api.post("/api/v1/preflight", json={"config": config | {"prompts": {"texts": ["my dog"]}}}).json()
    assert not any("training prompts" in note for note in clean["notes"])


def test_the_preflight_counts_the_prompts_of_a_set(api: TestClient) -> None:
    def num_steps(**prompts: object) -> int:
        config = {"kind": "sample", "samples_per_prompt": 32, "prompts": prompts}
        answer = api.post("/api/v1/preflight", json={"config": config})
        assert answer.status_code == 200, answer.text
        steps: int = answer.json()["num_steps"]
        return steps

    lines = [f"a photo of a star number {place}" for place in range(9)]
    made = api.post("/api/v1/prompt-sets", json={"name": "nine", "content": "\n".join(lines)}).json()
    assert num_steps(prompt_set=made["latest"]["sha256"]) == num_steps(texts=lines) == 9
