"""The composer worker API's wire types, paths and errors, as osbuild-composer and its workers write them.

Names are in snake_case, and every object has `kind`, `href` and `id`. Arguments and results are any JSON,
which passes through verbatim, as text. What is unknown is passed over; what is null is as good as missing.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

import attrs
import msgspec
from attrs import frozen

from clients.codec import Malformed, loads
from events.ids import JobId, LeaseId

T = TypeVar("T")
Missing = msgspec.UnsetType

BASE_PATH = "/api/worker/v1"
JSON = "application/json"
# Of the arguments and results of one job, in bytes: they are kept in memory while they are looked at.
VALUE_BYTES_MAX = 32 << 20
# The type of jobs that a worker of ours asks for, and those that no worker may ask for.
OWN_TYPE = "terzetto"
NOT_FOR_WORKERS = frozenset({"manifest-id-only"})
# The one type whose jobs are for one architecture each.
BY_ARCH = "osbuild"
NO_UUID = "00000000-0000-0000-0000-000000000000"
_UUID = re.compile(r"(?:urn:uuid:)?([0-9a-f]{8}(-?)[0-9a-f]{4}\2[0-9a-f]{4}\2[0-9a-f]{4}\2[0-9a-f]{12})\Z")


class Problem(NamedTuple):
    """An entry of the dialect's own catalog of errors."""

    id: int
    status: int
    reason: str

    @property
    def code(self) -> str:
        return f"IMAGE-BUILDER-WORKER-{self.id}"


NOT_JSON = Problem(3, 415, "Only 'application/json' content is supported")
TOKEN_UNKNOWN = Problem(5, 404, "Token not found")
NOT_RUNNING = Problem(6, 400, "Job is not running")
BAD_TOKEN = Problem(7, 400, "Given job id is not a uuidv4")
BAD_TOKEN_ASKED = Problem(8, 400, "Given job id is not a uuidv4")
BAD_ERROR_ID = Problem(9, 400, "Invalid format for error id, it should be an integer as a string")
MALFORMED = Problem(10, 400, "Malformed json, unable to decode body")
NO_SUCH_RESOURCE = Problem(11, 404, "Requested resource doesn't exist")
NO_SUCH_METHOD = Problem(12, 405, "Requested method isn't supported for resource")
NOT_ACCEPTABLE = Problem(13, 406, "Only 'application/json' content is supported")
ERROR_UNKNOWN = Problem(14, 404, "Error with given id not found")
TYPE_NOT_FOR_WORKERS = Problem(15, 400, "Requested job type cannot be dequeued")
TENANT_UNKNOWN = Problem(16, 400, "Tenant not found in JWT claims")
BAD_WORKER = Problem(17, 400, "Given worker id is not a uuidv4")
WORKER_UNKNOWN = Problem(18, 400, "Given worker id doesn't exist")
DISCARDING = Problem(1000, 500, "Error discarding artifact")
CREATING_ARTIFACT = Problem(1001, 500, "Error creating artifact")
WRITING_ARTIFACT = Problem(1002, 500, "Error writing artifact")
RESOLVING_TOKEN = Problem(1003, 500, "Error resolving id from job token")
FINISHING = Problem(1004, 500, "Error finishing job")
LOOKING_UP = Problem(1005, 500, "Error requesting job")
REQUESTING = Problem(1006, 500, "Error requesting job")
NO_OPENAPI = Problem(1007, 500, "Unable to load openapi spec")
REGISTERING = Problem(1008, 500, "Unable to register the worker")
UPDATING_WORKER = Problem(1009, 500, "Unable update worker status")
UNSPECIFIED = Problem(10000, 500, "Unspecified internal error ")
NOT_AN_ERROR = Problem(10001, 500, "Error is not an instance of HTTPError")
NO_ERROR = Problem(10002, 500, "Error does not exist")
NO_OPERATION_ID = Problem(10003, 500, "OperationID is empty or is not a string")

PROBLEMS: dict[int, Problem] = {
    each.id: each for each in list(globals().values()) if isinstance(each, Problem)
}


@frozen(kw_only=True)
class RequestJobRequest:
    """What a worker asks for; without a type it asks for nothing."""

    types: tuple[str, ...] | None = None
    arch: str | None = None
    worker_id: str | None = None


@frozen(kw_only=True)
class RequestJobResponse:
    """A job and the token that stands for it: `location` is to be asked and told about it."""

    href: str = ""
    id: str
    kind: str = "RequestJob"
    location: str
    artifact_location: str
    type: str
    compose_id: str | None = None
    args: msgspec.Raw | Missing = msgspec.UNSET
    dynamic_args: tuple[msgspec.Raw, ...] | None = None


@frozen(kw_only=True)
class GetJobResponse:
    href: str = ""
    id: str = ""
    kind: str = "JobStatus"
    canceled: bool


@frozen(kw_only=True)
class UpdateJobRequest:
    """`result` ends the job, also if it is null or missing; `partial` alone leaves it running."""

    result: msgspec.Raw | Missing = msgspec.UNSET
    partial: msgspec.Raw | Missing = msgspec.UNSET


