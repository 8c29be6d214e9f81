"""What every crash test starts from: a cradle for coordinators, shared by all."""

import logging
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import structlog

from tests.crash.cradle import Cradle
from tests.crash.tracing import may_trace

TOLD = "told"


@pytest.fixture(scope="session")
def cradle() -> Iterator[Cradle]:
    """Its imports run while the first test still prepares."""
    cradle = Cradle()
    yield cradle
    cradle.close()


@pytest.fixture(autouse=True)
def quiet(fresh_logging: None) -> None:
    """Peers that lose their coordinator a hundred times have nothing to tell."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


@pytest.fixture(scope="session")
def strace() -> None:
    """For tests that have the kernel make mistakes."""
    if not may_trace():
        pytest.skip("processes cannot be traced here")


@pytest.fixture(scope="session")
def soak(request: pytest.FixtureRequest) -> bool:
    """Is there time to try everything? Otherwise it is a part, chosen by chance but always the same."""
    return bool(request.config.getoption("--soak"))


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Adds a line to the end of the report, whichever process the test runs in."""
    return partial(record_property, TOLD)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.getreports("passed"):
        for name, line in report.user_properties:
            if name == TOLD:
                terminalreporter.write_line(line)
