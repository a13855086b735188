"""Where the launch form starts: a recipe or a cloned run, with what a link of another page brings along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from backend.errors import MalformedError, NotFoundError
from backend.schemas.config import RunConfig, TrainConfig
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from backend.schemas.reward import RewardConfig, RewardName
from backend.schemas.reward_model import RewardModelConfig
from backend.schemas.run import Recipe
from ui.studio import StudioClient

DEFAULT_RECIPE = "tiny-shapes"
_OF_A_RUN = "run:"


@dataclass(frozen=True)
class Origin:
    """Where the form started."""

    name: str
    config: RunConfig
    recipe: str | None = None
    parent: str | None = None
    note: str = ""
    warning: str = ""


def origin_of(client: StudioClient, recipes: list[Recipe], query: Mapping[str, str]) -> Origin:
    """Where an address of the launch page starts the form.

    Args:
        query: `clone` names a run; else `recipe` names a recipe, and `reward`, `pairs`, `prompt_set` and `policy` are
            put into its configuration where it has a place for them.

    What an address names and is not there is said in `warning`, and the form starts from the default recipe.

    Raises:
        StudioError: when the studio does not answer.
    """
    try:
        return _named_origin(client, recipes, query)
    except (NotFoundError, MalformedError) as error:
        return replace(
            _named_origin(client, recipes, {}), warning=f"{error.detail}; this is the default recipe instead"
        )


def _named_origin(client: StudioClient, recipes: list[Recipe], query: Mapping[str, str]) -> Origin:
    if "clone" in query:
        run = client.get_run(query["clone"])
        recipe = None if run.recipe_changes is None else run.recipe
        return Origin(f"run {run.name or run.id}", run.config, recipe, str(run.id))
    by_name = {recipe.name: recipe for recipe in recipes}
    wanted = query.get("recipe", DEFAULT_RECIPE)
    if wanted not in by_name and wanted != DEFAULT_RECIPE:
        raise NotFoundError(f"there is no recipe {wanted[:60]!r}: choose one of {', '.join(by_name)}")
    chosen = by_name.get(wanted) or next(iter(recipes), None)
    if chosen is None:
        return Origin("the defaults", TrainConfig())
    note = f"Cost: {chosen.cost}. Expected: {chosen.expected}"
    return Origin(chosen.title, _with_linked(client, chosen.config, query), chosen.name, None, note)


def _with_linked(client: StudioClient, config: RunConfig, query: Mapping[str, str]) -> RunConfig:
    """A recipe with what a link of another page brings along."""
    if query.get("policy") and isinstance(config, EvaluateConfig):
        config = _against_its_start(client, config, query["policy"][:1000])
    if query.get("prompt_set") and isinstance(config, TrainConfig | SampleConfig | EvaluateConfig):
        prompts = config.prompts.model_copy(update={"prompt_set": query["prompt_set"], "texts": ()})
        return config.model_copy(update={"prompts": prompts})
    if query.get("reward") and isinstance(config, TrainConfig):
        learned = RewardConfig(name=RewardName.LEARNED, source=query["reward"][:1000])
        return config.model_copy(update={"rewards": (learned,)})
    if query.get("pairs") and isinstance(config, RewardModelConfig):
        return config.model_copy(update={"pairs": config.pairs.model_copy(update={"source": query["pairs"]})})
    return config


def _against_its_start(client: StudioClient, config: EvaluateConfig, source: str) -> EvaluateConfig:
    """An evaluation of a policy; of a run's policy, against the one that the run began with."""
    policy = config.policy.model_copy(update={"source": source})
    try:
        run_id = UUID(source.removeprefix(_OF_A_RUN).partition("@")[0]) if source.startswith(_OF_A_RUN) else None
    except ValueError:
        run_id = None
    if run_id is None:
        return config.model_copy(update={"policy": policy})
    run = client.get_run(run_id)
    name = f"{run.name or source} against its start"[:120]
    return config.model_copy(update={"policy": policy, "base": run.config.policy, "name": name})
