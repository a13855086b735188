"""A hot part of a page: an empty HTML element that a static client module fills from our REST and event streams."""

from __future__ import annotations

import gradio as gr


def hot_part(module: str, elem_id: str) -> gr.HTML:
    """An element that `/studio/<module>.js` mounts itself into; no Gradio event ever touches it."""
    return gr.HTML(
        f'<div class="u-part" aria-busy="true" data-module="{module}"><p class="u-muted">Loading …</p></div>',
        js_on_load=f"import('/studio/{module}.js').then(m => m.mount(element.querySelector('.u-part')));",
        apply_default_css=False,
        elem_id=elem_id,
        elem_classes=["u-hot"],
    )
