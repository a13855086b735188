"""Which inputs of the slots, rewards and policies, are of use now; the Launch page hides the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from backend.schemas.reward import RewardName, RewardNormalisation, idle_settings
from ui.forms import FormField, FormValue, fields_of

_SLOTTED = ("rewards.", "policies.")


def idle_inputs(model: type[BaseModel], values: Mapping[str, FormValue]) -> Iterator[str]:
    """Gives the paths of the inputs to hide: of unused slots all but the next one's choice, of used ones what has no
    effect. An input that differs from its default is never hidden: it may be what is wrong.

    Args:
        model: the configuration's class.
        values: what the form's inputs hold, by path.
    """
    for prefix in _SLOTTED:
        yield from _idle_of(model, values, prefix)


def _idle_of(model: type[BaseModel], values: Mapping[str, FormValue], prefix: str) -> Iterator[str]:
    slots: dict[str, list[FormField]] = {}
    for field in fields_of(model):
        if field.path.startswith(prefix):
            slots.setdefault(field.path.rsplit(".", 1)[0], []).append(field)
    is_next_shown = False
    for slot, (choice, *others) in slots.items():
        name = values[choice.path]
        if name:
            idle = _idle_settings(slot, str(name), values)
            unused = [field for field in others if field.path.removeprefix(f"{slot}.") in idle]
            yield from (field.path for field in unused if values[field.path] == field.default)
        else:
            yield from (field.path for field in others)
            if is_next_shown:
                yield choice.path
            is_next_shown = True


def _idle_settings(slot: str, name: str, values: Mapping[str, FormValue]) -> frozenset[str]:
    """What has no effect in a used slot; of a further policy everything has."""
    if not slot.startswith(_SLOTTED[0]):
        return frozenset()
    return idle_settings(RewardName(name), RewardNormalisation(str(values[f"{slot}.normalisation"])))
