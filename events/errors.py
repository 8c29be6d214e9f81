"""Every refusal, once: its code, its family, and what the caller can do about it.

A `Rejected` is the caller's to mend and leaves nothing behind: it is raised before the first event. Each
dialect renders it its own way; the families map to HTTP statuses in `coordinator/http/errors.py`.
"""

from enum import Enum
from typing import NamedTuple


class Family(Enum):
    """What kind of refusal it is."""

    INVALID = "invalid"
    NOT_FOUND = "not found"
    CONFLICT = "conflict"
    GONE = "gone"
    FORBIDDEN = "forbidden"
    TOO_LARGE = "too large"
    UNAVAILABLE = "unavailable"
    FULL = "full"


class Code(NamedTuple):
    """An entry of the catalog: `code` is stable for ever."""

    code: str
    family: Family
    title: str
    fix: str


MALFORMED = Code("TZ-1001", Family.INVALID, "the request is malformed", "correct the field that is named")
BAD_GRAPH = Code(
    "TZ-1002", Family.INVALID, "the graph cannot be built", "correct each problem that is listed"
)
BUILD_UNKNOWN = Code("TZ-1003", Family.NOT_FOUND, "no such build", "list the builds with `terzetto builds`")
BUILD_ENDED = Code("TZ-1004", Family.CONFLICT, "the build has ended", "start a new build")
SOURCES_MISSING = Code(
    "TZ-1005", Family.CONFLICT, "source files are missing", "upload each id that is named, then signal again"
)
JOB_UNKNOWN = Code("TZ-1007", Family.NOT_FOUND, "no such job in this build", "list the jobs of the build")
SOURCE_UNKNOWN = Code("TZ-1008", Family.NOT_FOUND, "no such source file", "upload it first")
WORKER_UNKNOWN = Code(
    "TZ-1009", Family.NOT_FOUND, "no such worker", "list the workers with `terzetto workers`"
)
ARTIFACT_UNKNOWN = Code(
    "TZ-1010", Family.NOT_FOUND, "no worker holds this artifact", "build again: the job will run anew"
)
STORAGE_FULL = Code(
    "TZ-1011", Family.FULL, "the coordinator's disk is full", "free space; no restart is needed"
)
TOO_LARGE = Code("TZ-1012", Family.TOO_LARGE, "the body is too large", "send less at once")
LEASE_ENDED = Code("TZ-1013", Family.NOT_FOUND, "the lease has ended", "stop the job and drop its result")
OUTPUT_GAP = Code(
    "TZ-1014", Family.CONFLICT, "output bytes are missing", "send from the size that is named on"
)
STOPPING = Code("TZ-1015", Family.UNAVAILABLE, "the coordinator is stopping", "try again in a moment")
ROUTE_UNKNOWN = Code("TZ-1016", Family.NOT_FOUND, "no such address", "check the path and the method")
SOURCE_IN_USE = Code(
    "TZ-1017", Family.CONFLICT, "a running build uses the source file", "try again when the build has ended"
)
UNSOUND = Code(
    "TZ-1018",
    Family.UNAVAILABLE,
    "the coordinator contradicts itself",
    "restart it; if that does not help, report it",
)
HISTORY_ARCHIVED = Code(
    "TZ-1019",
    Family.GONE,
    "these records are archived",
    "begin at the position that is named, or look at all of the log with `terzetto log`",
)
BUILD_FORGOTTEN = Code(
    "TZ-1020", Family.GONE, "the build was forgotten", "its records stay: look at them with `terzetto log`"
)
ATTEMPT_UNKNOWN = Code(
    "TZ-1021",
    Family.NOT_FOUND,
    "no such attempt of this job",
    "leave `lease` out for the latest, or take one from `terzetto log story`",
)
READ_ONLY = Code(
    "TZ-1022",
    Family.CONFLICT,
    "this is a log that is only looked at",
    "ask the coordinator that writes it",
)
FILE_UNKNOWN = Code("TZ-1030", Family.NOT_FOUND, "no such file in the store", "upload it first")
FILE_GONE = Code("TZ-1031", Family.GONE, "the file is no longer in the store", "upload it again")
FILE_IN_USE = Code(
    "TZ-1032", Family.CONFLICT, "a build needs the file", "try again when the build has ended, or delete it"
)
DIGEST_DIFFERS = Code(
    "TZ-1033",
    Family.INVALID,
    "these are not the bytes that were announced",
    "upload it again, or correct the digest",
)
NOT_YOURS = Code("TZ-1034", Family.FORBIDDEN, "it is somebody else's", "ask its owner")
JOB_CANCELLED = Code(
    "TZ-1050",
    Family.CONFLICT,
    "a dependency was cancelled",
    "hand the dependency in again, and name the new one",
)
REQUEST_UNKNOWN = Code(
    "TZ-1051", Family.NOT_FOUND, "no such request", "list the requests at /builds/jobs of the coordinator"
)
REQUESTS_OPEN = Code(
    "TZ-1052",
    Family.UNAVAILABLE,
    "too many requests are open",
    "see that an agent runs and reaches the broker, then try again",
)
INTERNAL = Code("TZ-1099", Family.UNAVAILABLE, "a bug in the coordinator", "report it with the operation id")

CATALOG: dict[str, Code] = {code.code: code for code in list(globals().values()) if isinstance(code, Code)}


class Rejected(Exception):
    """A wish that cannot be granted; `reason` says why in this case, `more` what a program can use of it."""

    def __init__(self, code: Code, reason: str = "", **more: object) -> None:
        super().__init__(f"{code.title}: {reason}" if reason else code.title)
        self.code = code
        self.reason = reason or code.title
        self.more = more
