"""Says in words why a value was refused, the value with it; the same words for REST, command line, jobs and forms."""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_core import ErrorDetails

# Their words name the value themselves, or there is none to name.
_NAMED_ALREADY = frozenset({"missing", "value_error", "extra_forbidden", "json_invalid"})
_LONGEST = 60
_BOUNDS = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}
_PYDANTICS = "Input should be "


# Patterns of the dictionary, in words.
_FORMS = {
    "^([0-9a-f]{64})?$": "a SHA-256, 64 characters of 0-9 and a-f, or empty",
    "^[0-9a-f]{64}$": "a SHA-256, 64 characters of 0-9 and a-f",
}


def refusal(error: ErrorDetails) -> str:
    """Pydantic's words for one refused value, and which value it was where that is a single one."""
    message = _in_words(error)
    value = error["input"]
    is_named = error["type"] in _NAMED_ALREADY or error["type"].startswith("union_tag")
    if is_named or not (value is None or isinstance(value, str | bool | int | float)):
        return message
    shown = repr(value)
    # A long text would bury the reason, and perhaps it is none of anybody's business.
    return message if len(shown) > _LONGEST else f"{message}, not {shown}"


def _in_words(error: ErrorDetails) -> str:
    """Why, in words that say what to do where pydantic's say what it tried."""
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is missing and has no default: give it a value"
        case "extra_forbidden":
            return "there is no such field: leave it out, or look for its name"
        case "string_pattern_mismatch":
            pattern = str(context["pattern"])
            return f"must be {_FORMS.get(pattern, f'of the form {pattern}')}"
        case "string_too_short" if context["min_length"] == 1:
            return "is empty: give it at least 1 character"
        case "greater_than_equal" | "less_than_equal" as kind:
            words, bound = _BOUNDS[kind]
            return f"must be {words} {context[bound]}"
    words = error["msg"].removeprefix("Value error, ")
    return f"must be {words.removeprefix(_PYDANTICS)}" if words.startswith(_PYDANTICS) else words


def refusals(error: ValidationError) -> str:
    """All that was refused, each with its place, in one line."""
    found = [(".".join(map(str, each["loc"])), refusal(each)) for each in error.errors()]
    return "; ".join(f"{place}: {words}" if place else words for place, words in found)
