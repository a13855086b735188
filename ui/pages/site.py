"""Puts the pages together: one Gradio app with a route a page, our own chrome, and nothing of Gradio's."""

from __future__ import annotations

import warnings

import gradio as gr
from fastapi import FastAPI

from ui.components.hot import hot_part
from ui.pages.document import Document
from ui.pages.launch import launch_page

SYSTEM_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
MONO_FONTS = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]

# Path, title, client module. Home is the root page.
HOT_PAGES = (
    ("runs", "Runs", "runs"),
    ("run", "Run", "run"),
    ("groups", "Groups", "groups"),
    ("sample", "Sample", "sample"),
    ("inpaint", "Inpaint", "inpaint"),
    ("extend", "Extend", "extend"),
    ("compare", "Compare", "compare"),
    ("try", "Try", "try"),
    ("strip", "Prompt over steps", "strip"),
    ("rewards", "Rewards", "rewards"),
    ("reward-test", "Reward sandbox", "reward_test"),
    ("label", "Label", "label"),
    ("label-results", "Label results", "label_results"),
    ("pairs", "Pair sets", "pairs"),
    ("models", "Models", "models"),
    ("prompts", "Prompt sets", "prompts"),
)


def build_site() -> FastAPI:
    """The pages as an ASGI app of their own, to be mounted at the root."""
    with gr.Blocks(title="Unmask Studio", analytics_enabled=False, fill_width=True) as blocks:
        hot_part("home", "home")
    with blocks.route("Launch", "/launch", show_in_navbar=False):
        launch_page(blocks)
    for path, title, module in HOT_PAGES:
        with blocks.route(title, f"/{path}", show_in_navbar=False):
            hot_part(module, path)
    modules = {"/": "home", "/launch": "launch"} | {f"/{path}": module for path, _, module in HOT_PAGES}
    site = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    theme = gr.themes.Base(font=SYSTEM_FONTS, font_mono=MONO_FONTS)
    with warnings.catch_warnings():
        # Gradio warns that it does not render pages on the server, which nobody asked it to.
        warnings.filterwarnings("ignore", message="SSR mode is not supported")
        gr.mount_gradio_app(site, blocks, path="/", theme=theme, footer_links=[], run_history=False, ssr_mode=False)
    site.add_middleware(Document, modules=modules)
    return site
