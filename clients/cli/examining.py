"""What `doctor` looks at: this Python, the disk under the data directory, the coordinator and its workers.

Each finding is one line and, where something is wrong, the thing to do about it.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import trio
from attrs import asdict, frozen

from clients import wire
from clients.cli import printing, wording
from clients.cli.api import Api
from clients.cli.exits import Exit
from clients.cli.texts import count, plain, size
from clients.cli.wording import Farm
from clients.codec import Malformed

PYTHON_MIN = (3, 11)
# Older ones can lose a checkpoint: the WAL-reset bug, fixed in this version.
SQLITE_MIN = (3, 51, 3)
FSYNCS = 20
FSYNC_SECONDS_MAX = 0.1
FREE_BYTES_MIN = 1 << 30
# HTTP tells whole seconds; leases and records do not care about less than this.
SKEW_SECONDS_MAX = 5.0


@frozen(kw_only=True)
class Finding:
    """`fix` is empty exactly when it is `ok`."""

    name: str
    ok: bool
    text: str
    fix: str = ""


async def examine(api: Api, data: Path, *, as_json: bool) -> int:
    """Print a finding per line; returns the exit code."""
    findings = [python(), sqlite(), *await trio.to_thread.run_sync(lambda: list(disk(data)))]
    findings += await coordinator(api)
    if as_json:
        printing.as_json({"ok": all(f.ok for f in findings), "findings": [asdict(f) for f in findings]})
    else:
        printing.lines([told(finding) for finding in findings])
    return Exit.OK if all(finding.ok for finding in findings) else Exit.INFRASTRUCTURE


def told(finding: Finding) -> str:
    """The finding on one line."""
    symbols = wording.symbols_for(sys.stdout)
    mark = symbols.succeeded if finding.ok else symbols.failed
    return f"{mark} {finding.name}: {finding.text}" + (f"; fix: {finding.fix}" if finding.fix else "")


def python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    text = ".".join(map(str, version))
    if version[:2] < PYTHON_MIN:
        return Finding(name="python", ok=False, text=text, fix="install Python 3.11 or later")
    return Finding(name="python", ok=True, text=text)


def sqlite() -> Finding:
    """The SQLite that the log is written with, which is apsw's and not Python's."""
    try:
        import apsw
    except ImportError as error:
        return Finding(name="sqlite", ok=False, text=str(error), fix="install terzetto again, with apsw")
    return sqlite_version(apsw.sqlite_lib_version())


def sqlite_version(text: str) -> Finding:
    if tuple(map(int, text.split("."))) < SQLITE_MIN:
        wanted = ".".join(map(str, SQLITE_MIN))
        return Finding(name="sqlite", ok=False, text=text, fix=f"upgrade apsw to one with SQLite {wanted}")
    return Finding(name="sqlite", ok=True, text=text)


def disk(data: Path, *, clock: Callable[[], float] = time.perf_counter) -> Iterator[Finding]:
    """Is there a place to write, room in it, and does it keep what it says it keeps, and how fast?"""
    place = _existing(data)
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            seconds = _fsync_seconds(file.fileno(), clock)
    except OSError as error:
        fix = "correct its owner and permissions, or choose another with --data"
        yield Finding(name="data directory", ok=False, text=f"{data}: {error.strerror}", fix=fix)
        return
    yield Finding(name="data directory", ok=True, text=f"{data} is writable")
    free = shutil.disk_usage(place).free
    fix = "" if free >= FREE_BYTES_MIN else f"have {size(FREE_BYTES_MIN)} free, or choose another with --data"
    yield Finding(name="free space", ok=not fix, text=f"{size(free)} free", fix=fix)
    fix = "" if seconds <= FSYNC_SECONDS_MAX else "put the data directory on a local disk"
    yield Finding(name="fsync", ok=not fix, text=f"{seconds * 1000:.1f} ms", fix=fix)


def _existing(path: Path) -> Path:
    """The directory itself, or the one in which it would be made."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _fsync_seconds(file: int, clock: Callable[[], float]) -> float:
    samples = []
    for _ in range(FSYNCS):
        os.write(file, bytes(4096))
        began = clock()
        os.fsync(file)
        samples.append(clock() - began)
    return statistics.median(samples)


async def coordinator(api: Api, *, now: Callable[[], float] = time.time) -> list[Finding]:
    """Is it there, ready and of our time, and has it anyone to do the work?"""
    url = api.client.base_url
    try:
        date = await api.date()
        is_ready = await api.is_ready()
        workers = (await api.workers())[1].farm()
    except wire.Unreachable as error:
        fix = "start one with `terzetto up`, or name one with --coordinator"
        return [Finding(name="coordinator", ok=False, text=str(error), fix=fix)]
    except (wire.Refused, Malformed, wire.TooLarge) as error:
        fix = "check --coordinator: what answers there is no coordinator of this version"
        return [Finding(name="coordinator", ok=False, text=f"{url}: {plain(str(error))[:200]}", fix=fix)]
    fix = "" if is_ready else "wait for it to finish starting, or look at its log"
    text = f"{url} is {'ready' if is_ready else 'not ready'}"
    return [
        Finding(name="coordinator", ok=is_ready, text=text, fix=fix),
        skew(date, now()),
        farm(workers),
    ]


def farm(workers: Farm) -> Finding:
    if not workers.workers:
        return Finding(name="workers", ok=False, text="none", fix="start one with `terzetto worker`")
    busy = f"{workers.busy} of {count(workers.slots, 'slot')} busy"
    return Finding(name="workers", ok=True, text=f"{count(workers.workers, 'worker')}, {busy}")


def skew(date: str, now: float) -> Finding:
    """How far the coordinator's clock, as HTTP words it, is from ours."""
    if not date:
        return Finding(name="clock", ok=True, text="the coordinator does not tell its time")
    try:
        seconds = parsedate_to_datetime(date).timestamp() - now
    except ValueError:
        text = f"the coordinator says {date[:40]!r}"
        return Finding(name="clock", ok=False, text=text, fix="look what answers there")
    if abs(seconds) > SKEW_SECONDS_MAX:
        text = f"the coordinator's is {abs(seconds):.0f} s {'ahead' if seconds > 0 else 'behind'}"
        return Finding(name="clock", ok=False, text=text, fix="synchronise both machines' clocks")
    return Finding(name="clock", ok=True, text=f"within {SKEW_SECONDS_MAX:.0f} s of the coordinator's")
