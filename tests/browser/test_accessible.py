"""Nobody is shut out: WCAG 2.2 AA as axe-core checks it, on every page, light and dark, wide and narrow."""

from collections.abc import Callable
from typing import Literal

import pytest
from attrs import frozen
from playwright.sync_api import Page, expect

from tests.browser.axe import CONTRAST, GUIDELINES, violations
from tests.browser.gallery import Gallery
from tests.browser.visitors import HEIGHT, NARROW, REFUSAL, WIDE, Visitors

pytestmark = pytest.mark.e2e

SCHEMES: tuple[tuple[Literal["light", "dark"], list[str]], ...] = (("light", GUIDELINES), ("dark", CONTRAST))


@frozen
class View:
    """Something to see: its address, what says that it is there, and what to do then."""

    address: Callable[[Gallery], str]
    sign: str
    act: Callable[[Page], None] = lambda _page: None


def _ask_to_cancel(page: Page) -> None:
    page.get_by_role("button", name="Cancel build").click()
    expect(page.get_by_role("alertdialog")).to_be_visible()


def _open_keys(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()


def _open_commands(page: Page) -> None:
    page.get_by_text("1 command").click()


def _open_record(page: Page) -> None:
    page.locator(".events .row a").nth(2).click()
    expect(page.locator(".inspector")).to_be_visible()


VIEWS = {
    "builds": View(lambda g: g.url, ".cards"),
    "no such build in the list": View(lambda g: f"{g.url}/#/?q=none", ".nothing"),
    "workers": View(lambda g: f"{g.url}/#/workers", "table.plain"),
    "log": View(lambda g: f"{g.url}/#/events", ".events .row a", _open_record),
    "failed": View(lambda g: g.of(g.bad), ".failure .last-lines", _open_commands),
    "output": View(lambda g: g.of(g.wordy, "tab=output&find=line&line=3-5&wrap=1"), ".line.chosen"),
    "events": View(lambda g: g.of(g.bad, "tab=events"), ".events .row a", _open_record),
    "no output": View(lambda g: g.of(g.good, "tab=output&out=stderr"), ".nothing"),
    "grouped": View(lambda g: g.of(g.good, "group=worker&job=-&sort=-ran"), ".group"),
    "running": View(lambda g: g.of(g.held), ".state[data-state=running]", _ask_to_cancel),
    "gantt": View(lambda g: g.of(g.bad, "tab=gantt&rows=job&idle=yes"), "canvas[aria-label^='Gantt chart']"),
    "gantt as a table": View(lambda g: g.of(g.bad, "tab=gantt&as=table"), ".rows .row"),
    "graph": View(lambda g: g.of(g.bad, "tab=graph"), "canvas[aria-label^='Graph'][aria-busy=false]"),
    "graph as a list": View(lambda g: g.of(g.bad, "tab=graph&as=table"), ".sides"),
    "the past": View(lambda g: g.of(g.bad, f"at={g.position(g.bad)}"), ".past-banner"),
    "not found": View(lambda g: g.of("00" * 20), "[role=alert]"),
    "keys": View(lambda g: g.of(g.good), ".row", _open_keys),
}


@pytest.mark.parametrize("name", VIEWS)
def test_no_page_violates_the_guidelines(gallery: Gallery, visitors: Visitors, name: str) -> None:
    visitors.expect(REFUSAL if name == "not found" else "^$")
    view = VIEWS[name]
    page = visitors.open(view.address(gallery))
    expect(page.locator(view.sign).first).to_be_visible()
    view.act(page)
    found = []
    for scheme, rules in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        for width in (WIDE, NARROW):
            page.set_viewport_size({"width": width, "height": HEIGHT})
            found += [f"{scheme}, {width} px: {each}" for each in violations(page, rules)]
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (
                f"scrolls sideways at {width} px"
            )
    assert not found, "\n".join(found)
