"""The benchmark's raters ask the studio for as much as the page does."""

import re
from pathlib import Path

from tests.bench.voters import AHEAD

SUPPLY = Path(__file__).parents[2] / "ui/components/static/rate_pairs.js"


def test_a_voter_asks_for_as_many_pairs_as_the_page() -> None:
    source = SUPPLY.read_text()
    ahead = re.search(r"const AHEAD = (\d+)", source)
    assert ahead is not None
    # Beside those that it decodes ahead, the page asks for the one that is on screen.
    assert "this.ask(Math.min(AHEAD + 1 + numWaiting, MOST))" in source
    assert int(ahead[1]) + 1 == AHEAD
