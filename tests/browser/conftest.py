"""What every test in a browser starts from."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.gallery import Gallery, hung
from tests.browser.stage import Stage, staged
from tests.browser.visitors import CHROMIUM, SECONDS, Visitors, chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip("there is no Chromium here")
    expect.set_options(timeout=SECONDS * 1000)
    with chromium() as browser:
        yield browser


@pytest.fixture
def visitors(browser: Browser) -> Iterator[Visitors]:
    """Whatever goes wrong on a page fails the test."""
    visitors = Visitors(browser)
    yield visitors
    visitors.leave()


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    with hung(tmp_path_factory.mktemp("gallery")) as gallery:
        yield gallery


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A farm without any process yet, for tests that change something."""
    with staged(tmp_path) as stage:
        yield stage
