"""The pages as a person uses them: what can be filled in, pressed and read."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect


class LaunchPage:
    """The form from which runs are launched."""

    def __init__(self, page: Page) -> None:
        self.page = page
        expect(page.locator("#launch-side pre")).to_contain_text("num_steps")

    def enter(self, path: str, value: str) -> None:
        """Types a value into the input of a field."""
        self.page.locator(f"#field-{path.replace('.', '-')}").locator("input, textarea").first.fill(value)

    def open_section(self, title: str) -> None:
        """Unfolds a section of the form."""
        self.page.get_by_role("button", name=re.compile(f"^{title}")).click()

    def expect_yaml(self, line: str) -> None:
        """Waits until the exact YAML shows a line."""
        expect(self.page.locator("#launch-side pre")).to_contain_text(line)

    def launch(self) -> str:
        """Presses Launch and gives the id of the run whose page opens."""
        self.page.click("#launch-button")
        self.page.wait_for_url(re.compile(r"/run\?id="))
        return self.page.url.split("id=")[1]


class RunPage:
    """A run's live page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def expect_status(self, status: str, seconds: float = 60) -> None:
        """Waits for the status in the header."""
        expect(self.page.locator(".u-status").first).to_have_text(status, timeout=seconds * 1000)

    def press(self, name: str) -> None:
        """Presses a button of the header."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def step(self) -> int:
        """The step that the header shows."""
        found = re.search(r"step (\d+)/\d+", self.page.locator(".u-part").inner_text())
        return int(found.group(1)) if found else 0

    def wait_for_step(self, step: int, seconds: float = 120) -> None:
        """Waits until the header shows at least this step."""
        script = (
            "wanted => Number(/step (\\d+)\\//.exec(document.querySelector('.u-part').innerText)?.[1] ?? 0) >= wanted"
        )
        self.page.wait_for_function(script, arg=step, timeout=seconds * 1000)

    def curve_points(self) -> int:
        """How many points the reward curve has."""
        paths = self.page.locator('[aria-label="reward by step"] path.line').all()
        return max((len((path.get_attribute("d") or "").split("L")) for path in paths), default=0)


class SamplePage:
    """A picture's page with its unmasking replay."""

    def __init__(self, page: Page) -> None:
        self.page = page
        expect(page.locator(".u-player")).to_be_visible()

    def scrub_to(self, step: int) -> None:
        """Moves the slider to a step, counted from 1."""
        self.page.locator(".u-player input[type=range]").fill(str(step - 1))

    def press(self, key: str) -> None:
        """Presses a key."""
        self.page.keyboard.press(key)

    def caption(self) -> str:
        """What stands over the picture."""
        return self.page.locator(".u-replay strong").first.inner_text()

    def grid(self) -> str:
        """The token grid's pixels."""
        return str(self.page.locator(".u-replay canvas[tabindex]").evaluate("canvas => canvas.toDataURL()"))


class RatingPage:
    """A rater's page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def wait_for_pair(self) -> None:
        """Waits until two pictures are shown."""
        expect(self.page.locator(".u-rate-side img")).to_have_count(2)

    def pair(self) -> str:
        """What tells one pair on screen from another: the addresses of its two decoded pictures."""
        return str(
            self.page.evaluate("[...document.querySelectorAll('.u-rate-side img')].map(each => each.src).join()")
        )

    def press(self, key: str) -> None:
        """Presses a key on a pair and waits for whatever comes next."""
        shown = self.pair()
        self.page.keyboard.press(key)
        self.wait_for_other_than(shown)

    def wait_for_other_than(self, shown: str) -> None:
        """Waits until that pair is no longer on screen."""
        script = "old => [...document.querySelectorAll('.u-rate-side img')].map(each => each.src).join() !== old"
        self.page.wait_for_function(script, arg=shown)

    def expect_sent(self) -> None:
        """Waits until nothing of this rater's is kept in the browser any more."""
        script = "() => Object.keys(localStorage).every(key => !key.startsWith('unmask-rating/'))"
        self.page.wait_for_function(script)

    def num_waiting(self) -> int:
        """How many votes the browser keeps until they are acknowledged."""
        return int(
            self.page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('unmask-rating/')).length")
        )
