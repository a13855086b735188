"""A page's head names every client module that it will need, so that none is found out about late."""

from __future__ import annotations

import re

import pytest

from ui.pages.preloads import STATIC, modules_behind, preloads

PAGES = ("home", "launch", "compare", "try", "strip", "run")


@pytest.mark.parametrize("page", PAGES)
def test_whatever_a_named_module_imports_is_named_too(page: str) -> None:
    named = set(re.findall(r'href="/studio/(\w+)\.js"', preloads(page)))
    assert page in named
    for name in named:
        # By the file's name alone, whatever the statement looks like.
        asked = set(re.findall(r'["/](\w+)\.js"', (STATIC / f"{name}.js").read_text()))
        assert asked <= named, name


def test_modules_are_found_through_others_and_named_once() -> None:
    found = modules_behind("compare")
    assert found[0] == "compare"
    assert "viridis" in found, "behind the heat map of the replays of a pair"
    assert len(set(found)) == len(found)
