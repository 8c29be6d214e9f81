"""All that a job prints, in a browser: from its end, at any line, followed, searched, and never obeyed."""

import re
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.gallery import LINES, Gallery
from tests.browser.visitors import Visitors

pytestmark = pytest.mark.e2e


def job_of(gallery: Gallery, build: str, name: str) -> dict[str, Any]:
    jobs = gallery.stage.do(gallery.stage.farm.api, f"/api/builds/{build}")["jobs"]
    return next(job for job in jobs if job["name"] == name)


def opened(gallery: Gallery, visitors: Visitors, build: str, name: str, query: str = "") -> Page:
    job = job_of(gallery, build, name)["id"]
    return visitors.open(gallery.of(build, f"tab=output&job={job}{query}"))


def line(page: Page, number: int) -> Any:
    """The line of this number, if it is drawn."""
    return page.locator(f'.printed .line[data-line="{number}"] .text')


def test_more_lines_than_a_browser_can_scroll(gallery: Gallery, visitors: Visitors) -> None:
    """From the end, by wheel and key, each with its number; few are in the document."""
    page = opened(gallery, visitors, gallery.wordy, "many")
    expect(line(page, LINES)).to_have_text(f"line {LINES} of many")
    expect(line(page, LINES)).to_be_in_viewport()
    box = page.get_by_role("region", name="stdout of many")
    box.hover()
    page.mouse.wheel(0, -1800)
    expect(line(page, LINES - 101)).to_be_in_viewport()
    expect(line(page, LINES)).not_to_be_in_viewport()
    box.focus()
    page.keyboard.press("Home")
    expect(line(page, 1)).to_have_text("line 1 of many")
    expect(line(page, 1)).to_be_in_viewport()
    page.keyboard.press("PageDown")
    expect(line(page, 1)).not_to_be_in_viewport()
    page.keyboard.press("End")
    expect(line(page, LINES)).to_be_in_viewport()
    page.keyboard.press("/")
    page.keyboard.type(":300000")
    page.keyboard.press("Enter")
    expect(line(page, 300_000)).to_be_in_viewport()
    assert page.locator(".printed .line").count() < 120


def test_an_address_names_lines(gallery: Gallery, visitors: Visitors) -> None:
    """A click chooses one, with Shift up to another; whoever opens the address sees them, and copies them."""
    page = opened(gallery, visitors, gallery.wordy, "many")
    page.get_by_label(f"Line {LINES - 5}", exact=True).click()
    page.get_by_label(f"Line {LINES - 3}", exact=True).click(modifiers=["Shift"])
    page.wait_for_url(re.compile(f"line={LINES - 5}-{LINES - 3}"))
    other = visitors.open(page.url)
    expect(other.locator(".line.chosen")).to_have_count(3)
    expect(line(other, LINES - 5)).to_be_in_viewport()
    other.context.grant_permissions(["clipboard-read", "clipboard-write"])
    other.get_by_role("button", name="Copy 3 lines").click()
    expect(other.get_by_text("3 lines copied").first).to_be_attached()
    copied = "".join(f"line {LINES - back} of many\n" for back in (5, 4, 3))
    assert other.evaluate("navigator.clipboard.readText()") == copied


def test_a_text_is_found_in_all_of_it(gallery: Gallery, visitors: Visitors) -> None:
    """Counted by the coordinator, marked in the line, and walked through with n and N, round the ends."""
    page = opened(gallery, visitors, gallery.wordy, "many", "&find=LINE+12345")
    found = [12_345, *range(123_450, 123_460)]
    expect(page.locator(".found")).to_have_text(str(len(found)))
    for key, number in (("n", found[0]), ("n", found[1]), ("N", found[0]), ("N", found[-1])):
        page.keyboard.press(key)
        expect(page.locator(".line.current")).to_have_attribute("data-line", str(number))
        expect(line(page, number).locator("mark")).to_have_text("line 12345")
    expect(page.locator(".found")).to_have_text(f"{len(found)} of {len(found)}")


def test_output_is_shown_and_not_obeyed(gallery: Gallery, visitors: Visitors) -> None:
    """Colours are kept; no script runs, no title changes, nothing is hidden, no rule is broken."""
    page = opened(gallery, visitors, gallery.wordy, "hostile")
    shown = (
        *("a title", "a link and more", "a move"),
        "<img src=x onerror=document.title=1><script>document.title=2</script>",
        *("red on blue plain", "\u21bb2 100% done", "\u2039202E\u203areversed", "\ufffd\u2400\u2408broken"),
    )
    for number, text in enumerate(shown, start=1):
        expect(line(page, number)).to_have_text(text, use_inner_text=True)
    expect(page).to_have_title(re.compile("wordy succeeded"))
    assert page.locator(".printed :is(img, script, a:not(.no))").count() == 0
    blue = page.get_by_text("on blue").evaluate("(span) => getComputedStyle(span).backgroundColor")
    assert blue == "rgb(0, 0, 255)"


def test_what_comes_is_followed_until_one_scrolls_away(gallery: Gallery, visitors: Visitors) -> None:
    """And again when one comes back to the end."""
    lease = job_of(gallery, gallery.held, "long/a")["lease"]
    printed = 0

    def say(first: int, last: int) -> None:
        nonlocal printed
        data = "".join(f"said {number}\n" for number in range(first, last + 1)).encode()
        target = f"{gallery.url}/api/leases/{lease}/output?stream=stderr&offset={printed}"
        with urllib.request.urlopen(urllib.request.Request(target, data, method="POST")) as answer:
            assert answer.status == 200
        printed += len(data)

    say(1, 200)
    page = opened(gallery, visitors, gallery.held, "long/a", "&out=stderr")
    expect(line(page, 200)).to_be_in_viewport()
    say(201, 300)
    expect(line(page, 300)).to_be_in_viewport()
    page.get_by_role("region", name="stderr of long/a").hover()
    page.mouse.wheel(0, -400)
    expect(line(page, 300)).not_to_be_in_viewport()
    say(301, 400)
    more = page.get_by_role("button", name="100 new lines")
    expect(more).to_be_visible()
    expect(line(page, 400)).to_have_count(0)
    more.click()
    expect(line(page, 400)).to_be_in_viewport()
    say(401, 402)
    expect(line(page, 402)).to_be_in_viewport()


def test_from_the_failure_to_its_line(gallery: Gallery, visitors: Visitors) -> None:
    """One click from the card; one key from anywhere in the output."""
    page = visitors.open(gallery.of(gallery.bad))
    page.locator(".failure .worth").get_by_role("link").click()
    current = page.locator(".line.current")
    expect(current).to_contain_text("AssertionError: 3 != 4")
    page.get_by_role("button", name=re.compile("^stdout")).click()
    expect(line(page, 60)).to_have_text("test 60 ok")
    expect(page.get_by_text("First error, stderr line 1")).to_be_visible()
    page.keyboard.press("e")
    expect(current).to_contain_text("AssertionError: 3 != 4")