@frozen(kw_only=True)
class PostWorkersRequest:
    arch: str | None = None


@frozen(kw_only=True)
class PostWorkersResponse:
    href: str = ""
    id: str = ""
    kind: str = "WorkerID"
    worker_id: str


@frozen(kw_only=True)
class Reference:
    """What every object begins with, and all there is to some."""

    href: str
    id: str
    kind: str


@frozen(kw_only=True)
class StatusResponse:
    href: str
    id: str = "status"
    kind: str = "Status"
    status: str = "OK"


@frozen(kw_only=True)
class Error:
    """`message` repeats `reason` for workers that are older than it."""

    href: str = ""
    id: str = ""
    kind: str = "Error"
    code: str = ""
    operation_id: str = ""
    reason: str = ""
    message: str = ""


@frozen(kw_only=True)
class NewJobRequest:
    """Ours: a job is handed in by itself. `dependencies` are ids of jobs that were handed in before."""

    type: str
    args: msgspec.Raw | Missing = msgspec.UNSET
    dependencies: tuple[str, ...] = ()
    channel: str = ""
    arch: str = ""


def read_job(data: bytes) -> NewJobRequest:
    """Parse it; what is unknown is refused, since whoever wrote it meant something. Raises `Malformed`."""
    value = loads(data)
    known = {field.name for field in attrs.fields(NewJobRequest)}
    if isinstance(value, dict) and not value.keys() <= known:
        raise Malformed(f"unknown fields: {', '.join(sorted(value.keys() - known))}")
    return read(data, NewJobRequest)


def read(data: bytes, cls: type[T]) -> T:
    """Parse `data` into one of these types; raises `Malformed`."""
    try:
        return msgspec.json.decode(data, type=cls)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"not what the protocol says: {error}") from error


def write(value: attrs.AttrsInstance) -> bytes:
    """As JSON that ends with a newline, as Go's encoder has it; what is None or not set is left out."""
    plain = attrs.asdict(value, recurse=False, filter=lambda _, entry: entry not in (None, msgspec.UNSET))
    return encode(plain) + b"\n"


def encode(value: object) -> bytes:
    """Plain values, and JSON that stays as it is, as JSON."""
    return msgspec.json.encode(value)


def text_of(value: msgspec.Raw | Missing) -> str:
    """The JSON text of a value, `null` if it is missing. Raises `Malformed` for what is no JSON after all."""
    if isinstance(value, Missing):
        return "null"
    data = bytes(value)
    loads(data)
    return data.decode()


def raw(text: str) -> msgspec.Raw:
    """JSON text, to be written as it is."""
    return msgspec.Raw(text.encode())


def hex_of(text: str) -> str | None:
    """The 32 hex digits of a UUID in any of its spellings; None if it is none."""
    text = text.lower()
    match = _UUID.match(text[1:-1] if text[:1] == "{" and text[-1:] == "}" else text)
    return match[1].replace("-", "") if match else None


def uuid_of(digits: str) -> str:
    """The UUID that begins with these hex digits, of which there are 32 or more."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"


def token_of(lease: LeaseId) -> str:
    """A lease's id, as the dialect writes it."""
    return uuid_of(lease)


def lease_of(token: str) -> LeaseId | None:
    """The lease of a token; None if it is no UUID."""
    digits = hex_of(token)
    return None if digits is None else LeaseId(digits)


def job_of(uuid: str) -> JobId | None:
    """The id of a job that is known by a UUID; None if that is none. (Ours have eight digits more.)"""
    digits = hex_of(uuid)
    return None if digits is None else JobId(digits.ljust(40, "0"))


def own_types(types: Iterable[str], arch: str) -> tuple[str, ...]:
    """The types that are meant: some are for one architecture each."""
    return tuple(f"{name}:{arch}" if name == BY_ARCH else name for name in types if name)


def shown_type(name: str) -> str:
    """The other way round."""
    return BY_ARCH if name.startswith(f"{BY_ARCH}:") else name


def error_of(result: str) -> str | None:
    """Why a job failed, as its result tells in `job_error`; None if it succeeded."""
    value = loads(result.encode())
    problem = value.get("job_error") if isinstance(value, dict) else None
    if problem is None:
        return None
    reason = problem.get("reason") if isinstance(problem, dict) else problem
    return reason if isinstance(reason, str) and reason else msgspec.json.encode(problem).decode()


def ran(exit_code: int, error: str | None, stdout: bytes, stderr: bytes, *, is_cut: bool) -> str:
    """What stands for the result of a dependency that ran commands; `truncated`: it printed more."""
    value = {
        "exit_code": exit_code,
        "error": error,
        "stdout": stdout.decode("utf-8", "replace"),
        "stderr": stderr.decode("utf-8", "replace"),
        "truncated": is_cut,
    }
    return encode(value).decode()


def given_up(reason: str) -> str:
    """The result of a job that no worker brought to an end, in the words of a worker."""
    return msgspec.json.encode({"job_error": {"id": 27, "reason": reason}}).decode()
