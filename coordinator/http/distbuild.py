"""The distbuild dialect: heartbeat, build, signal, file; decode, submit or view, encode.

Wire-exact to the protocol of the shad-go course. Errors are text, with status 400 wherever the protocol
leaves it open, because that is what most of its clients understand; a build's own are a `StatusUpdate`.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing

from quart import Blueprint, Response, request

from clients import distbuild as wire
from clients.archive import pack
from clients.server import receive_body, receive_chunks
from coordinator.artifacts import lease_kept
from coordinator.builds import start
from coordinator.follow import Follower
from coordinator.http import distbuild_wire as translate
from coordinator.http.errors import as_rejected, status_of
from coordinator.parts import Parts
from coordinator.results import keep
from coordinator.statuses import statuses
from events.commands import CancelBuild, FinishUpload
from events.errors import ARTIFACT_UNKNOWN, SOURCE_UNKNOWN, Family, Rejected
from events.ids import BuildId, JobId, Position, SourceId

# A refusal ends some workers, and a job may print 64 MiB twice, which base64 makes a third longer.
HEARTBEAT_BYTES_MAX = 256 << 20
GRAPH_BYTES_MAX = 256 << 20
SIGNAL_BYTES_MAX = 64 << 10
FILE_BYTES_MAX = 2 << 30
JSON = "application/json"
# The families whose own status says more than 400 to our own clients, and no less to the others'.
TELLING = {Family.NOT_FOUND, Family.TOO_LARGE, Family.FULL, Family.UNAVAILABLE}


def blueprint(parts: Parts) -> Blueprint:
    """The dialect's routes."""
    dialect = Blueprint("distbuild", __name__)

    @dialect.post(wire.PATH_HEARTBEAT)
    async def heartbeat() -> Response:
        sent = await translate.read(
            await receive_body(HEARTBEAT_BYTES_MAX), wire.HeartbeatRequest, parts.run_sync
        )
        reports = translate.reports(sent)
        finished = await keep(parts.core, parts.outputs, translate.worker(sent), reports)
        answer = await parts.heartbeats.take(
            translate.heartbeat(sent, finished), translate.seconds(request.args.get("wait"))
        )
        return _json(translate.answer(answer, here=f"{request.host_url.rstrip('/')}{parts.config.base_path}"))

    @dialect.post(wire.PATH_BUILD)
    async def build() -> Response:
        command = await translate.read_build(
            await receive_body(GRAPH_BYTES_MAX),
            parts.run_sync,
            key=request.args.get("key", ""),
            detached=request.args.get("on_disconnect") == "continue",
        )
        id_ = await start(parts.core, command)
        missing, position = await parts.core.view(
            lambda state: (state.missing_sources(id_), state.builds[id_].position)
        )
        stream = _updates(parts, id_, position, wire.BuildStarted(id=id_, missing_files=missing))
        answer = Response(stream, content_type=JSON)
        answer.headers["terzetto-position"] = str(position - 1)
        return answer

    @dialect.post(wire.PATH_SIGNAL)
    async def signal() -> Response:
        sent = await translate.read(await receive_body(SIGNAL_BYTES_MAX), wire.SignalRequest, parts.run_sync)
        id_ = BuildId(translate.id_of("build_id", request.args.get("build_id")))
        if sent.cancel is not None:
            await parts.core.submit(CancelBuild(build=id_, reason=sent.cancel.reason or "by its client"))
        else:
            # Some clients say "done" with a null, so any signal of a waiting build is taken as that.
            await parts.core.submit(FinishUpload(build=id_))
        return _json(b"{}")

    @dialect.get(wire.PATH_FILE)
    async def download() -> Response:
        id_ = SourceId(translate.id_of("id", request.args.get("id")))
        known = await parts.core.view(lambda state: state.sources.get(id_))
        if known is None:
            raise Rejected(SOURCE_UNKNOWN, f"no file {id_} was uploaded")
        answer = Response(parts.blobs.open_chunks(id_), content_type="application/octet-stream")
        answer.headers["Content-Length"] = str(known.size)
        return answer

    @dialect.route(wire.PATH_FILE, methods=["PUT", "POST"])
    async def upload() -> Response:
        id_ = SourceId(translate.id_of("id", request.args.get("id")))
        await parts.sources.store(id_, receive_chunks(bytes_max=FILE_BYTES_MAX))
        return Response(b"")

    @dialect.get(wire.PATH_ARTIFACT)
    async def artifact() -> Response:
        id_ = JobId(translate.id_of("id", request.args.get("id")))
        lease = await parts.core.view(lambda state: lease_kept(state, id_, request.args.get("digest", "")))
        if lease is None:
            raise Rejected(ARTIFACT_UNKNOWN, f"the artifact of job {id_} does not lie here")
        packed = pack(parts.artifacts.kept(lease) or parts.artifacts.empty, run_sync=parts.run_sync)
        answer = Response(packed, content_type="application/x-tar")
        answer.headers["x-content-type-options"] = "nosniff"
        return answer

    @dialect.errorhandler(Exception)
    async def refuse(error: Exception) -> Response:
        return _refusal(as_rejected(error))

    return dialect


async def _updates(
    parts: Parts, id_: BuildId, position: Position, first: wire.BuildStarted
) -> AsyncIterator[bytes]:
    """The stream of a build: each value is a chunk of its own and ends with a newline."""
    with parts.attendance.attend(id_):
        yield translate.line(first)
        async with aclosing(statuses(Follower(parts.journal, position, id_), parts.outputs)) as told:
            async for status in told:
                yield translate.line(translate.update(status))


def _json(body: bytes) -> Response:
    return Response(body + b"\n", content_type=JSON)


def _refusal(rejected: Rejected) -> Response:
    status = status_of(rejected.code) if rejected.code.family in TELLING else 400
    if request.path.endswith(wire.PATH_BUILD):
        failed = wire.StatusUpdate(build_failed=wire.BuildFailed(error=str(rejected)))
        return Response(translate.line(failed), status, content_type=JSON)
    return Response(f"{rejected}\n", status, content_type="text/plain; charset=utf-8")
