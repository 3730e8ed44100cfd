"""A real headless Chromium; pages must have no script errors, no policy violations and no requests to other hosts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.patience import PATIENCE_S
from tests.programs import required

SERIOUS = ("serious", "critical")
PHONE, DESK = 360, 1_280


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium: downloading a browser would test a different one every month."""
    program = required("chromium", "chromium")
    with sync_playwright() as playwright:
        # Containers lack what Chromium's own sandbox needs; it opens only our pages here.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Visit:
    """An open page.

    Args:
        page: the browser's page.
        url: the address of the site.
        complaints: script errors, violations of the content security policy, and requests to other hosts.
    """

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        """The text of an element."""
        return self.page.locator(selector).inner_text()

    def wait_for(self, condition: str) -> None:
        """Wait until a JavaScript expression is true.

        Playwright's own waiting evaluates a string within the page, which the page's policy forbids.
        """
        deadline = time.monotonic() + PATIENCE_S
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, f"not true within {PATIENCE_S:.0f} s: {condition}"
            self.page.wait_for_timeout(50)

    def barriers(self) -> list[str]:
        """The accessibility violations that axe finds serious or critical."""
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
    """Open a page, and fail at the end if it has complained; lost connections count unless the daemon `goes_away`."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    page.set_default_timeout(1000 * PATIENCE_S)
    opened = Visit(page, url)

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not (goes_away and "ERR_CONNECTION_" in message.text):
            opened.complaints.append(message.text)

    page.on("console", on_console)
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    page.on(
        "request", lambda request: request.url.startswith(url) or opened.complaints.append(f"requested {request.url}")
    )
    page.goto(url + path)
    yield opened
    page.close()
    assert opened.complaints == []
