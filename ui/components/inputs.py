"""Form fields as Gradio inputs. A field's bounds are told in its help; judging them is left to the model itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gradio as gr

from ui.components.prompt_choice import PROMPT_SET
from ui.components.reward_choice import is_reward_source
from ui.forms import FieldKind, FormField, FormSection

NUM_OPEN_SECTIONS = 5


def form_inputs(sections: tuple[FormSection, ...]) -> list[gr.components.Component]:
    """Draws the sections and gives their inputs in the order of the fields."""
    inputs: list[gr.components.Component] = []
    for place, section in enumerate(sections):
        with gr.Accordion(section.title, open=place < NUM_OPEN_SECTIONS, elem_classes=["u-section"]):
            if section.help:
                gr.HTML(f'<p class="u-muted u-small">{section.help}</p>', apply_default_css=False)
            with gr.Row(elem_classes=["u-fields", *(["u-pairs"] if section.is_slots else [])]):
                inputs.extend(_input(field) for field in section.fields)
    return inputs


def element_id(path: str) -> str:
    """The id of a field's input in the page."""
    return f"field-{path.replace('.', '-')}"


def hiding(paths: Iterable[str]) -> str:
    """A style sheet that hides some fields' inputs; so that no input is made anew."""
    ids = ",".join(f"#{element_id(path)}" for path in paths)
    return f"<style>{ids}{{display:none!important}}</style>" if ids else ""


def marking(paths: Iterable[str]) -> str:
    """A style sheet that marks the inputs of some fields as refused."""
    ids = ",".join(f"#{element_id(path)}" for path in paths)
    return f"<style>{ids}{{outline:2px solid var(--u-failed);outline-offset:2px}}</style>" if ids else ""


def _input(field: FormField) -> gr.components.Component:
    shared: dict[str, Any] = {
        "label": field.title,
        "value": field.default,
        "info": field.hint,
        "interactive": True,
        "elem_id": element_id(field.path),
        "min_width": 200,
    }
    match field.kind:
        case FieldKind.FLAG:
            return gr.Checkbox(**shared)
        case FieldKind.WHOLE | FieldKind.NUMBER:
            return gr.Number(**shared, step=None)
        case FieldKind.CHOICE:
            choices = [(choice.replace("_", " ") or "not used", choice) for choice in field.choices]
            return gr.Dropdown(choices, **shared, filterable=False)
        case FieldKind.SEVERAL:
            ticks = [(choice.replace("_", " "), choice) for choice in field.choices]
            return gr.CheckboxGroup(ticks, **shared, elem_classes=["u-wide", "u-ticks"])
        case FieldKind.LINES:
            return gr.Textbox(**shared, lines=3, max_lines=8, placeholder="one a line", elem_classes=["u-wide"])
        case FieldKind.TEXT:
            is_chosen = field.path == PROMPT_SET or is_reward_source(field.path)
            chosen = {"choices": [("none", "")], "allow_custom_value": True}
            return gr.Dropdown(**shared, **chosen) if is_chosen else gr.Textbox(**shared, max_lines=1)
