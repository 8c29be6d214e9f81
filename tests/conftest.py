"""Options and settings for all tests."""

import pytest

# The stories' own asserts tell what was different, too.
pytest.register_assert_rewrite("tests.events.story")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` rewrites what golden logs add up to; the logs themselves are never rewritten."""
    parser.addoption("--update-golden", action="store_true", help="rewrite the states of golden logs")
