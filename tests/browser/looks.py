"""What must hold wherever the page is, however it looks: light and dark, wide and narrow."""

from collections.abc import Iterator

from playwright.sync_api import Page

from tests.browser.axe import CONTRAST, GUIDELINES, violations
from tests.browser.visitors import HEIGHT, NARROW, SCREENSHOTS, WIDE, Scheme

# What axe finds besides contrast does not depend on the colours.
SCHEMES: tuple[tuple[Scheme, list[str]], ...] = (("light", GUIDELINES), ("dark", CONTRAST))


def faults(page: Page, name: str) -> list[str]:
    """What is wrong with the page as it stands; leaves pictures of it under this name."""
    return list(_faults(page, name))


def _faults(page: Page, name: str) -> Iterator[str]:
    for scheme, rules in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        for width in (WIDE, NARROW):
            page.set_viewport_size({"width": width, "height": HEIGHT})
            page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}-{width}.png", animations="disabled")
            yield from (f"{scheme}, {width} px: {each}" for each in violations(page, rules))
            if page.evaluate("document.documentElement.scrollWidth") > width:
                yield f"{scheme}: scrolls sideways at {width} px"
