"""Nobody is shut out: WCAG 2.2 AA as axe-core checks it, on every page and in every state of it."""

from collections.abc import Callable

import pytest
from attrs import frozen
from playwright.sync_api import Page, expect

from tests.browser.gallery import Gallery
from tests.browser.looks import faults
from tests.browser.visitors import REFUSAL, Visitors

pytestmark = pytest.mark.e2e


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


def _wait_for_verdict(page: Page) -> None:
    expect(page.locator(".past-banner .same")).to_be_visible()


def _open_record(page: Page) -> None:
    page.locator(".events .row a").nth(2).click()
    expect(page.locator(".inspector")).to_be_visible()


VIEWS = {
    "builds": View(lambda g: g.url, ".cards"),
    "builds-none-fits": View(lambda g: f"{g.url}/#/?q=none", ".nothing"),
    "workers": View(lambda g: f"{g.url}/#/workers", "table.plain"),
    "succeeded": View(lambda g: g.of(g.good, "job=-"), ".rows .row"),
    "log": View(lambda g: f"{g.url}/#/events", ".events .row a", _open_record),
    "failed": View(lambda g: g.of(g.bad), ".failure .last-lines", _open_commands),
    "events": View(lambda g: g.of(g.bad, "tab=events"), ".events .row a", _open_record),
    "events-hostile": View(lambda g: g.of(g.hostile, "tab=events&job=-"), ".events .row a"),
    "output": View(lambda g: g.of(g.wordy, "tab=output&find=line&line=3-5&wrap=1"), ".line.chosen"),
    "output-hostile": View(lambda g: g.of(g.hostile, "tab=output"), ".line"),
    "output-none": View(lambda g: g.of(g.good, "tab=output&out=stderr"), ".nothing"),
    "gantt": View(lambda g: g.of(g.bad, "tab=gantt&rows=job&idle=yes"), "canvas[aria-label^='Gantt chart']"),
    "gantt-table": View(lambda g: g.of(g.bad, "tab=gantt&as=table"), ".rows .row"),
    "gantt-hostile": View(lambda g: g.of(g.hostile, "tab=gantt&rows=job&job=-"), "canvas"),
    "graph": View(lambda g: g.of(g.bad, "tab=graph"), "canvas[aria-label^='Graph'][aria-busy=false]"),
    "graph-list": View(lambda g: g.of(g.bad, "tab=graph&as=table"), ".sides"),
    "grouped": View(lambda g: g.of(g.good, "group=worker&job=-&sort=-ran"), ".group"),
    "running": View(lambda g: g.of(g.held), ".rows .state[data-state=running]", _ask_to_cancel),
    "past": View(lambda g: g.of(g.bad, f"at={g.position(g.bad) - 9}"), ".past-banner", _wait_for_verdict),
    "hostile": View(lambda g: g.of(g.hostile), ".failure"),
    "not-found": View(lambda g: g.of("00" * 20), "[role=alert]"),
    "keys": View(lambda g: g.of(g.good), ".rows .row", _open_keys),
}


@pytest.mark.parametrize("name", VIEWS)
def test_no_view_violates_the_guidelines(gallery: Gallery, visitors: Visitors, name: str) -> None:
    if name == "not-found":
        visitors.expect(REFUSAL)
    view = VIEWS[name]
    page = visitors.open(view.address(gallery))
    expect(page.locator(view.sign).first).to_be_visible()
    view.act(page)
    found = faults(page, name)
    assert not found, "\n".join(found)
