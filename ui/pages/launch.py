"""Launch: from a recipe, or another run, to a new run: the form, the exact YAML, what it will cost, and the button."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from pydantic import BaseModel, ValidationError

from backend.schemas.config import PretrainConfig, RunConfig, TrainConfig
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from backend.schemas.reward_model import RewardModelConfig
from backend.schemas.run import Recipe, Run, RunCreate
from ui.components.hot import hot_part
from ui.components.inputs import form_inputs, hiding, marking
from ui.components.panels import (
    changes_panel,
    facts_panel,
    not_launched,
    panel,
    problem_panel,
    warning_panel,
    wrapped,
    yaml_panel,
)
from ui.components.prompt_choice import PROMPT_SET, prompt_set_choice, prompt_set_choices
from ui.components.reward_choice import is_reward_source, learned_facts, learned_rewards
from ui.forms import FormValue, data_from, fields_of, problems_of, sections_of, values_of
from ui.pages.launch_origin import Origin, origin_of
from ui.pages.launch_preflight import ConfigOf, PreflightPart
from ui.reward_slots import idle_inputs
from ui.studio import StudioClient, StudioError, client_for
from ui.views import arithmetic, changes, duration, estimate_seconds, yaml_of

MODELS: Mapping[str, type[BaseModel]] = {
    "train": TrainConfig,
    "sample": SampleConfig,
    "evaluate": EvaluateConfig,
    "pretrain": PretrainConfig,
    "reward_model": RewardModelConfig,
}
KIND_NAMES = [
    ("Train", "train"),
    ("Sample", "sample"),
    ("Evaluate", "evaluate"),
    ("Pretrain", "pretrain"),
    ("Reward model", "reward_model"),
]
READING = wrapped(panel("Configuration", '<p class="u-muted u-reading" role="status">Reading the recipe …</p>'))
# While a recipe is read no field can be changed, for what comes takes the place of all that stands there: form.css.
# Counted, for Gradio tells of one click on a choice twice, and only after the last answer comes nothing more.
WAIT = "() => { const page = document.documentElement.dataset; page.reading = Number(page.reading ?? 0) + 1; }"
GO_ON = """() => {
  const page = document.documentElement.dataset;
  if (Number(page.reading) > 1) page.reading -= 1; else delete page.reading;
}"""
# What can be the id of an input in a style sheet.
_PATH = re.compile(r"[a-z0-9_.]+")
# An empty text would leave what stands there.
QUIET = "<span></span>"
GO_TO_RUN = "(url) => { if (url) window.location.assign(url); }"


@dataclass(frozen=True)
class KindForm:
    """One kind's part of the page."""

    kind: str
    column: gr.Column
    inputs: list[gr.components.Component]

    @property
    def model(self) -> type[BaseModel]:
        """The configuration's class."""
        return MODELS[self.kind]

    def values(self, shown: tuple[FormValue, ...]) -> dict[str, FormValue]:
        """What the inputs hold, by path."""
        return dict(zip((field.path for field in fields_of(self.model)), shown, strict=True))

    def data(self, shown: tuple[FormValue, ...]) -> dict[str, Any]:
        """What the inputs hold, as the model's nested data."""
        return data_from(self.model, self.values(shown))


def launch_page(blocks: gr.Blocks) -> None:
    """Draws the page and wires it; the browser talks to it only when an input changes."""
    hot_part("launch", "launch")
    origin = gr.State(None)
    target = gr.Textbox(visible="hidden")
    with gr.Row(elem_classes=["u-launch"]):
        with gr.Column(scale=7, elem_classes=["u-form"]):
            with gr.Row(elem_classes=["u-fields", "u-start"]):
                recipe = gr.Dropdown([], label="Recipe", info="Where to start from.", elem_id="recipe")
                kind = gr.Radio(KIND_NAMES, value="train", label="Kind", info="What the run does.", elem_id="kind")
            forms = [_kind_form(name) for _, name in KIND_NAMES]
        with gr.Column(scale=5, elem_classes=["u-side"]):
            button = gr.Button("Launch", variant="primary", elem_id="launch-button")
            # Why the button did nothing, beside it; gone with the next change of the form.
            said = gr.HTML("", apply_default_css=False, elem_id="launch-said")
            preflight = PreflightPart()
            side = gr.HTML(READING, apply_default_css=False, elem_id="launch-side")
    everything = [input_ for form in forms for input_ in form.inputs]
    preflight.follow(side, kind, everything, _config_reader(forms))
    outputs = [recipe, kind, origin, *(form.column for form in forms), *everything, side, said]
    blocks.load(_opener(forms), None, outputs, queue=False, show_progress="hidden")
    _follow_recipe(recipe, forms, outputs)
    kind.input(_kind_chooser(forms), [kind, *everything], [*(form.column for form in forms), side, said], queue=False)
    for form in forms:
        gr.on(
            [input_.input for input_ in form.inputs],
            _previewer(form),
            [origin, *form.inputs],
            [side, said],
            queue=False,
            show_progress="hidden",
            trigger_mode="always_last",
        )
    pressed = button.click(_launcher(forms), [kind, origin, *everything], [target, side, said], queue=False)
    pressed.success(None, target, None, js=GO_TO_RUN)


