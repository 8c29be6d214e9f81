"""What others call things and print is text: nothing of it runs, and nothing else on the page moves."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.gallery import Gallery
from tests.browser.hostile import BUILD, NAMES, shown
from tests.browser.visitors import HEIGHT, NARROW, WIDE, Visitors

pytestmark = pytest.mark.e2e


def check_layout(page: Page) -> None:
    """Nothing sticks out, and the page still says where it belongs."""
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelector('h1').getBoundingClientRect().height") < 200


def test_names_are_text(gallery: Gallery, visitors: Visitors) -> None:
    """Each is shown as it is, in a row as high as all others, in the panel and in the list."""
    page = visitors.open(gallery.of(gallery.hostile))
    rows = page.locator(".rows .row")
    expect(rows).to_have_count(len(NAMES))
    assert page.locator(".rows .name bdi").all_text_contents() == [shown(name) for name in NAMES]
    heights = rows.evaluate_all("(rows) => rows.map((row) => row.getBoundingClientRect().height)")
    assert len(set(heights)) == 1
    for name in NAMES:
        page.locator(".rows .row").nth(NAMES.index(name)).get_by_role("link").click()
        expect(page.locator("#job-name bdi")).to_have_text(shown(name), use_inner_text=False)
        assert page.locator("#job-name bdi").text_content() == shown(name)
    check_layout(page)
    page.keyboard.press("Escape")
    page.keyboard.type("gb")
    entry = page.get_by_role("listitem").filter(has_text="<script>")
    expect(entry).to_be_visible()
    assert entry.locator("bdi").text_content() == shown(BUILD)
    check_layout(page)
    assert page.title() == "builds \u2013 Terzetto"


def test_output_is_text(gallery: Gallery, visitors: Visitors) -> None:
    """Markup is shown, control sequences are not there, and the title is the page's own."""
    page = visitors.open(gallery.of(gallery.hostile))
    output = page.get_by_label("Output", exact=True)
    expect(output).to_contain_text("<script>document.title='owned'</script>")
    expect(output).to_contain_text("link")
    text = output.text_content() or ""
    assert not [char for char in text if (ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160]
    assert output.locator("a, script, img").count() == 0
    assert page.title() == f"✗ {shown(BUILD)} failed \u2013 Terzetto"
    check_layout(page)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_every_tab_bears_it(gallery: Gallery, visitors: Visitors, width: int) -> None:
    """Whatever a tab does with names, it stays in its place."""
    page = visitors.open(gallery.of(gallery.hostile, "job=-"), width=width)
    tabs = page.get_by_role("tab")
    expect(tabs.first).to_be_visible()
    for tab in tabs.all():
        tab.click()
        expect(tab).to_have_attribute("aria-selected", "true")
        expect(page.get_by_role("tabpanel")).not_to_be_empty()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.title() == f"✗ {shown(BUILD)} failed \u2013 Terzetto"
