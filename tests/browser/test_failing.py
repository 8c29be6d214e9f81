"""A build has failed: whoever opens its page sees why, and has clicked nothing."""

import pytest
from playwright.sync_api import expect

from tests.browser.gallery import VERDICT, Gallery
from tests.browser.visitors import Visitors

pytestmark = pytest.mark.e2e


def test_the_failing_line_is_in_sight_without_a_click(gallery: Gallery, visitors: Visitors) -> None:
    page = visitors.open(gallery.of(gallery.bad))
    expect(page.locator(".failure .worth").get_by_text(VERDICT)).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("region", name="The last lines on stderr")).to_contain_text(VERDICT)
    expect(page).to_have_title("✗ bad failed \u2013 Terzetto")


def test_what_a_job_printed_is_shown_from_its_end(gallery: Gallery, visitors: Visitors) -> None:
    """Its two streams arrive apart; the last line is in sight when both are there."""
    page = visitors.open(gallery.of(gallery.bad))
    output = page.get_by_label("Output", exact=True)
    expect(output).to_contain_text("test 60 ok")
    expect(output).to_contain_text(VERDICT)
    page.wait_for_function(
        "(box) => box.scrollHeight - box.scrollTop - box.clientHeight < 2", arg=output.element_handle()
    )
