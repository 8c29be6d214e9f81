"""The composer worker API: ask for a job, tell of it by its token, hand in files and the result.

Wire-exact to osbuild-composer's, in the order of its checks: the ids in the path, the content type, the body,
and only then whether there is such a thing. Every refusal is an entry of the dialect's own catalog.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import attrs
import structlog
from msgspec import UNSET
from quart import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from clients import codec
from clients import composer as wire
from clients.codec import Malformed
from clients.server import receive_body, receive_chunks
from coordinator.answers import Standing, standing
from coordinator.artifacts import is_name
from coordinator.asking import Given, Outcome
from coordinator.disk import StorageFull
from coordinator.http.errors import as_rejected
from coordinator.parts import Parts
from coordinator.single import KEY
from events.commands import HearLease, HearWorkers, RegisterWorker
from events.errors import LEASE_ENDED, Rejected
from events.ids import ANONYMOUS, ASKING, LeaseId, WorkerId, as_uuid
from events.state import State

log = structlog.get_logger()
T = TypeVar("T")

BODY_BYTES_MAX = 64 << 10
ARTIFACT_BYTES_MAX = 64 << 30
TYPES_MAX, TEXT_CHARS_MAX = 100, 256
OPENAPI = Path(__file__).parent / "composer_openapi.json"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# KSUIDs count from here, so that 27 characters last until 2150.
_KSUID_EPOCH = 1_400_000_000


class Refused(Exception):
    """The dialect's own refusal; `status` where another one than usual says more."""

    def __init__(self, problem: wire.Problem, status: int | None = None) -> None:
        super().__init__(problem.reason)
        self.problem = problem
        self.status = status or problem.status


def base_path(parts: Parts) -> str:
    """Below which path all of it is."""
    return parts.config.base_path + parts.config.composer_base_path


def blueprint(parts: Parts) -> Blueprint:
    """The dialect's routes; what is below its base path and no route is for `refusal`, too."""
    dialect = Blueprint("composer", __name__)
    _add_service(dialect, parts)
    _add_jobs(dialect, parts)
    _add_tokens(dialect, parts)
    _add_workers(dialect, parts)

    @dialect.errorhandler(Exception)
    async def refuse(error: Exception) -> Response:
        return refusal(parts, error)

    return dialect


def _add_service(dialect: Blueprint, parts: Parts) -> None:
    base = base_path(parts)

    @dialect.get("/status")
    async def status() -> Response:
        return _json(wire.StatusResponse(href=f"{base}/status"))

    @dialect.get("/openapi")
    async def openapi() -> Response:
        with _failing(wire.NO_OPENAPI):
            spec = codec.loads(await parts.run_sync(OPENAPI.read_bytes))
        return Response(codec.dumps({**spec, "servers": [{"url": base}]}), content_type=wire.JSON)

    @dialect.get("/errors/<id_>")
    async def error(id_: str) -> Response:
        number = id_.removeprefix("+") if id_[:1] == "+" else id_.removeprefix("-")
        if not (number.isascii() and number.isdigit() and len(number) < 20):
            raise Refused(wire.BAD_ERROR_ID)
        problem = wire.PROBLEMS.get(int(id_))
        if problem is None:
            raise Refused(wire.ERROR_UNKNOWN)
        return _json(_error(parts, problem))


def _add_jobs(dialect: Blueprint, parts: Parts) -> None:
    @dialect.post("/jobs")
    async def request_job() -> Response:
        sent = await _read(wire.RequestJobRequest)
        types, arch = sent.types or (), sent.arch or ""
        if len(types) > TYPES_MAX or any(len(text) > TEXT_CHARS_MAX for text in (*types, arch)):
            raise Refused(wire.MALFORMED)
        worker = _worker(sent.worker_id, or_else=ANONYMOUS)
        if not wire.NOT_FOR_WORKERS.isdisjoint(types):
            raise Refused(wire.TYPE_NOT_FOR_WORKERS)
        await _meet(parts, worker)
        with _failing(wire.REQUESTING):
            given = await parts.asking.dequeue(
                worker,
                wire.own_types(types, arch),
                tuple(request.args.getlist("channel")) or ("",),
                parts.config.composer_request_seconds,
            )
        if given is None:
            return Response(b"", 204)
        return _json(_job(base_path(parts), given), 201)


