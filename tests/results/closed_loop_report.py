"""The closed loop's section of docs/results.md, from docs/results/closed-loop.json; knows no studio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def closed_loop_section(results: list[dict[str, Any]]) -> str:
    """The section, or nothing where the loop was not gone around."""
    found = next((result for result in results if "closed_loop" in result), None)
    if found is None:
        return ""
    taste, seconds = found["closed_loop"], found["seconds"]
    lines = [
        "## The closed loop",
        "",
        "Written by `python -m tests.results.closed_loop`, every step over REST. The raters are "
        f"{found['votes']['num_raters']} programs, no people: each prefers the bluer picture (mean of blue minus red) "
        f"with the log-odds {taste['sharpness']:g} times the difference, and calls smaller differences than "
        f"{taste['tie_below']:g} a tie.",
        "",
        "| Step | What came out |",
        "|---|---|",
        *(f"| {step} | {what} |" for step, what in _rows(found)),
        "",
        f"In all {sum(seconds.values()) / 60:.0f} minutes on two cores that were shared with other work: "
        + ", ".join(f"{name} {each:.0f} s" for name, each in seconds.items())
        + ". Intervals are 95 %.",
        "",
    ]
    return "\n".join(lines)


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "blind votes on the shipped policy's pictures", _votes(found["votes"])
    yield "reward model, held-out prompts", _model(found["reward_model"])
    training = found["training"]
    yield f"training, {training['num_steps']} steps on {_rewards(training['rewards'])}", _curve(found)
    blue, again = found["comparison"]["blueness"], found["votes_again"]
    moved = f"{blue['base']:+.4f} → {blue['tuned']:+.4f}, {_paired(blue['difference'], blue['interval'], 4)}"
    yield f"base against tuned, {blue['num_prompts']} held-out captions", f"blueness {moved}"
    yield "the same, mini-GenEval", _scores(found["comparison"])
    yield "the same, blind votes of new simulated raters", f"{_votes(again)}; {_win_rate(again['results'])}"


def _model(model: dict[str, Any]) -> str:
    parts = [
        f"accuracy {_share(model['accuracy'])} on {model['accuracy']['num_pairs']} pairs",
        *_of_new_raters(model),
        f"the raters' ceiling {_share(model['ceiling'])}, the model there {_share(model['model_at_ceiling'])}",
        f"the untuned CLIP {_share(model['untuned'])}",
        f"calibration error {model['calibration']['expected_error']:.3f}",
    ]
    # That the votes are simulated, the section has said already.
    weak = [note for note in model["notes"] if "simulated" not in note]
    return ". ".join(["; ".join(parts), *(note.rstrip(".") for note in weak)])


def _of_new_raters(model: dict[str, Any]) -> Iterator[str]:
    """The same against raters whom the model never learned from, where some are held out."""
    share = model.get("accuracy_new_raters")
    if share is not None:
        raters = f"{model['num_heldout_raters']} of {model['num_raters']} raters, whom it never learned from"
        yield f"by the votes of {raters}, {_share(share)} on {share['num_pairs']} pairs"


def _votes(votes: dict[str, Any]) -> str:
    size = f" on {votes['num_pairs']} pairs of {votes['num_prompts']} prompts" if "num_pairs" in votes else ""
    return f"{votes['num_votes']} votes{size}, {votes['num_against_taste']} of them against the taste by chance"


def _share(share: dict[str, Any]) -> str:
    return f"{share['value']:.3f} [{share['low']:.3f}, {share['high']:.3f}]"


def _rewards(rewards: list[dict[str, Any]]) -> str:
    return " + ".join(f"{reward['weight']:g} {reward['name']}" for reward in rewards)


def _curve(found: dict[str, Any]) -> str:
    """The first and the last five steps: single ones are noisy."""
    curve = found["training"]["curve"]
    parts = []
    for name in ("learned", "strict"):
        values = [point[f"reward/{name}"] for point in curve if point.get(f"reward/{name}") is not None]
        if values:
            first, last = values[:5], values[-5:]
            parts.append(f"{name} {sum(first) / len(first):.2f} → {sum(last) / len(last):.2f}")
    return ", ".join(parts) + " (means of the first and the last five steps)"


def _paired(value: float, interval: list[float], digits: int) -> str:
    return f"{value:+.{digits}f} [{interval[0]:+.{digits}f}, {interval[1]:+.{digits}f}]"


def _scores(comparison: dict[str, Any]) -> str:
    parts = []
    for name, (base, tuned) in comparison["scores"].items():
        parts.append(f"{name} {base:.3f} → {tuned:.3f}, {_paired(tuned - base, comparison['intervals'][name], 3)}")
    return "; ".join(parts)


def _win_rate(results: dict[str, Any]) -> str:
    """The tuned policy's win rate, whichever of the two comes first."""
    rate = next((each for each in results["win_rates"] if "base" in each["opponent"]), None)
    if rate is None:
        rate = results["win_rates"][0]
    share = _share({"value": rate["value"], **rate["resampled"]})
    return f"{rate['policy']} preferred to {rate['opponent']} in {share} of votes, a tie being a half"
