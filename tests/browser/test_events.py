"""Records: what each came of and changed, and its moment; all of them, live, whole and unaltered."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.gallery import Gallery
from tests.browser.visitors import Visitors

pytestmark = pytest.mark.e2e


def test_from_a_failure_back_to_what_led_to_it(gallery: Gallery, visitors: Visitors) -> None:
    """The chain ends where the build began; any of it can be looked at, and so can its moment."""
    page = visitors.open(gallery.of(gallery.bad, "tab=events&type=JobFailed"))
    records = page.get_by_role("table", name="Records").get_by_role("row")
    expect(records).to_have_count(2)  # with the heads
    records.nth(1).get_by_role("link").click()
    record = page.get_by_role("complementary")
    expect(record.get_by_role("heading", name="JobFailed")).to_be_visible()
    expect(record.locator(".changes")).to_contain_text(re.compile("running\\s*→\\s*failed"))
    led = record.locator(".causes li")
    expect(led.nth(0)).to_contain_text("JobLeased")
    expect(led.last).to_contain_text("BuildStarted")
    led.nth(0).get_by_role("link").click()
    expect(record.get_by_role("heading", name="JobLeased")).to_be_visible()
    record.get_by_role("link", name="View this moment").click()
    expect(page.locator(".past-banner")).to_contain_text("as in the coordinator")
    expect(page.locator("h1")).to_contain_text("running")


def test_records_by_keys(gallery: Gallery, visitors: Visitors) -> None:
    """j and Enter open one, Esc closes it and gives the focus back; the search narrows them down."""
    page = visitors.open(gallery.of(gallery.bad, "tab=events"))
    records = page.get_by_role("table", name="Records").get_by_role("row")
    expect(records.nth(1)).to_contain_text("BuildStarted")
    page.keyboard.press("j")
    expect(records.nth(1).get_by_role("link")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary").get_by_role("heading", name="BuildStarted")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("complementary")).to_have_count(0)
    expect(records.nth(1).get_by_role("link")).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.type("exit_code 3")
    expect(records).to_have_count(2)
    expect(records.nth(1)).to_contain_text("test/parser")


def test_the_log_is_shown_live_and_held_against_its_hashes(gallery: Gallery, visitors: Visitors) -> None:
    """What comes is at the top; a record leads to its build; every hash is checked here, not there."""
    page = visitors.open(f"{gallery.url}/#/events?type=WorkersHeard&after=0")
    records = page.get_by_role("table", name="Records").get_by_role("row")
    expect(records.nth(1)).to_contain_text("WorkersHeard")
    newest = int(records.nth(1).get_by_role("link").inner_text().replace("\u202f", ""))
    page.wait_for_function(
        "(newest) => document.querySelector('.events .rows a').textContent.replace(/\\D/g, '') > newest",
        arg=newest,
    )
    page.get_by_role("button", name="Verify").click()
    verdict = page.get_by_role("status").filter(has_text="whole and unaltered up to record")
    expect(verdict).to_be_visible()
    page.get_by_label("type").select_option("BuildFailed")
    expect(records).to_have_count(3)
    records.last.get_by_role("link").click()
    page.get_by_role("link", name="In its build").click()
    expect(page.get_by_role("complementary").get_by_role("heading", name="BuildFailed")).to_be_visible()
    expect(page.locator("h1")).to_contain_text("bad")