def _follow_recipe(recipe: gr.Dropdown, forms: list[KindForm], outputs: list[Any]) -> None:
    recipe.input(None, None, None, js=WAIT)
    chosen = recipe.input(
        _recipe_chooser(forms), recipe, outputs, queue=False, show_progress="hidden", trigger_mode="multiple"
    )
    chosen.then(None, None, None, js=GO_ON)


def _kind_form(kind: str) -> KindForm:
    with gr.Column(visible=kind == "train") as column:
        inputs = form_inputs(sections_of(MODELS[kind]))
    return KindForm(kind, column, inputs)


def _opener(forms: list[KindForm]) -> Callable[[gr.Request], list[Any]]:
    def open_form(request: gr.Request) -> list[Any]:
        return _started(forms, request, dict(request.query_params))

    return open_form


def _recipe_chooser(forms: list[KindForm]) -> Callable[..., list[Any]]:
    def choose_recipe(request: gr.Request, name: str) -> list[Any]:
        return _started(forms, request, {"recipe": name})

    return choose_recipe


def _started(forms: list[KindForm], request: gr.Request, query: Mapping[str, str]) -> list[Any]:
    """The form where an address starts it; as it is, with the reason beside it, where the studio refuses."""
    try:
        with client_for(request) as client:
            recipes = client.list_recipes()
            return _filled(forms, client, origin_of(client, recipes, query), recipes)
    except StudioError as error:
        unchanged = 3 + len(forms) + sum(len(form.inputs) for form in forms)
        return [gr.skip()] * unchanged + [refusal(error), QUIET]


def _filled(forms: list[KindForm], client: StudioClient, origin: Origin, recipes: list[Recipe]) -> list[Any]:
    """The form showing an origin's configuration; the other kinds show their defaults."""
    kind = str(origin.config.kind)
    choices, sets = [(recipe.title, recipe.name) for recipe in recipes], prompt_set_choices(client)
    learned = learned_rewards(client).choices
    shown: list[Any] = []
    for form in forms:
        config = origin.config if form.kind == kind else form.model()
        for path, value in values_of(config).items():
            if path == PROMPT_SET:
                shown.append(prompt_set_choice(sets, str(value)))
            else:
                shown.append(gr.Dropdown(learned, value=value) if is_reward_source(path) else value)
    columns = [gr.Column(visible=form.kind == kind) for form in forms]
    side = _side(client, MODELS[kind], values_of(origin.config), origin)
    return [gr.Dropdown(choices, value=origin.recipe), kind, origin, *columns, *shown, side, QUIET]


def _kind_chooser(forms: list[KindForm]) -> Callable[..., list[Any]]:
    def choose_kind(request: gr.Request, kind: str, *shown: FormValue) -> list[Any]:
        form, own = _own_values(forms, kind, shown)
        with client_for(request) as client:
            side = _side(client, form.model, form.values(own), Origin("the defaults", form.model()))  # type: ignore[arg-type]
        return [*(gr.Column(visible=other.kind == kind) for other in forms), side, QUIET]

    return choose_kind


def _previewer(form: KindForm) -> Callable[..., tuple[str, str]]:
    def preview(request: gr.Request, origin: Origin | None, *shown: FormValue) -> tuple[str, str]:
        with client_for(request) as client:
            return _side(client, form.model, form.values(shown), origin), QUIET

    return preview


