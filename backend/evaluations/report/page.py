"""Puts the report together: what was compared and how, the figures, and the pairs that lost and gained most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from backend.evaluations.report.figures import ChosenFigures, difference_table, every_policy_table, figure_names, forest
from backend.evaluations.report.pairs import pair_tiles
from backend.evaluations.report.words import counted, figure, interval, name_of, signed, text, words_of
from backend.evaluations.service import smallest_visible
from backend.figures.evaluation import GENEVAL
from backend.schemas.evaluation import Comparison, PairTally, SamplePair
from backend.schemas.event import ScoreMeasured
from backend.schemas.overlap import Overlap

STYLE = Path(__file__).with_name("style.css").read_text()
# Whatever a prompt holds, a browser loads and runs nothing but the style and the pictures that are in the file.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class ReportContents:
    """All that a report tells; the pictures are read from the runs' folders while it is written."""

    found: Comparison
    made_at: datetime
    base: str
    policy: str
    difference: ScoreMeasured | None
    tally: PairTally
    overlap: Overlap
    worst: list[SamplePair]
    best: list[SamplePair]
    first: list[SamplePair]
    """where no pair is better or worse than another: some in the order of their prompts"""

    @property
    def chosen(self) -> ChosenFigures | None:
        """The figures of the two policies; None until they are measured."""
        scores = {score.policy: score for score in self.found.scores}
        if self.base not in scores or self.policy not in scores:
            return None
        return ChosenFigures(scores[self.base], scores[self.policy], self.difference)


def write_report(contents: ReportContents, runs_dir: Path) -> Iterator[bytes]:
    """The file, piece by piece."""
    labels = list(contents.found.config.candidates)
    two = (contents.base, contents.policy)
    yield "".join(_top(contents)).encode()
    for title, none, pairs in _shown(contents):
        yield f"<section><h2>{title}</h2>".encode()
        if pairs:
            for piece in pair_tiles(runs_dir, pairs, labels, two):
                yield piece.encode()
        else:
            yield f'<p class="muted">{none}</p>'.encode()
        yield b"</section>"
    yield b"</main></body></html>\n"


def _shown(contents: ReportContents) -> tuple[tuple[str, str, list[SamplePair]], ...]:
    """The sections of pictures: title, what to say where there are none, and pairs."""
    if contents.tally.num_pairs and not (contents.worst or contents.best or contents.first):
        return ()  # Of the pairs that there are none was asked for.
    if not (contents.worst or contents.best):
        return (("Pairs, none worse or better than another", "No pair is stored yet.", contents.first),)
    return (
        ("Worst regressions", "No stored pair is worse than its base.", contents.worst),
        ("Best gains", "No stored pair is better than its base.", contents.best),
    )


def _top(contents: ReportContents) -> Iterator[str]:
    found = contents.found
    title = f"{text(found.name or 'Evaluation')}: {name_of(contents.base)} against {name_of(contents.policy)}"
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{STYLE}</style></head><body><main>"
    about = f"Unmask Studio · evaluation {found.run_id} · {text(found.status)}"
    yield f'<header><p><small class="muted">{about}</small></p>'
    yield f"<h1>{title}</h1>{_headline(contents)}</header>"
    yield _figures(contents)
    yield _settings(contents)


def _headline(contents: ReportContents) -> str:
    chosen, tally = contents.chosen, contents.tally
    equal = tally.num_pairs - tally.num_wins - tally.num_losses - tally.num_unjudged
    unjudged = f", {tally.num_unjudged} without a reward" if tally.num_unjudged else ""
    fates = (
        f"<p>{counted(tally.num_pairs, 'stored pair', 'stored pairs')}: {counted(tally.num_wins, 'win', 'wins')}, "
        f"{counted(tally.num_losses, 'loss', 'losses')}, {equal} equal{unjudged}.</p>"
    )
    if chosen is None:
        return "<p>Not measured to its end: there are pictures, but no figures.</p>" + fates
    # Prompts that no verifier knows have no overall figure, but may have scores.
    names = figure_names(chosen.base.values)
    if not names:
        return f"<p>Pictures without scores.</p>{fates}"
    name = names[0]
    pair = f"{words_of(name)} {figure(chosen.base.values.get(name))} → {figure(chosen.policy.values.get(name))}"
    if chosen.difference is None:
        return f"<p>{pair}</p>{fates}"
    ends = interval(chosen.difference.intervals.get(name), is_signed=True)
    return f"<p>{pair}, {signed(chosen.difference.values.get(name))} {ends}</p>{fates}"