def _add_tokens(dialect: Blueprint, parts: Parts) -> None:
    base = base_path(parts)

    @dialect.get("/jobs/<token>")
    async def get_job(token: str) -> Response:
        lease = _lease(token, wire.BAD_TOKEN_ASKED)
        found = await _standing(parts, lease)
        if found is Standing.RUNNING:
            with _failing(wire.RESOLVING_TOKEN):
                await parts.core.submit(HearLease(lease=lease))
        shown = wire.token_of(lease)
        canceled = found is Standing.CANCELLED
        return _json(wire.GetJobResponse(href=f"{base}/jobs/{shown}", id=shown, canceled=canceled))

    @dialect.patch("/jobs/<token>")
    async def update_job(token: str) -> Response:
        lease = _lease(token, wire.BAD_TOKEN)
        sent = await _read(wire.UpdateJobRequest, wire.VALUE_BYTES_MAX)
        result, partial = wire.text_of(sent.result), wire.text_of(sent.partial)
        if await _standing(parts, lease) is Standing.CANCELLED:
            raise Refused(wire.FINISHING)
        with _failing(wire.FINISHING):
            if isinstance(sent.result, wire.Missing) and not isinstance(sent.partial, wire.Missing):
                await parts.answers.take_partial(lease, partial)
            else:
                await parts.answers.take(lease, result, wire.error_of(result))
        shown = wire.token_of(lease)
        return _json(wire.Reference(href=f"{base}/jobs/{shown}", id=shown, kind="UpdateJobResponse"))

    @dialect.put("/jobs/<token>/artifacts/<name>")
    async def upload(token: str, name: str) -> Response:
        lease = _lease(token, wire.BAD_TOKEN)
        if not is_name(name):
            raise Refused(wire.NO_SUCH_RESOURCE)
        await _require_running(parts, lease)
        with _failing(wire.WRITING_ARTIFACT):
            await parts.artifacts.stage(lease, name, receive_chunks(bytes_max=ARTIFACT_BYTES_MAX))
        await _require_running(parts, lease)
        return Response(b"")


def _add_workers(dialect: Blueprint, parts: Parts) -> None:
    base = base_path(parts)

    @dialect.post("/workers")
    async def register() -> Response:
        sent = await _read(wire.PostWorkersRequest)
        if len(sent.arch or "") > TEXT_CHARS_MAX:
            raise Refused(wire.MALFORMED)
        id_ = as_uuid(parts.core.new_id(16))
        with _failing(wire.REGISTERING):
            labels = {"arch": sent.arch} if sent.arch else {}
            await parts.core.submit(RegisterWorker(worker=_named(id_), labels=labels))
        return _json(wire.PostWorkersResponse(href=f"{base}/workers", id=id_, worker_id=id_), 201)

    @dialect.post("/workers/<id_>/status")
    async def update_worker(id_: str) -> Response:
        worker = _worker(id_, or_else=None)
        await _meet(parts, worker)
        with _failing(wire.UPDATING_WORKER):
            await parts.core.submit(HearWorkers(workers=(worker,)))
        return Response(b"")


async def _read(cls: type[T], bytes_max: int = BODY_BYTES_MAX) -> T:
    if request.headers.getlist("content-type") != [wire.JSON]:
        raise Refused(wire.NOT_JSON)
    return wire.read(await receive_body(bytes_max), cls)


def _lease(token: str, problem: wire.Problem) -> LeaseId:
    lease = wire.lease_of(token)
    if lease is None:
        raise Refused(problem)
    return lease


def _worker(id_: str | None, *, or_else: WorkerId | None) -> WorkerId:
    if id_ is None and or_else is not None:
        return or_else
    digits = wire.hex_of(id_ or "")
    if digits is None:
        raise Refused(wire.BAD_WORKER)
    return _named(wire.uuid_of(digits))


def _named(uuid: str) -> WorkerId:
    return WorkerId(f"{ASKING}{uuid}")


