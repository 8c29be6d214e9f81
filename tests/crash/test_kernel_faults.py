"""The kernel ends a coordinator at each fsync, or refuses it each fsync and each write, one at a time."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from clients.cli.exits import Exit
from events.ids import LeaseId
from tests.crash.cradle import Cradle, Life
from tests.crash.runs import LOG, Run, goes_on
from tests.crash.tracing import SYNCS, WRITES, Call, Trace, fault, only

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("strace")]

KILLED = -9
DISK_FAILED = "error[TZ-2205]: the disk failed"
# The promise is one second; this is a bound, for machines that are busy with other things.
END_SECONDS = 10.0
# Of the writes to the log, if there is no time for all: a page is two of them, a commit several pages.
CALLS_TRIED = 24


@asynccontextmanager
async def traced(cradle: Cradle, data: Path, *words: str | Path) -> AsyncIterator[tuple[Life, Trace]]:
    """A coordinator that strace looks at, or interferes with; neither is left afterwards."""
    life = cradle.coordinator(data, is_traced=True)
    trace = Trace(life, *words)
    try:
        yield life, trace
    finally:
        await life.kill9()
        trace.detach()


def put_away(data: Path, name: str) -> None:
    """Keep it for whoever has to find out, and let the next run's files have the same names."""
    data.rename(data.with_name(name))


async def rehearsal(cradle: Cradle, data: Path, *names: str) -> list[Call]:
    """Every such call of a run that nothing disturbs; files that are named by chance are left out."""
    run = Run(data)
    async with traced(cradle, data, *only(*names)) as (life, trace):
        assert await run.go(life)
    put_away(data, "rehearsal")
    return [call for call in trace.calls() if LeaseId(call.path.stem) not in run.ledger.given]


async def log_calls(cradle: Cradle, data: Path, names: tuple[str, ...], soak: bool) -> list[Call]:
    """Those for the log's own files; some of them, if there is no time for all."""
    found = [call for call in await rehearsal(cradle, data, *names) if call.path.name.startswith(LOG)]
    if soak or len(found) <= CALLS_TRIED:
        return found
    return [found[n] for n in sorted(random.Random(17).sample(range(len(found)), CALLS_TRIED))]


async def test_killed_at_every_fsync(cradle: Cradle, tmp_path: Path) -> None:
    """What was acknowledged is in the log, no command is there by half, and the next life goes on."""
    data = tmp_path / "data"
    for number, call in enumerate(await rehearsal(cradle, data, *SYNCS)):
        run = Run(data)
        async with traced(cradle, data, *fault(call, "signal=SIGKILL")) as (life, _):
            assert not await run.go(life), call
            assert await life.ended() == KILLED
        run.check()
        await goes_on(cradle, run)
        put_away(data, f"{number}")


@pytest.mark.parametrize("names", [SYNCS, WRITES], ids=["fsync", "write"])
async def test_a_disk_that_fails(cradle: Cradle, tmp_path: Path, soak: bool, names: tuple[str, ...]) -> None:
    """EIO: nobody is told anything that is not so, the process ends with 74 and tries nothing twice."""
    data = tmp_path / "data"
    for number, call in enumerate(await log_calls(cradle, data, names, soak)):
        run = Run(data)
        async with traced(cradle, data, *fault(call, "error=EIO")) as (life, trace):
            assert not await run.go(life), call
            assert await life.ended(seconds=END_SECONDS) == Exit.DISK, call
        # Who finds the disk failing as the log is made takes back what was begun, before anybody hears of it.
        assert trace.calls()[-1] == call or not life.url
        assert DISK_FAILED in life.stderr.read_text()
        run.check()
        await goes_on(cradle, run)
        put_away(data, f"{number}")


@pytest.mark.parametrize("error", ["ENOSPC", "EDQUOT"])
async def test_a_write_that_finds_no_room(cradle: Cradle, tmp_path: Path, soak: bool, error: str) -> None:
    """What was refused never happened and is done when it is asked for again, by the same process.

    A coordinator that finds no room as it starts ends with 74.
    """
    data, refusals = tmp_path / "data", 0
    for number, call in enumerate(await log_calls(cradle, data, WRITES, soak)):
        run = Run(data)
        async with traced(cradle, data, *fault(call, f"error={error}")) as (life, _):
            if not await run.go(life):
                assert await life.ended() == Exit.DISK, call
                assert not life.url, call
                assert DISK_FAILED in life.stderr.read_text()
        refusals += run.refusals
        run.check()
        await goes_on(cradle, run)
        put_away(data, f"{number}")
    assert refusals
