"""What is drawn can be reached by hand and by keys, tells what it shows, and is there to be read as well."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.gallery import Gallery
from tests.browser.visitors import Visitors

pytestmark = pytest.mark.e2e

# Pixels between two looks; bars of the gallery's builds are wider.
STEP = 12


def said(page: Page, text: str) -> None:
    expect(page.locator("[aria-live=polite]")).to_contain_text(text)


def found(page: Page, canvas: Locator, text: str) -> bool:
    """Move over the topmost row until the card tells of it."""
    box = canvas.bounding_box()
    assert box
    for x in range(0, int(box["width"]), STEP):
        page.mouse.move(box["x"] + x, box["y"] + 40)
        if page.locator(".card", has_text=text).count():
            return True
    return False


def test_the_gantt_chart_by_keys(gallery: Gallery, visitors: Visitors) -> None:
    """Its keys zoom and move it, and do not lead into the past; j and k walk, Enter chooses."""
    page = visitors.open(gallery.of(gallery.bad, "tab=gantt&job=-"))
    chart = page.get_by_role(
        "img", name=re.compile("^Gantt chart: 2 attempts on 1 worker .* critical path has 2")
    )
    chart.focus()
    page.keyboard.type("ww")
    expect(page).to_have_url(re.compile("span="))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("0")
    expect(page).not_to_have_url(re.compile("span=|at="))
    page.keyboard.press("j")
    said(page, "compile/parser, succeeded, on w1")
    page.keyboard.press("j")
    said(page, "test/parser, failed, on w1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary").get_by_role("heading", name="test/parser")).to_be_visible()


def test_the_gantt_chart_by_hand(gallery: Gallery, visitors: Visitors) -> None:
    """Who points at a bar is told what it is; a click chooses its job; the wheel zooms."""
    page = visitors.open(gallery.of(gallery.bad, "tab=gantt&job=-"))
    chart = page.get_by_role("img", name=re.compile("^Gantt chart: 2 attempts"))
    # What stands above the chart is complete: nothing moves under the hand any more.
    expect(page.get_by_role("region", name="The last lines on stderr")).to_be_visible()
    assert found(page, chart, "test/parser")
    expect(page.locator(".card")).to_contain_text("on the critical path")
    page.mouse.wheel(0, -200)
    expect(page).to_have_url(re.compile("span="))
    page.get_by_role("button", name="Fit").click()
    expect(page).not_to_have_url(re.compile("span="))
    assert found(page, chart, "test/parser")
    page.mouse.down()
    page.mouse.up()
    expect(page.get_by_role("complementary").get_by_role("heading", name="test/parser")).to_be_visible()


def test_the_gantt_chart_to_be_read(gallery: Gallery, visitors: Visitors) -> None:
    """The same attempts as a table, and at a moment of the past those alone that had begun."""
    page = visitors.open(gallery.of(gallery.bad, "tab=gantt&job=-"))
    page.get_by_role("button", name="as a table").click()
    table = page.get_by_role("table", name="Attempts")
    expect(table.get_by_role("link")).to_have_text(["compile/parser", "test/parser"])
    expect(table.get_by_role("row").nth(2)).to_contain_text("exit status 3")
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    expect(page.get_by_text("Nothing had run by then.")).to_be_visible()


def test_the_graph_by_keys(gallery: Gallery, visitors: Visitors) -> None:
    """Arrows go along the edges, Enter chooses; Backspace and the rest leave the page's time alone."""
    page = visitors.open(gallery.of(gallery.bad, "tab=graph&job=-"))
    page.get_by_role("img", name=re.compile("^Graph of the jobs: 3 jobs in 3 layers; 1 job failed")).focus()
    for key, told in (
        ("ArrowRight", "compile/parser, succeeded"),
        ("ArrowRight", "test/parser, failed"),
        ("ArrowRight", "report, cancelled"),
        ("ArrowLeft", "test/parser, failed"),
    ):
        page.keyboard.press(key)
        said(page, told)
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary").get_by_role("heading", name="test/parser")).to_be_visible()
    expect(page).not_to_have_url(re.compile("at="))


def test_the_graph_to_be_read(gallery: Gallery, visitors: Visitors) -> None:
    """Whom the chosen job needs, and who needs it, as links."""
    page = visitors.open(gallery.of(gallery.bad, "tab=graph&as=table"))
    expect(page.get_by_label("test/parser needs").get_by_role("link")).to_have_text(
        [re.compile("compile/parser")]
    )
    page.get_by_label("test/parser is needed by").get_by_role("link").click()
    expect(page.get_by_label("report needs").get_by_role("listitem")).to_have_text(
        [re.compile("test/parser"), re.compile("compile/parser *indirectly")]
    )
