"""A label task's results as tables for people."""

from __future__ import annotations

from rich.markup import escape

from backend.cli.output import number_text, out, print_table
from backend.schemas.vote_figures import Agreement, FigureInterval, LabelResults, RaterResults, VoteFigures


def print_results(found: LabelResults) -> None:
    """Figures without excluded raters, then each rater."""
    figures = found.figures
    simulated = f", {figures.num_simulated_raters} of them simulated" if figures.num_simulated_raters else ""
    out().print(
        f"{figures.num_votes} votes of {figures.num_raters} raters{simulated} on {figures.num_pairs} pairs; "
        f"{found.num_skipped} skipped, {found.num_undone} taken back"
    )
    _print_policies(figures)
    out().print(
        f"agreement (Krippendorff's alpha): of preferences {_alpha(figures.preference_agreement)}, "
        f"of choices {_alpha(figures.choice_agreement)}"
    )
    columns = ("name", "counts", "votes", "gold right", "left", "median", "hasty", "agrees")
    print_table(columns, [_rater(each) for each in found.raters], "Nobody was asked yet.")


def _print_policies(figures: VoteFigures) -> None:
    rates = [
        (
            f"{escape(rate.policy)} against {escape(rate.opponent)}",
            f"{rate.num_wins} / {rate.num_ties + rate.num_both_bad} / {rate.num_losses}",
            number_text(rate.value),
            _interval(rate.resampled),
        )
        for rate in figures.win_rates
    ]
    print_table(
        ("policy", "wins / ties / losses", "win rate", "95 %"), rows=rates, empty="No two policies have met yet."
    )
    if figures.bradley_terry is None:
        return
    strengths = [
        (escape(each.policy), number_text(each.value), _interval(each.interval))
        for each in figures.bradley_terry.strengths
    ]
    print_table(("policy", "log-strength", "95 %"), strengths, "")
    if figures.bradley_terry.num_decided == 0:
        out().print("No vote is decided, each is a tie or both bad: the log-strengths are the prior's alone.")
    if figures.bradley_terry.is_separable:
        out().print("Some policies never lost to the rest, never won or never met it: their distance is the prior's.")


def _rater(each: RaterResults) -> tuple[str, ...]:
    return (
        escape(each.label) + (" (simulated)" if each.is_simulated else ""),
        "no" if each.is_excluded else "yes",
        str(each.num_votes),
        f"{each.num_gold_right} of {each.num_gold}",
        f"{each.num_left} of {each.num_sided}",
        "-" if each.median_seconds is None else f"{each.median_seconds:.1f} s",
        str(each.num_hasty),
        number_text(each.agreement),
    )


def _alpha(found: Agreement) -> str:
    return number_text(found.value) + (f" {_interval(found.interval)}" if found.interval is not None else "")


def _interval(found: FigureInterval) -> str:
    # A backslash keeps rich from taking it for a style.
    return f"\\[{number_text(found.low)}, {number_text(found.high)}]"
