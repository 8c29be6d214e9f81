"""Every exception becomes an error with a code, a cause, a fix and an exit code."""

import errno
import json

import pytest

from clients import build, codec, live, wire
from clients.archive import UnsafeArchive
from clients.build.fetch import OutOccupied
from clients.build.sources import SourceUnusable
from clients.cli import errors, exits
from clients.cli.exits import Code, Exit, Failure
from events import log
from events.graphs import BadGraph
from workers import disk

# An error is known once the module is imported that raises it.
assert build.__name__ == "clients.build"


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (wire.Unreachable("gone"), exits.UNREACHABLE, 7),
        (codec.Malformed("odd"), exits.INCOMPATIBLE, 7),
        (wire.TooLarge("big"), exits.INCOMPATIBLE, 7),
        (wire.Refused(401, "who are you"), exits.NOT_ALLOWED, 6),
        (wire.Refused(403, "not you"), exits.NOT_ALLOWED, 6),
        (wire.Refused(404, '{"error": "no such build"}'), exits.REFUSED, 2),
        (wire.Refused(404, "<h1>Not Found</h1>"), exits.INCOMPATIBLE, 7),
        (wire.Refused(501, "Unsupported method ('POST')"), exits.INCOMPATIBLE, 7),
        (wire.Refused(301, ""), exits.INCOMPATIBLE, 7),
        (wire.Refused(404, '{"kind": "Error", "code": "TZ-1016"}'), exits.INCOMPATIBLE, 7),
        (wire.Refused(500, "oops"), exits.REFUSED, 3),
        (live.OutcomeUnknown("lost"), exits.OUTCOME_UNKNOWN, 8),
        (OutOccupied("made exists"), exits.BAD_FILE, 2),
        (SourceUnusable("gone"), exits.BAD_FILE, 2),
        (UnsafeArchive("evil"), exits.INCOMPATIBLE, 7),
        (log.LogLocked("pid 7"), exits.DATA_IN_USE, 3),
        (log.LogFromTheFuture("v9"), exits.LOG_FROM_THE_FUTURE, 65),
        (log.CorruptLog("position 3"), exits.CORRUPT_LOG, 65),
        (log.LogFull("no space"), exits.DISK, 74),
        (log.LogError("odd"), exits.DISK, 74),
        (disk.Locked("worker data in use"), exits.DATA_IN_USE, 3),
        (BadGraph(["one", "two"]), exits.BAD_GRAPH, 2),
        (OSError(errno.EADDRINUSE, "in use"), exits.ADDRESS_IN_USE, 3),
        (OSError(errno.ENOSPC, "full"), exits.DISK, 74),
        (PermissionError(errno.EACCES, "no", "file"), exits.BAD_FILE, 2),
        (FileNotFoundError(errno.ENOENT, "no", "file"), exits.BAD_FILE, 2),
    ],
)
def test_what_is_foreseen(error: Exception, code: Code, exit_code: int) -> None:
    """The same error has the same code everywhere, alone or in a group; none of them is a bug."""
    failure = errors.explain(error)
    assert (failure.code, failure.exit) == (code.code, exit_code)
    assert failure.cause
    assert failure.fix
    assert not errors.is_bug(ExceptionGroup("", [ExceptionGroup("", [error])]))


def test_the_gravest_is_told() -> None:
    """Of several at once a bug comes first, since the others may follow from it; an interrupt before all."""
    bug, known = ZeroDivisionError("oops"), wire.Unreachable("gone")
    group = ExceptionGroup("", [known, ExceptionGroup("", [bug])])
    assert errors.gravest(group) is bug
    assert errors.is_bug(group)
    interrupt = KeyboardInterrupt()
    assert errors.gravest(BaseExceptionGroup("", [interrupt, group])) is interrupt
    assert errors.gravest(known) is known


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
        (SystemExit(5), 5),
        (ExceptionGroup("", [wire.Unreachable("gone")]), 7),
    ],
)
def test_exit_codes(error: BaseException, exit_code: int, capfd: pytest.CaptureFixture[str]) -> None:
    """What ends the process decides its code."""
    assert errors.report(error, []) == exit_code


def test_the_anatomy() -> None:
    """What, why in this case, what to do; a cause of several lines is indented, one that repeats left out."""
    failure = Failure(exits.BAD_GRAPH, "one\ntwo")
    assert errors.anatomy(failure) == (
        "error[TZ-2005]: the graph cannot be built\ncause: one\n       two\nfix: correct what is named"
    )
    refusal = errors.refused(
        404, json.dumps({"kind": "Error", "code": "TZ-1003", "message": "no: x", "reason": "x"})
    )
    assert errors.anatomy(refusal) == "error[TZ-1003]: no: x\nfix: correct what is named"


def test_codes_are_unique() -> None:
    """Each of the command's own errors has one code, and none is the coordinator's."""
    codes = [value.code for value in vars(exits).values() if isinstance(value, Code)]
    assert len(codes) == len(set(codes))
    assert all(code.startswith("TZ-2") for code in codes)
    assert {int(member) for member in Exit} == {*range(9), 65, 74, 130, 141, 143}
