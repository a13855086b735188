"""The choice of a prompt set in the launch form: the sets by name; what is chosen is a version's hash."""

from __future__ import annotations

import gradio as gr

from ui.studio import StudioClient

PROMPT_SET = "prompts.prompt_set"
_NONE = ("none", "")
_NUM_SETS = 100


def prompt_set_choices(client: StudioClient) -> list[tuple[str, str]]:
    """The last versions of the newest sets, the shipped ones last."""
    sets = client.list_prompt_sets(limit=_NUM_SETS).data
    named = ((f"{each.name}, version {each.latest.version}", each.latest.sha256) for each in sets)
    return [_NONE, *named]


def prompt_set_choice(choices: list[tuple[str, str]], chosen: str) -> gr.Dropdown:
    """The input showing what is chosen, also where that is an earlier version, which no choice stands for."""
    is_known = any(sha256 == chosen for _, sha256 in choices)
    return gr.Dropdown(choices if is_known else [*choices, (f"version {chosen[:12]}", chosen)], value=chosen)
