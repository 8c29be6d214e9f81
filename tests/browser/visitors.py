"""Browsers as people have them, in which nothing that the page does wrong goes unnoticed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, sync_playwright

# Bounds, not measurements.
SECONDS = 30.0

CHROMIUM = "/usr/bin/chromium-headless-shell"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE, NARROW = 1280, 320
HEIGHT = 900
# For people to look at; git ignores them.
SCREENSHOTS = Path(__file__).parents[1] / "screenshots"
Scheme = Literal["light", "dark"]
# The policy's verdicts would else be seen by those only who look.
WATCH = """addEventListener("securitypolicyviolation", (event) =>
    console.error(`against the policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`))"""
# What the browser itself says about a coordinator that is away, or that refuses.
OUTAGE = r"net::ERR_|WebSocket connection to "
REFUSAL = r"Failed to load resource: the server responded with a status of 4"
# Also of one that was left before it was there, as a page is that nobody waits for.
LEFT = r"WebSocket is closed before the connection is established"


@contextmanager
def chromium() -> Iterator[Browser]:
    """One browser process, which any number of visitors share."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


class Visitors:
    """Opens pages, each in a context of its own, and keeps what went wrong in any of them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._expected = [LEFT]
        self._troubles: list[str] = []

    def open(
        self,
        url: str,
        *,
        width: int = WIDE,
        scheme: Scheme = "light",
        scripts: bool = True,
    ) -> Page:
        """A new visitor with an address."""
        context = self._browser.new_context(
            viewport={"width": width, "height": HEIGHT}, color_scheme=scheme, java_script_enabled=scripts
        )
        self._contexts.append(context)
        context.set_default_timeout(SECONDS * 1000)
        context.add_init_script(WATCH)
        return self._page(context, url)

    def beside(self, page: Page, url: str) -> Page:
        """The same visitor opens another page."""
        return self._page(page.context, url)

    def expect(self, pattern: str) -> None:
        """The browser will complain like that, and the test knows why."""
        self._expected.append(pattern)

    def leave(self) -> None:
        """Close all of it; AssertionError if anything went wrong that was not expected."""
        for context in self._contexts:
            context.close()
        troubles = [
            text for text in self._troubles if not any(re.search(one, text) for one in self._expected)
        ]
        assert not troubles, "\n".join(troubles)

    def _page(self, context: BrowserContext, url: str) -> Page:
        page = context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self._troubles.append(f"uncaught: {error}"))
        page.on("dialog", self._asked)
        page.goto(url)
        return page

    def _asked(self, dialog: Dialog) -> None:
        self._troubles.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._troubles.append(f"{message.type}: {message.text}")
