"""Which inputs of the rewards' slots are of use now; the Launch page hides the others, for there are dozens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from backend.schemas.reward import RewardName, RewardNormalisation, idle_settings
from ui.forms import FormField, FormValue, fields_of


def idle_inputs(model: type[BaseModel], values: Mapping[str, FormValue]) -> Iterator[str]:
    """Gives the paths of the inputs to hide: of unused slots all but the next one's choice, of used ones what has no
    effect. An input that differs from its default is never hidden: it may be what is wrong.

    Args:
        model: the configuration's class.
        values: what the form's inputs hold, by path.
    """
    slots: dict[str, list[FormField]] = {}
    for field in fields_of(model):
        if field.path.startswith("rewards."):
            slots.setdefault(field.path.rsplit(".", 1)[0], []).append(field)
    is_next_shown = False
    for slot, (choice, *others) in slots.items():
        name = values[choice.path]
        if name:
            idle = idle_settings(RewardName(str(name)), RewardNormalisation(str(values[f"{slot}.normalisation"])))
            unused = [field for field in others if field.path.removeprefix(f"{slot}.") in idle]
            yield from (field.path for field in unused if values[field.path] == field.default)
        else:
            yield from (field.path for field in others)
            if is_next_shown:
                yield choice.path
            is_next_shown = True