def _launcher(forms: list[KindForm]) -> Callable[..., tuple[str, Any, str]]:
    def launch(request: gr.Request, kind: str, origin: Origin | None, *shown: FormValue) -> tuple[str, Any, str]:
        form, own = _own_values(forms, kind, shown)
        hidden = hiding(idle_inputs(form.model, form.values(own)))
        try:
            wanted = _request(form.model, form.data(own), origin)
            with client_for(request) as client:
                run: Run = client.create_run(wanted)
        except ValidationError as error:
            return "", hidden + invalid(error, form.model), not_launched(*problems_of(error, form.model)[0])
        except StudioError as error:
            return "", hidden + refusal(error), not_launched(error.title, error.detail)
        return f"/run?id={run.id}", gr.skip(), ""

    return launch


def _config_reader(forms: list[KindForm]) -> ConfigOf:
    def read(kind: str, shown: tuple[FormValue, ...]) -> RunConfig | None:
        form, own = _own_values(forms, kind, shown)
        try:
            return form.model.model_validate(form.data(own))  # type: ignore[return-value]
        except ValidationError:
            return None

    return read


def _own_values(
    forms: list[KindForm], kind: str, shown: tuple[FormValue, ...]
) -> tuple[KindForm, tuple[FormValue, ...]]:
    """The form of a kind and its part of all inputs' values."""
    start = 0
    for form in forms:
        if form.kind == kind:
            return form, shown[start : start + len(form.inputs)]
        start += len(form.inputs)
    raise AssertionError(f"no form for kind {kind!r}")


def invalid(error: ValidationError, model: type[BaseModel]) -> str:
    """What the form holds and no run can have; the inputs are marked."""
    paths = {".".join(str(part) for part in item["loc"]) for item in error.errors()}
    known = [field.path for field in fields_of(model) if field.path in paths]
    return marking(known) + wrapped(problem_panel(problems_of(error, model)))


def refusal(error: StudioError) -> str:
    """What the studio answered instead of doing what was asked; the inputs that it names are marked."""
    named = (item.pointer.removeprefix("/config/").replace("/", ".") for item in error.errors)
    return marking(path for path in named if _PATH.fullmatch(path)) + wrapped(
        problem_panel(
            [
                (error.title, error.detail),
                *((item.pointer, item.message) for item in error.errors),
                *([("Request id", error.request_id)] if error.request_id else []),
            ]
        )
    )


def _request(model: type[BaseModel], data: dict[str, Any], origin: Origin | None) -> RunCreate:
    config = model.model_validate(data)
    is_same_kind = origin is not None and type(origin.config) is model
    recipe = origin.recipe if origin is not None and is_same_kind else None
    parent = origin.parent if origin is not None and is_same_kind else None
    return RunCreate.model_validate({"config": config.model_dump(), "recipe": recipe, "parent_run_id": parent})


def _side(client: StudioClient, model: type[BaseModel], values: Mapping[str, FormValue], origin: Origin | None) -> str:
    """The right-hand side for what the form holds now; with it goes which inputs are of no use now."""
    return hiding(idle_inputs(model, values)) + _panels(client, model, data_from(model, values), origin)


def _panels(client: StudioClient, model: type[BaseModel], data: dict[str, Any], origin: Origin | None) -> str:
    try:
        wanted = _request(model, data, origin)
    except ValidationError as error:
        return invalid(error, model)
    try:
        warnings = client.preview_run(wanted).warnings
        runs = client.list_runs(limit=50).data
        learned = learned_facts(client, wanted.config)
    except StudioError as error:
        return refusal(error)
    facts, seconds = [*arithmetic(wanted.config), *learned], estimate_seconds(wanted.config, runs)
    if seconds:
        # Of other runs the preflight above tells the time.
        facts.append(("Time", f"about {duration(seconds)}, as the last run of this size took"))
    if origin is None or type(origin.config) is not type(wanted.config):
        origin = Origin("the defaults", type(wanted.config)())
    warnings = (*([origin.warning] if origin.warning else []), *warnings)
    return wrapped(
        warning_panel(warnings),
        facts_panel("What it will do", facts, foot=origin.note),
        changes_panel(changes(origin.config, wanted.config), origin.name),
        yaml_panel(yaml_of(wanted.config), wanted),
    )