def _figures(contents: ReportContents) -> str:
    chosen, found = contents.chosen, contents.found
    if chosen is None or not chosen.base.values:
        return ""
    parts = ["<section><h2>By task</h2>", difference_table(chosen)]
    if chosen.difference is not None:
        parts.append(forest(chosen.difference))
    parts.append(f"<p>{_reading(contents)}</p></section>")
    if len(found.scores) > 2:
        parts.append(f"<section><h2>Every policy</h2>{every_policy_table(found.scores)}</section>")
    return "".join(parts)


def _reading(contents: ReportContents) -> str:
    """How the figures are to be read."""
    difference = contents.difference
    said = ["Intervals at 95 %."]
    if difference is not None:
        said.append("The difference is paired by prompt and seed. Green is better, red is worse.")
        if difference.num_prompts < (num_prompts := contents.found.scores[0].num_prompts):
            said.append(f"It is of the {difference.num_prompts} of {num_prompts} prompts whose samples are stored.")
        if (smallest := smallest_visible(difference)) is not None:
            said.append(
                "The smallest overall difference that this many prompts show in four of five evaluations is "
                f"{figure(smallest)}."
            )
        said += _noted(difference.notes)
    return f'<small class="muted">{" ".join(said)}</small>'


def _noted(notes: Mapping[str, str]) -> Iterator[str]:
    """What is to be said of single figures; those of which the same is said stand together."""
    names: dict[str, list[str]] = {}
    for name, note in sorted(notes.items()):
        if name != GENEVAL:
            names.setdefault(note, []).append(words_of(name))
    return (f"{', '.join(of)}: {text(note)}." for note, of in names.items())


def _settings(contents: ReportContents) -> str:
    """Everything that the pictures follow from."""
    config = contents.found.config
    prompts = config.prompts
    source = (
        f"prompt set {prompts.prompt_set}"
        if prompts.prompt_set
        else f"{len(prompts.texts)} own prompts"
        if prompts.texts
        else f"captions of the small world, {prompts.split.value}"
    )
    rows: list[tuple[str, object]] = [
        *((f"policy {name_of(label)}", each.source) for label, each in config.candidates.items()),
        ("prompts", source),
        ("number of prompts", _num_prompts(contents)),
        ("samples a prompt", config.samples_per_prompt),
        ("seed", config.seed),
        *config.sampling.model_dump(mode="json").items(),
        ("precision", config.policy.precision),
        ("scores", ", ".join(str(reward.name) for reward in config.rewards) or "the verifier's alone"),
        ("overlap with training prompts", _overlap(contents.overlap)),
        ("report made", contents.made_at.isoformat(timespec="seconds")),
    ]
    notes = contents.chosen.policy.notes if contents.chosen else {}
    rows += [(f"measured with: {name}", note) for name, note in notes.items()]
    listed = "".join(f"<dt>{words_of(name)}</dt><dd>{text(value)}</dd>" for name, value in rows)
    return f"<section><h2>Settings</h2><dl>{listed}</dl></section>"


def _num_prompts(contents: ReportContents) -> int:
    """Counted where it was measured: own prompts and sets are all used, whatever num_prompts says."""
    chosen = contents.chosen
    return contents.found.config.num_prompts if chosen is None else chosen.policy.num_prompts


def _overlap(overlap: Overlap) -> str:
    exact, alike = overlap.num_overlapping, overlap.num_same_content
    told = f"{exact} word for word and {alike} in other words, of {overlap.num_prompts}"
    return told + (f"; nothing is known of the training of {', '.join(overlap.unknown)}" if overlap.unknown else "")
