"""Options and settings for all tests."""

import gc
import os
import re
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.podman import Podman, service
from tests.together import Together

# The stories' own asserts tell what was different, too.
pytest.register_assert_rewrite("tests.events.story")


# How long an example takes says something of the machine, which may be busy with other things.
settings.register_profile(
    "busy", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-golden` rewrites what golden logs add up to; the logs themselves are never rewritten."""
    parser.addoption("--update-golden", action="store_true", help="rewrite the states of golden logs")
    parser.addoption("--soak", action="store_true", help="try every fault there is, for hours if need be")


# A bound, not a measurement: the longest takes a tenth of it.
SECONDS_MAX = 600
README = Path(__file__).parent.parent / "README.md"


class SkipGuard:
    """In continuous integration a test is skipped only for a reason that the README lists."""

    def __init__(self) -> None:
        self.unlisted: list[str] = []
        self._listed = re.findall(r"^\| `([^`]+)` \|", README.read_text(), re.MULTILINE)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            if not any(reason.startswith(listed) for listed in self._listed):
                self.unlisted.append(f"{report.nodeid}: {reason}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unlisted and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self.unlisted:
            terminalreporter.write_line(f"skipped for a reason that the README does not list: {line}")


def _give_up(_number: int, _frame: object) -> None:
    raise TimeoutError(f"the test still runs after {SECONDS_MAX} s")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A test that hangs has failed; the others go on."""
    if item.config.getoption("--soak"):
        return (yield)
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(SECONDS_MAX)
    try:
        return (yield)
    finally:
        signal.alarm(0)


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: looking through it for garbage costs a tenth."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    """For a run in several processes."""
    return Together(config, log)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("CI"):
        config.pluginmanager.register(SkipGuard())


@pytest.fixture(autouse=True)
def fresh_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that configures logging, as the commands do, leaves the other tests theirs.

    Loggers that are cached on first use could not be reconfigured, so here none is.
    """
    monkeypatch.setattr(structlog, "configure", partial(_configure, structlog.configure))
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """One engine for all tests of this process; a test that ends it starts it again."""
    with service() as running:
        yield running


def _configure(really: Callable[..., None], **choices: Any) -> None:
    really(**{**choices, "cache_logger_on_first_use": False})
