"""Options and settings for all tests."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import structlog

# The stories' own asserts tell what was different, too.
pytest.register_assert_rewrite("tests.events.story")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` rewrites what golden logs add up to; the logs themselves are never rewritten."""
    parser.addoption("--update-golden", action="store_true", help="rewrite the states of golden logs")


@pytest.fixture(autouse=True)
def fresh_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that configures logging, as the commands do, leaves the other tests theirs.

    Loggers that are cached on first use could not be reconfigured, so here none is.
    """
    monkeypatch.setattr(structlog, "configure", partial(_configure, structlog.configure))
    yield
    structlog.reset_defaults()


def _configure(really: Callable[..., None], **choices: Any) -> None:
    really(**{**choices, "cache_logger_on_first_use": False})
