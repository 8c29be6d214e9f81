"""Everything can be done without a mouse, and whoever does it sees where they are."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.gallery import Gallery
from tests.browser.visitors import Visitors

pytestmark = pytest.mark.e2e

# More than any page of the gallery has.
STOPS_MAX = 80
# Who has the focus, and whether it is in sight with an outline of at least two pixels.
FOCUS = """() => {
    const at = document.activeElement;
    if (!at || at === document.body) return null;
    const box = at.getBoundingClientRect();
    const looks = [getComputedStyle(at), getComputedStyle(at, "::after")];
    return {
        name: [at.tagName, at.id, at.className, at.ariaLabel ?? at.textContent.trim().slice(0, 40)].join(" "),
        isOutlined: looks.some((look) => look.outlineStyle !== "none" && parseFloat(look.outlineWidth) >= 2),
        isInSight: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.left < innerWidth,
    };
}"""


def press(page: Page, key: str) -> str | None:
    """Where Tab (or back) leads, which must be seen; None if that is out of the page."""
    page.keyboard.press(key)
    stop = page.evaluate(FOCUS)
    if stop is None:
        return None
    assert stop["isOutlined"], f"no outline: {stop['name']}"
    assert stop["isInSight"], f"out of sight: {stop['name']}"
    return str(stop["name"])


@pytest.mark.parametrize("is_past", [False, True])
def test_tab_leads_through_the_page_and_out_again(
    gallery: Gallery, visitors: Visitors, is_past: bool
) -> None:
    """Both ways, past the same stops, each of them in sight and outlined."""
    query = f"at={gallery.position(gallery.bad)}" if is_past else ""
    page = visitors.open(gallery.of(gallery.bad, query))
    expect(page.get_by_role("table", name="Jobs")).to_be_visible()
    expect(page.get_by_role("slider")).to_be_enabled()
    expect(page.get_by_label("Output", exact=True)).to_be_visible()
    there: list[str] = []
    while (stop := press(page, "Tab")) is not None:
        there.append(stop)
        assert len(there) < STOPS_MAX, f"no way out after {there[-10:]}"
    assert "Skip to the content" in there[0]
    assert [press(page, "Shift+Tab") for _ in there] == there[::-1]


def test_the_skip_link_leads_past_the_head(gallery: Gallery, visitors: Visitors) -> None:
    page = visitors.open(gallery.of(gallery.good))
    expect(page.get_by_role("table", name="Jobs")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Copy link")).to_be_focused()


def test_keys_lead_from_page_to_page(gallery: Gallery, visitors: Visitors) -> None:
    page = visitors.open(gallery.url)
    expect(page.get_by_role("heading", name="Builds", level=1)).to_be_visible()
    page.keyboard.type("gw")
    expect(page.get_by_role("heading", name="Workers", level=1)).to_be_visible()
    page.keyboard.type("gb")
    expect(page.get_by_role("heading", name="Builds", level=1)).to_be_visible()
    page.get_by_role("link", name="good").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="good", level=1)).to_be_visible()


def test_the_jobs_by_keys(gallery: Gallery, visitors: Visitors) -> None:
    """j and k walk the rows, Enter opens, Esc closes and gives the focus back, f finds the failure."""
    page = visitors.open(gallery.of(gallery.bad, "job=-"))
    panel = page.get_by_role("complementary")
    expect(page.get_by_role("table", name="Jobs")).to_be_visible()
    expect(panel).to_have_count(0)
    for key, name in ("j", "compile/parser"), ("j", "test/parser"), ("j", "report"), ("k", "test/parser"):
        page.keyboard.press(key)
        expect(page.get_by_role("link", name=name, exact=True)).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(panel.get_by_role("heading", name="compile/parser")).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(page.get_by_role("link", name="compile/parser", exact=True)).to_be_focused()
    page.keyboard.press("f")
    expect(panel.get_by_role("heading", name="test/parser")).to_be_visible()


def test_the_filter_by_keys(gallery: Gallery, visitors: Visitors) -> None:
    """/ leads into it, what is typed there is text, and Esc leads out."""
    page = visitors.open(gallery.of(gallery.bad))
    expect(page.get_by_role("table", name="Jobs")).to_be_visible()
    page.keyboard.press("/")
    field = page.get_by_role("searchbox")
    expect(field).to_be_focused()
    page.keyboard.type("jobs? l t")
    expect(field).to_have_value("jobs? l t")
    expect(page.get_by_text("No job is like that.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(field).not_to_be_focused()
    expect(page).to_have_url(re.compile(r"[?&]q=jobs%3F\+l\+t"))


def test_time_by_keys(gallery: Gallery, visitors: Visitors) -> None:
    """Record by record, from failure to failure, at play, and back to now."""
    page = visitors.open(gallery.of(gallery.bad))
    live, banner = page.get_by_title("Back to now (l)"), page.locator(".past-banner")
    expect(page.get_by_role("button", name="Play")).to_be_enabled()
    page.keyboard.press("ArrowLeft")
    expect(banner).to_contain_text("Viewing the past")
    expect(banner).to_contain_text("✓ as in the coordinator's log")
    expect(live).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("l")
    expect(banner).to_have_count(0)
    # The last that went wrong is that the build failed; what went wrong before is why it did.
    title, row = (
        page.get_by_role("heading", level=1),
        page.get_by_role("row").filter(has=page.get_by_role("link", name="test/parser", exact=True)),
    )
    page.keyboard.press("[")
    page.keyboard.press("[")
    expect(title).to_contain_text("running")
    expect(row).to_contain_text("failed")
    page.keyboard.press("ArrowLeft")
    expect(row).to_contain_text("running")
    page.keyboard.press("]")
    expect(row).to_contain_text("failed")
    expect(title).to_contain_text("running")
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    expect(page.get_by_text("This build has no jobs.")).to_be_visible()
    page.keyboard.press(" ")
    expect(title).to_contain_text("failed")


def test_the_scrubber_is_a_slider(gallery: Gallery, visitors: Visitors) -> None:
    """Its value counts records and is said in words."""
    page = visitors.open(gallery.of(gallery.bad))
    slider = page.get_by_role("slider", name="Position in the build's time")
    expect(slider).to_be_enabled()
    last = int(slider.get_attribute("aria-valuemax") or 0)
    assert last > 10
    expect(slider).to_have_attribute("aria-valuenow", str(last))
    expect(slider).to_have_attribute("aria-valuetext", re.compile("^now, .* after the start$"))
    slider.focus()
    said = re.compile(r"^record \d+, .* after the start$")
    for key, value in ("Home", 1), ("ArrowUp", 2), ("ArrowRight", 3), ("ArrowDown", 2), ("PageUp", 1):
        page.keyboard.press(key)
        expect(slider).to_have_attribute("aria-valuenow", str(value))
        expect(slider).to_have_attribute("aria-valuetext", said)
    page.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("^now"))


def test_the_map_of_the_keys(gallery: Gallery, visitors: Visitors) -> None:
    """? opens it, wherever one is; it has the focus until Esc closes it and gives it back."""
    page = visitors.open(gallery.of(gallery.good))
    link = page.get_by_role("link", name="compile/a", exact=True)
    link.focus()
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    expect(keys).to_be_visible()
    expect(keys.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Escape")
    expect(keys).to_have_count(0)
    expect(link).to_be_focused()


def test_the_colours_by_key(gallery: Gallery, visitors: Visitors) -> None:
    """As the system says, light, dark; remembered."""
    page = visitors.open(gallery.url, scheme="dark")
    dark = "rgb(13, 17, 23)"
    expect(page.locator("body")).to_have_css("background-color", dark)
    page.keyboard.press("t")
    expect(page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
    page.keyboard.press("t")
    expect(page.locator("body")).to_have_css("background-color", dark)
    page.reload()
    expect(page.get_by_role("button", name="Colours: dark")).to_be_visible()


def test_the_address_is_copied_by_key(gallery: Gallery, visitors: Visitors) -> None:
    page = visitors.open(gallery.of(gallery.good, "show=succeeded"))
    expect(page.get_by_role("table", name="Jobs")).to_be_visible()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.keyboard.press("c")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.url
