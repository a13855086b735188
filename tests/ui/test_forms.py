"""A configuration survives model -> inputs -> model, for every kind and every field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from backend.schemas.config import PretrainConfig, RewardName, TrainConfig
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from ui.forms import FieldKind, FormField, data_from, fields_of, problems_of, sections_of, values_of

KINDS: tuple[type[BaseModel], ...] = (TrainConfig, PretrainConfig, SampleConfig, EvaluateConfig)


def leaves(data: Any, path: str = "") -> set[str]:
    if isinstance(data, dict):
        return {leaf for key, value in data.items() for leaf in leaves(value, f"{path}{key}.")}
    return {path.removesuffix(".")}


def another_value(field: FormField, shown: Any) -> Any:
    match field.kind:
        case FieldKind.FLAG:
            return not shown
        case FieldKind.WHOLE:
            return (shown or 0) + 1
        case FieldKind.NUMBER:
            return shown / 2 + 0.001
        case FieldKind.TEXT:
            return "shipped-2"
        case FieldKind.LINES:
            return "two objects\n a second line"
        case FieldKind.CHOICE | FieldKind.SEVERAL:
            other = next(choice for choice in field.choices if choice not in ("", shown))
            return other if field.kind is FieldKind.CHOICE else [other]


@pytest.mark.parametrize("model", KINDS)
def test_the_defaults_survive_the_form(model: type[BaseModel]) -> None:
    config = model()
    assert model.model_validate(data_from(model, values_of(config))) == config


@pytest.mark.parametrize("model", KINDS)
def test_every_leaf_of_the_model_has_an_input(model: type[BaseModel]) -> None:
    shown = {field.path for field in fields_of(model)}
    written_by_the_studio = {"policy.alias", "base.alias"}
    assert not written_by_the_studio & shown
    for leaf in leaves(model().model_dump(mode="json")) - {"kind"} - written_by_the_studio:
        assert leaf in shown or any(path.startswith(f"{leaf}.") for path in shown), leaf


# These are refused without one.
WITH_A_SOURCE = {RewardName.LEARNED, RewardName.REMOTE}


@pytest.mark.parametrize("field", fields_of(TrainConfig), ids=lambda field: field.path)
def test_a_changed_input_of_training_reaches_the_model_and_comes_back(field: FormField) -> None:
    values = values_of(TrainConfig())
    values[field.path] = changed = another_value(field, values[field.path])
    if field.path == "prompts.prompt_set":
        # A version is named by the hash of its file.
        values[field.path] = changed = "0" * 64
    if field.path.startswith("rewards.") and not field.path.endswith(".name"):
        slot = int(field.path.split(".")[1])
        names = [name for name in RewardName if name is not RewardName.CLIP and name not in WITH_A_SOURCE][:slot]
        values.update({f"rewards.{place}.name": name.value for place, name in enumerate(names)})
        # A reward with weights, and a normalisation by given numbers, so that every setting takes effect.
        affine = {} if field.path.endswith(".normalisation") else {f"rewards.{slot}.normalisation": "affine"}
        values.update({f"rewards.{slot}.name": "clip", **affine})
        if field.path.endswith(".normalisation"):
            # A batch needs all of a step's groups at once, so none may be sampled again.
            values["grpo.filter.max_tries"] = 0
        if field.path.endswith(".timeout_s"):
            values.update({f"rewards.{slot}.name": "remote", f"rewards.{slot}.source": "http://host"})
    config = TrainConfig.model_validate(data_from(TrainConfig, values))
    back = values_of(config)
    if field.path.startswith("rewards.") and field.path.endswith(".name"):
        assert changed in [reward.name for reward in config.rewards]
    else:
        assert back[field.path] == values[field.path]


TRAIN_DATA = st.fixed_dictionaries(
    {
        "name": st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20),
        "seed": st.integers(0, 2**31 - 1),
        "rewards": st.lists(
            st.fixed_dictionaries(
                {"name": st.sampled_from(sorted(set(RewardName) - WITH_A_SOURCE)), "weight": st.floats(0.125, 10)}
            ),
            min_size=1,
            max_size=4,
            unique_by=lambda reward: reward["name"],
        ),
        "prompts": st.fixed_dictionaries(
            {"texts": st.lists(st.text("ab c", min_size=1).filter(str.strip), max_size=3)}
        ),
        "optimizer": st.fixed_dictionaries(
            {
                "learning_rate": st.floats(1e-9, 1),
                "decay_steps": st.none() | st.integers(1, 10_000_000),
            }
        ),
    }
)


@settings(max_examples=60, deadline=None)
@given(TRAIN_DATA)
def test_any_training_configuration_survives_the_form(data: dict[str, Any]) -> None:
    config = TrainConfig.model_validate(data)
    assert TrainConfig.model_validate(data_from(TrainConfig, values_of(config))) == config


def test_an_optional_part_is_absent_until_it_is_set() -> None:
    values = values_of(EvaluateConfig())
    assert values["base.is_set"] is False
    assert EvaluateConfig.model_validate(data_from(EvaluateConfig, values)).base is None
    values.update({"base.is_set": True, "base.source": "run:1"})
    base = EvaluateConfig.model_validate(data_from(EvaluateConfig, values)).base
    assert base is not None
    assert base.source == "run:1"
    assert values_of(EvaluateConfig(base=base))["base.source"] == "run:1"


def test_further_policies_are_slots_that_are_used_once_they_have_a_label() -> None:
    values = values_of(EvaluateConfig())
    assert (values["policies.0.label"], values["policies.5.source"]) == ("", "shipped")
    values.update({"policies.1.label": "step-20", "policies.1.source": "run:1@20"})
    config = EvaluateConfig.model_validate(data_from(EvaluateConfig, values))
    assert [(each.label, each.source) for each in config.policies] == [("step-20", "run:1@20")]
    assert values_of(config)["policies.0.source"] == "run:1@20"


def test_several_of_an_enum_are_ticked_and_stand_in_its_order() -> None:
    tasks = next(field for field in fields_of(TrainConfig) if field.path == "prompts.tasks")
    assert (tasks.kind, tasks.default, len(tasks.choices)) == (FieldKind.SEVERAL, [], 6)
    values = values_of(TrainConfig())
    values["prompts.tasks"] = ["position", "counting"]
    config = TrainConfig.model_validate(data_from(TrainConfig, values))
    assert config.prompts.tasks == ("counting", "position")
    assert values_of(config)["prompts.tasks"] == ["counting", "position"]


def test_titles_help_bounds_and_units_come_from_the_schema() -> None:
    fields = {field.path: field for field in fields_of(TrainConfig)}
    steps = fields["num_steps"]
    assert (steps.title, steps.unit, steps.low, steps.high) == ("Training steps", "steps", "1", "1\u202f000\u202f000")
    assert fields["grpo.clip_low"].low == "more than 0"
    assert fields["grpo.transition"].choices[:3] == ("candidate_1", "candidate_2", "autoregressive")
    assert fields["grpo.forward_process.num_remaskings"].high == "64", "a part within a part has fields too"
    assert fields["optimizer.decay_steps"].is_optional
    assert "1 to 256" in fields["sampling.num_unmasking_steps"].hint


def test_sections_follow_the_model_and_begin_with_its_plain_fields() -> None:
    titles = [section.title for section in sections_of(TrainConfig)]
    assert titles[:4] == ["General", "Model", "Prompts", "Rewards"]
    assert "Sample filter" not in titles, "a part within a part stays in its section"


def test_a_refused_value_is_told_by_its_title_and_in_words() -> None:
    values = {**values_of(TrainConfig()), "rollout.group_size": 1, "num_steps": 1.5}
    with pytest.raises(ValidationError) as caught:
        TrainConfig.model_validate(data_from(TrainConfig, values))
    problems = dict(problems_of(caught.value, TrainConfig))
    assert problems["Group size"] == "must be at least 2, not 1"
    assert "valid integer" in problems["Training steps"]


def test_two_parts_of_one_class_have_words_of_their_own() -> None:
    helps = {section.title: section.help for section in sections_of(EvaluateConfig)}
    assert helps["Model"] == "The policy a run starts from."
    assert helps["Base"].startswith("The policy compared against")
