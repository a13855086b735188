"""How long a person waits for a comparison of 10,000 samples, for a try of many prompts, and for a run's many probes.

python -m tests.bench.bench_compare; it fills a database of an embedded Postgres of its own, with every picture on the
disk, starts the web process as `unmask up` does, and opens the pages in headless Chromium, each time with an empty
cache. The time counts from the navigation until what a person came for is painted: of Compare the table by task with
its forest plot and the first pairs' pictures. It fails where one opening of Compare took 2 s or more. Beside it stand
the API's answers alone, and the exports.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

import migrations
from tests.bench.bench_api import postgres, serve
from tests.bench.bench_votes import wait_for_pages
from tests.bench.filling_comparison import Filled, fill
from tests.browser.chromium import CHROMIUM_FLAGS, HOW_TO_INSTALL, find_chromium

MAX_MILLISECONDS = 2000.0
NUM_ANSWERS = 20
WIDTH, HEIGHT = 1280, 900

# Looks once a frame whether what is waited for stands there, all its pictures decoded, and marks the frame after the
# one that showed it: by then it is painted.
WATCH = """
(() => {
  const wanted = %s;
  const isThere = () => wanted.every(([selector, least]) => {
    const found = [...document.querySelectorAll(selector)];
    return found.length >= least && found.slice(0, least).every(
      (each) => each.tagName !== "IMG" || (each.complete && each.naturalWidth > 0));
  });
  const look = () => {
    if (!isThere()) return requestAnimationFrame(look);
    requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("painted")));
  };
  requestAnimationFrame(look);
})();
"""


@dataclass(frozen=True)
class Opening:
    """A page, and what of it is waited for: so many elements of each selector, pictures with their content."""

    name: str
    path: str
    wanted: tuple[tuple[str, int], ...]
    is_bound: bool = False


def openings(found: Filled) -> list[Opening]:
    """What is opened; only Compare has a bound."""
    return [
        Opening(
            "Compare, 10,000 samples",
            f"/compare?id={found.evaluation}",
            ((".u-forest tbody tr", 8), (".u-forest circle", 8), (".u-pair img", 24)),
            is_bound=True,
        ),
        Opening(f"Try, {found.num_tried} prompts", f"/try?run={found.tried}", ((".u-try-pictures img", 24),)),
        Opening(
            "Prompt over steps, 101 probes",
            f"/strip?id={found.training}",
            ((".u-strip img", 101), (".u-slider img", 2)),
        ),
    ]


def open_once(browser: Browser, address: str, opening: Opening) -> tuple[float, float]:
    """Milliseconds from the navigation to the mark, in a context that has never seen the studio.

    Beside them those for which the page's main thread had a processor: what is beyond that is waiting, for the studio
    or for a machine that does other things.
    """
    context = browser.new_context(base_url=address, viewport={"width": WIDTH, "height": HEIGHT})
    context.add_init_script(WATCH % json.dumps(opening.wanted))
    page = context.new_page()
    told = context.new_cdp_session(page)
    told.send("Performance.enable")
    page.goto(opening.path, wait_until="commit")
    try:
        page.wait_for_function("performance.getEntriesByName('painted').length > 0", timeout=60_000)
    except PlaywrightTimeout as error:
        counts = {selector: page.locator(selector).count() for selector, _ in opening.wanted}
        raise TimeoutError(f"{opening.name}: after a minute there were {counts} of {opening.wanted}") from error
    painted: float = page.evaluate("performance.getEntriesByName('painted')[0].startTime")
    metrics = {each["name"]: each["value"] for each in told.send("Performance.getMetrics")["metrics"]}
    context.close()
    return painted, 1000 * metrics["ThreadTime"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Headless Chromium of the system, started and warm."""
    path = find_chromium()
    if path is None:
        raise SystemExit(HOW_TO_INSTALL)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        browser.new_context().new_page().goto("about:blank")
        yield browser
        browser.close()


def measure_pages(address: str, found: Filled, num_times: int) -> Iterator[dict[str, object]]:
    """A row a page."""
    with chromium() as browser:
        for opening in openings(found):
            opened = [open_once(browser, address, opening) for _ in range(num_times)]
            times = [painted for painted, _ in opened]
            row = _row(opening.name, times) | {"main_thread_ms": round(statistics.median(busy for _, busy in opened))}
            yield row | ({"is_met": max(times) < MAX_MILLISECONDS} if opening.is_bound else {})


def measure_answers(client: httpx.Client, found: Filled) -> Iterator[dict[str, object]]:
    """A row a request that Compare makes, and a row an export with its size."""
    evaluation = f"/api/v1/evaluations/{found.evaluation}"
    for name, path in (
        ("figures", evaluation),
        ("first pairs", f"{evaluation}/pairs?limit=24"),
        ("tally", f"{evaluation}/pairs/tally"),
        ("overlap", f"{evaluation}/overlap"),
        ("one prompt's groups", f"/api/v1/runs/{found.training}/prompts?purpose=probe&limit=100"),
    ):
        taken, content = _asked(client, path, NUM_ANSWERS)
        yield _row(f"GET {name}", taken) | {"kilobytes": round(len(content) / 1024, 1)}
    for name, query in (
        ("HTML report", "format=html"),
        ("largest HTML report", "format=html&num_pairs=100"),
        ("CSV", ""),
    ):
        taken, content = _asked(client, f"{evaluation}/export?{query}", 3)
        yield _row(name, taken) | {"kilobytes": round(len(content) / 1024, 1), "lines": content.count(b"\n")}


def _asked(client: httpx.Client, path: str, times: int) -> tuple[list[float], bytes]:
    taken, content = [], b""
    for _ in range(times):
        began = time.perf_counter()
        response = client.get(path)
        taken.append((time.perf_counter() - began) * 1000)
        assert response.status_code == 200, response.text
        content = response.content
    return taken, content


def _row(name: str, times: list[float]) -> dict[str, object]:
    return {"what": name, "median_ms": round(statistics.median(times)), "slowest_ms": round(max(times))}


def main() -> int:
    """Prints a row a page and a request as JSON; 1 when a bound is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5000, help="pairs of the evaluation, two samples each")
    parser.add_argument("--times", type=int, default=7, help="how often each page is opened")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="unmask-compare-") as folder, postgres() as url:
        migrations.upgrade(url)
        found = fill(url, Path(folder) / "runs", options.pairs)
        with serve(url, app="ui.app:create_studio", DATA_DIR=folder) as address:
            wait_for_pages(address)
            rows += measure_pages(address, found, options.times)
            with httpx.Client(base_url=address, trust_env=False, timeout=120) as client:
                rows += measure_answers(client, found)
    for row in rows:
        print(json.dumps(row))
    return int(not all(row.get("is_met", True) for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
