"""The exit codes, which are a promise to scripts, and the refusals of the command's own making.

The coordinator's refusals have codes TZ-1…; those here are TZ-2…, and both are rendered alike.
"""

from enum import IntEnum
from typing import NamedTuple


class Exit(IntEnum):
    OK = 0
    JOB_FAILED = 1
    USAGE = 2
    INFRASTRUCTURE = 3
    CANCELLED = 4
    TIMED_OUT = 5
    NOT_ALLOWED = 6
    UNREACHABLE = 7
    OUTCOME_UNKNOWN = 8
    CORRUPT_LOG = 65
    DISK = 74
    INTERRUPTED = 130
    PIPE = 141
    TERMINATED = 143


# By the verdict on a build (`clients.build.outcome.Verdict`).
OF_VERDICT = {
    "succeeded": Exit.OK,
    "failed": Exit.JOB_FAILED,
    "cancelled": Exit.CANCELLED,
    "timed out": Exit.TIMED_OUT,
    "unknown": Exit.OUTCOME_UNKNOWN,
}


class Code(NamedTuple):
    """`code` is stable for ever; `fix` is what the user can do about it."""

    code: str
    exit: Exit
    message: str
    fix: str


USAGE = Code("TZ-2001", Exit.USAGE, "the command line is wrong", "see `terzetto --help`")
CONFIG = Code("TZ-2002", Exit.USAGE, "the configuration is wrong", "correct the file that is named")
AMBIGUOUS = Code("TZ-2003", Exit.USAGE, "the name is ambiguous", "write more of it")
NOT_FOUND = Code("TZ-2004", Exit.USAGE, "there is no such thing", "look at the list first")
BAD_GRAPH = Code("TZ-2005", Exit.USAGE, "the graph cannot be built", "correct what is named")
BAD_FILE = Code("TZ-2006", Exit.USAGE, "a file cannot be used", "correct the path")
UNREACHABLE = Code(
    "TZ-2101",
    Exit.UNREACHABLE,
    "the coordinator is unreachable",
    "start one with `terzetto up`, or name one with --coordinator or TERZETTO_COORDINATOR",
)
INCOMPATIBLE = Code(
    "TZ-2102",
    Exit.UNREACHABLE,
    "the coordinator's answer makes no sense",
    "is it a Terzetto coordinator, and of this version? see `terzetto doctor`",
)
REFUSED = Code("TZ-2103", Exit.INFRASTRUCTURE, "the coordinator refused", "see its own log for the reason")
NOT_ALLOWED = Code("TZ-2104", Exit.NOT_ALLOWED, "not allowed", "ask who runs the coordinator for access")
OUTCOME_UNKNOWN = Code(
    "TZ-2105",
    Exit.OUTCOME_UNKNOWN,
    "what became of the build is unknown",
    "the build may still run: look with `terzetto builds`, go on with `terzetto watch`",
)
ADDRESS_IN_USE = Code(
    "TZ-2201", Exit.INFRASTRUCTURE, "the address cannot be used", "choose another one with --bind"
)
DATA_IN_USE = Code(
    "TZ-2202",
    Exit.INFRASTRUCTURE,
    "the data directory is in use",
    "stop the other process, or choose another directory with --data",
)
LOG_FROM_THE_FUTURE = Code(
    "TZ-2203", Exit.CORRUPT_LOG, "the log is of a newer version", "run that version of terzetto"
)
CORRUPT_LOG = Code(
    "TZ-2204", Exit.CORRUPT_LOG, "the event log is corrupt", "restore it from a backup; nothing was changed"
)
DISK = Code("TZ-2205", Exit.DISK, "the disk failed", "check space, permissions and the disk, then try again")
CHILD_ENDED = Code(
    "TZ-2206",
    Exit.INFRASTRUCTURE,
    "a child process did not start",
    "see the lines above, or `terzetto doctor`",
)
BUG = Code("TZ-2999", Exit.INFRASTRUCTURE, "a bug in terzetto", "report it together with the traceback")


class Failure(Exception):
    """Something that ends the command; `cause` says what it was in this case."""

    def __init__(self, code: Code, cause: str, *, fix: str = "", message: str = "") -> None:
        super().__init__(cause)
        self.code = code.code
        self.exit = code.exit
        self.message = message or code.message
        self.cause = cause
        self.fix = fix or code.fix
