"""The page follows a build by itself, whatever becomes of the connection."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.stage import Stage
from tests.browser.visitors import OUTAGE, Visitors
from tests.e2e.proxy import Way, way_to
from tests.e2e.yard import shell

pytestmark = pytest.mark.e2e

CUTS = 50
# Notes what the pill says, and tells the page when it may try again, so that no test waits for a pause.
WATCH_PILL = """() => {
    const pill = document.querySelector(".pill");
    window.said = [];
    new MutationObserver(() => {
        said.push(pill.dataset.state);
        if (pill.dataset.state === "reconnecting") dispatchEvent(new Event("online"));
    }).observe(pill, { attributeFilter: ["data-state"] });
}"""
IS_BACK = """(cuts) => said.filter((state) => state === "reconnecting").length >= cuts
    && said.at(-1) !== "reconnecting" """


def job(page: Page, name: str) -> Locator:
    """The row of a job."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def test_a_build_is_followed_from_before_its_start(stage: Stage, visitors: Visitors) -> None:
    """The list was open before there was a build; rows, numbers, title and pill change without a click."""
    stage.do(stage.farm.coordinator)
    page = visitors.open(stage.url)
    pill = page.locator(".pill")
    expect(page.get_by_text("No build yet")).to_be_visible()
    expect(pill).to_have_text("live")
    graph = stage.farm.graph()
    first = shell(graph, "first", "echo one", stage.yard.gate("one"))
    shell(graph, "second", stage.yard.gate("two"), deps=[first])
    build = stage.build("watched", graph)
    entry = page.get_by_role("listitem").filter(has_text="watched")
    expect(entry).to_contain_text("running")
    expect(entry).to_contain_text("0 of 2")

    entry.get_by_role("link").click()
    expect(page).to_have_title("◐ watched running \u2013 Terzetto")
    expect(pill).to_have_text("live")
    expect(job(page, "first")).to_contain_text("queued")
    stage.do(stage.farm.worker, "w1")
    expect(job(page, "first")).to_contain_text("running")
    expect(job(page, "first")).to_contain_text("w1")
    expect(job(page, "second")).to_contain_text("blocked")
    stage.yard.open("one")
    expect(job(page, "first")).to_contain_text("succeeded")
    expect(job(page, "second")).to_contain_text("running")
    expect(page.locator(".head")).to_contain_text("1 of 2 jobs done · 1 running")
    stage.yard.open("two")
    expect(pill).to_have_text("ended")
    expect(page).to_have_title("✓ watched succeeded \u2013 Terzetto")
    expect(page.locator(".head")).to_contain_text("2 of 2 jobs done")
    page.keyboard.type("gb")
    expect(entry).to_contain_text("2 of 2")
    assert stage.ended(build) == "succeeded"


def test_a_connection_that_is_cut_fifty_times_costs_nothing(stage: Stage, visitors: Visitors) -> None:
    """Jobs end during each cut; in the end all is as the coordinator has it, each record taken once."""
    visitors.expect(OUTAGE)
    stage.do(stage.farm.coordinator)
    stage.do(stage.farm.worker, "w1")
    way: Way = stage.enter(way_to(stage.url))
    graph, yard = stage.farm.graph(), stage.yard
    for number in range(CUTS):
        shell(graph, f"job-{number}", yard.gate(f"gate-{number}"))
    build = stage.build("cut", graph)
    page = visitors.open(f"{way.url}/#/b/{build}?job=-")
    expect(page.locator(".pill")).to_have_text("live")
    expect(page.get_by_role("slider")).to_be_enabled()
    page.evaluate(WATCH_PILL)
    for number in range(CUTS):
        stage.do(way.cut)
        yard.open(f"gate-{number}")
        page.wait_for_function(IS_BACK, arg=number + 1)
    assert stage.ended(build) == "succeeded"
    expect(page.locator(".pill")).to_have_text("ended")
    expect(page.get_by_role("button", name=f"succeeded {CUTS}")).to_be_visible()
    expect(page.locator(".head")).to_contain_text(f"{CUTS} of {CUTS} jobs done")

    records = stage.do(stage.farm.records, build)
    slider = page.get_by_role("slider")
    expect(slider).to_have_attribute("aria-valuemax", str(len(records)))
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".past-banner")).to_contain_text("✓ as in the coordinator's log")
    expect(page).to_have_url(re.compile(rf"at={records[-1]['position']}\b"))