async def _meet(parts: Parts, worker: WorkerId) -> None:
    """It must have registered, unless it is nobody in particular."""

    def is_here(state: State) -> bool:
        known = state.workers.get(worker)
        return known is not None and known.alive

    if await parts.core.view(is_here):
        return
    if worker != ANONYMOUS:
        raise Refused(wire.WORKER_UNKNOWN)
    with _failing(wire.REQUESTING):
        await parts.core.submit(RegisterWorker(worker=worker))


async def _standing(parts: Parts, lease: LeaseId) -> Standing:
    found = await parts.core.view(lambda state: standing(state, lease))
    if found is Standing.UNKNOWN:
        raise Refused(wire.TOKEN_UNKNOWN)
    return found


async def _require_running(parts: Parts, lease: LeaseId) -> None:
    if await _standing(parts, lease) is Standing.CANCELLED:
        raise Refused(wire.WRITING_ARTIFACT)


@contextmanager
def _failing(problem: wire.Problem) -> Iterator[None]:
    """What cannot be done for reasons of ours is this problem; a token that ended meanwhile is unknown."""
    try:
        yield
    except Rejected as error:
        log.warning("composer request failed", code=error.code.code, reason=error.reason)
        raise Refused(wire.TOKEN_UNKNOWN if error.code is LEASE_ENDED else problem) from error
    except (StorageFull, OSError) as error:
        log.warning("composer request failed", reason=str(error))
        raise Refused(problem) from error


def _job(base: str, given: Given) -> wire.RequestJobResponse:
    here = f"{base}/jobs/{wire.token_of(given.lease)}"
    return wire.RequestJobResponse(
        href=f"{base}/jobs",
        # Jobs of graphs have ids of their own, which begin like this one.
        id=as_uuid(given.spec.job[:32]),
        location=here,
        artifact_location=f"{here}/artifacts/",
        type=wire.shown_type(given.spec.job_type),
        compose_id=given.key.removeprefix(KEY) if given.key.startswith(KEY) else None,
        args=wire.raw(given.spec.args) if given.spec.args else UNSET,
        dynamic_args=tuple(wire.raw(_told(outcome)) for outcome in given.outcomes) or None,
    )


def _told(outcome: Outcome) -> str:
    """The result of a dependency, as its worker gave it; of one that ran commands, how it ended."""
    if outcome.type:
        return outcome.stdout.decode() if outcome.stdout else wire.given_up(outcome.error or "")
    return wire.ran(outcome.exit_code, outcome.error, outcome.stdout, outcome.stderr, is_cut=outcome.is_cut)


def refusal(parts: Parts, error: Exception) -> Response:
    """Whatever a handler may meet, or a request that finds no handler, in the dialect's shape."""
    problem, status = _problem(error)
    body = _error(parts, problem)
    log.info("refused", code=body.code, operation_id=body.operation_id)
    return _json(body, status)


def _problem(error: Exception) -> tuple[wire.Problem, int]:
    match error:
        case Refused(problem=problem, status=status):
            return problem, status
        case Malformed():
            return wire.MALFORMED, wire.MALFORMED.status
        case HTTPException(code=404):
            return wire.NO_SUCH_RESOURCE, 404
        case HTTPException(code=405):
            return wire.NO_SUCH_METHOD, 405
        case HTTPException(code=status) if status is not None and status < 500:
            return wire.MALFORMED, status
        case _:
            as_rejected(error)  # which tells our own log of a bug
            return wire.UNSPECIFIED, wire.UNSPECIFIED.status


def _error(parts: Parts, problem: wire.Problem) -> wire.Error:
    return wire.Error(
        href=f"{base_path(parts)}/errors/{problem.id}",
        id=str(problem.id),
        code=problem.code,
        operation_id=_operation_id(parts),
        reason=problem.reason,
        message=problem.reason,
    )


def _operation_id(parts: Parts) -> str:
    """A KSUID: four bytes of time and sixteen of chance, in 27 characters that sort by time."""
    seconds = max(0, int(parts.core.now() - _KSUID_EPOCH))
    number = int(f"{seconds:08x}{parts.core.new_id(16)}", 16)
    digits = ""
    while len(digits) < 27:
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def _json(value: attrs.AttrsInstance, status: int = 200) -> Response:
    return Response(wire.write(value), status, content_type=wire.JSON)
