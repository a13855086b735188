"""A line of GenEval's file is taken by the names that its judges can find, and refused by row and nearest name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.errors import MalformedError
from backend.prompt_files import content_of
from backend.prompt_sets.formats import read_prompts
from backend.schemas.geneval_names import CLASSES, COLOURS
from backend.schemas.prompt_set import PromptFormat

# Names of object_names.txt that are not COCO's, and some of two words.
GENEVALS_OWN = ("computer mouse", "tv remote", "computer keyboard", "tv", "hair drier", "donut", "couch", "cell phone")


def line(*include: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"tag": "colors", "include": list(include), "prompt": "a photo of something", **more}


def read(*lines: dict[str, Any]) -> int:
    return len(read_prompts("\n".join(map(json.dumps, lines)).encode(), PromptFormat.JSONL))


def test_every_class_and_colour_of_the_benchmark_is_taken() -> None:
    assert set(GENEVALS_OWN) < set(CLASSES)
    assert (len(CLASSES), len(set(CLASSES)), len(COLOURS)) == (80, 80, 10)
    lines = [line({"class": name, "count": 1}, exclude=[{"class": name, "count": 2}]) for name in CLASSES]
    lines += [line({"class": "car", "count": 1, "color": colour}) for colour in COLOURS]
    assert read(*lines) == 90


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"class": "mouse", "count": 1}, "'mouse' is none of the 80 classes .* nearest 'computer mouse'"),
        ({"class": "remote", "count": 1}, "nearest 'tv remote'"),
        ({"class": "Aeroplane", "count": 1}, "nearest 'airplane'"),
        ({"class": "Cat", "count": 1}, "nearest 'cat'"),
        ({"class": "unicorn", "count": 1}, "take one of person, bicycle, .*, toothbrush"),
        ({"class": "car", "count": 1, "color": "grey"}, "'grey' is none of the 10 colours .* nearest 'green'"),
        ({"class": "car", "count": 1, "color": "turquoise"}, "take one of red, .*, white"),
        ({"class": "car", "count": 1, "color": None}, "color is null"),
        ({"class": "car", "count": 1, "position": None}, "position is null"),
    ],
)
def test_an_unknown_name_is_told_with_its_row_and_what_is_nearest(bad: dict[str, Any], words: str) -> None:
    good = line({"class": "car", "count": 1})
    with pytest.raises(MalformedError, match=f"^row 3, include.0.*{words}.*correct or remove the row"):
        read(good, good, line(bad))


def test_what_must_not_be_there_has_a_known_name_too() -> None:
    with pytest.raises(MalformedError, match=r"row 1, exclude.0.class: 'sofas' is none"):
        read(line({"class": "couch", "count": 1}, exclude=[{"class": "sofas", "count": 2}]))


def test_a_line_that_comes_in_a_prompts_own_field_or_by_an_edit_is_checked_as_well(api: TestClient) -> None:
    bad = line({"class": "keyboard", "count": 1})
    with pytest.raises(MalformedError, match=r"row 1, include.0.class: .* nearest 'computer keyboard'"):
        read({"text": "a photo of a keyboard", "geneval": bad})
    made = api.post("/api/v1/prompt-sets", json={"name": "own", "content": "a photo of a keyboard"}).json()
    entries: list[dict[str, Any]] = [{"text": "a star"}, {"text": "a photo of a keyboard", "geneval": bad}]
    refused = api.patch(f"/api/v1/prompt-sets/{made['id']}", json={"prompts": entries})
    assert refused.status_code == 422
    assert "row 2, include.0.class: 'keyboard' is none of the 80 classes" in refused.json()["detail"]
    assert refused.json()["errors"][0]["pointer"] == "/prompts/1/geneval"
    entries[1]["geneval"] = line({"class": "computer keyboard", "count": 1})
    assert api.patch(f"/api/v1/prompt-sets/{made['id']}", json={"prompts": entries}).status_code == 200
    assert content_of(read_prompts(json.dumps(entries[1]).encode(), PromptFormat.JSONL))
