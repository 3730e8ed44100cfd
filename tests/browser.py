"""A real Chromium without a window, whose pages must not complain: of scripts, of what was forbidden, of strangers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.programs import required

SERIOUS = ("serious", "critical")
PHONE, DESK = 360, 1_280
WAIT_S = 30.0


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's, since a download would be another one every month."""
    program = required("chromium", "chromium")
    with sync_playwright() as playwright:
        # Containers lack what Chromium's own sandbox needs; it opens nothing here but our pages.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page that is looked at.

    Args:
        page: of the browser.
        url: where it is from.
        complaints: errors, refusals by the policy, and requests to anywhere else.
    """

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        """What stands in an element."""
        return self.page.locator(selector).inner_text()

    def wait_for(self, condition: str) -> None:
        """Waits until an expression of JavaScript is true.

        Playwright's own waiting evaluates a text within the page, which the page's policy forbids.
        """
        deadline = time.monotonic() + WAIT_S
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, f"never so in {WAIT_S:.0f} s: {condition}"
            self.page.wait_for_timeout(50)

    def barriers(self) -> list[str]:
        """What axe finds that would keep somebody out."""
        found = Axe().run(self.page).response["violations"]
        return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found if each["impact"] in SERIOUS]

    def scrolls_sideways(self) -> bool:
        """Whether the page is wider than the screen."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@contextmanager
def visit(
    browser: Browser,
    url: str,
    path: str = "/",
    *,
    scheme: Literal["light", "dark"] = "light",
    width: int = DESK,
    goes_away: bool = False,
) -> Iterator[Visit]:
    """Opens a page, and fails at the end if it has complained: that the daemon goes away counts where it should not."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    page.set_default_timeout(1000 * WAIT_S)
    made = Visit(page, url)

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not (goes_away and "ERR_CONNECTION_" in message.text):
            made.complaints.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: made.complaints.append(str(error)))
    page.on("request", lambda request: request.url.startswith(url) or made.complaints.append(f"asked {request.url}"))
    page.goto(url + path)
    yield made
    page.close()
    assert made.complaints == []
