"""What jobs print: piece by piece on its way in, and looked at from anywhere in it, live or not."""

import re
from collections.abc import AsyncIterator

from attrs import asdict
from quart import Blueprint, Response, request

from clients import codec
from clients.distbuild import ContainerReport
from clients.server import receive_body
from coordinator.http import asked
from coordinator.http.errors import answer_json, as_rejected
from coordinator.lines import BLOCK_BYTES, Source
from coordinator.matching import pattern
from coordinator.output import OutputGap
from coordinator.parts import Parts
from events.commands import ReportContainer
from events.errors import ATTEMPT_UNKNOWN, LEASE_ENDED, MALFORMED, OUTPUT_GAP, Rejected
from events.ids import BuildId, JobId, LeaseId
from events.log import Subject
from events.model import Job
from events.query import Query, saying
from events.transitions import JOB_ENDED

JSON = "application/json"
OUTPUT_CHUNK_BYTES_MAX = 1 << 20
CONTAINER_BYTES_MAX = 64 << 10
READ_BYTES = 256 << 10
# How long a follower of output waits before it looks whether the coordinator stops.
LOOK_SECONDS = 1.0
QUERY_CHARS_MAX = 200
MATCHES_DEFAULT, MATCHES_MAX = 100, 10_000
NO_LIMIT = 1 << 60


def blueprint(parts: Parts) -> Blueprint:
    """The routes of output below /api."""
    outputs = Blueprint("outputs", __name__)
    _add_writing(outputs, parts)
    _add_reading(outputs, parts)
    _add_lines(outputs, parts)

    @outputs.errorhandler(Exception)
    async def refuse(error: Exception) -> Response:
        return answer_json(as_rejected(error))

    return outputs


def _add_writing(outputs: Blueprint, parts: Parts) -> None:
    @outputs.post("/leases/<lease>/output")
    async def append(lease: str) -> Response:
        stream, offset = asked.stream(), asked.number("offset", 0)
        id_ = LeaseId(lease)
        data = await receive_body(OUTPUT_CHUNK_BYTES_MAX)
        if id_ not in parts.core.state.leases:
            raise Rejected(LEASE_ENDED, f"lease {lease[:8]}… is not live")
        try:
            return _json({"size": await parts.outputs.append(id_, stream, offset, data)})
        except OutputGap as gap:
            return answer_json(Rejected(OUTPUT_GAP, str(gap)), size=gap.size)

    @outputs.post("/leases/<lease>/container")
    async def container(lease: str) -> Response:
        sent = codec.read(await receive_body(CONTAINER_BYTES_MAX), ContainerReport)
        await parts.core.submit(
            ReportContainer(lease=LeaseId(lease), container=sent.container, ports=sent.ports)
        )
        return _json({})


def _add_reading(outputs: Blueprint, parts: Parts) -> None:
    @outputs.get("/builds/<name>/jobs/<job>/output")
    async def output(name: str, job: str) -> Response:
        stream, follow = asked.stream(), request.args.get("follow") == "1"
        begin, limit = asked.offset("from", 0), asked.number("limit", NO_LIMIT)
        build, job_, lease = await _attempt(parts, name, job)
        size = parts.outputs.readable(lease, stream)
        begin = max(0, size + begin) if begin < 0 else begin
        end = begin + limit if follow else max(begin, min(size, begin + limit))
        chunks = _bytes(parts, build, job_.id, lease, stream, begin, end, follow=follow)
        answer = Response(chunks, content_type="application/octet-stream")
        if not follow:
            answer.headers["Content-Length"] = str(end - begin)
        if request.args.get("download") == "1":
            answer.headers["Content-Disposition"] = f'attachment; filename="{_file_name(job_, stream)}"'
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["terzetto-lease"] = lease
        answer.headers["terzetto-from"] = str(begin)
        answer.headers["terzetto-size"] = str(size)
        answer.headers["terzetto-grows"] = str(int(_grows(parts, job_, lease)))
        return answer


def _add_lines(outputs: Blueprint, parts: Parts) -> None:
    @outputs.get("/builds/<name>/jobs/<job>/output/lines")
    async def lines(name: str, job: str) -> Response:
        source, number = await _source(parts, name, job), asked.number("line", 0)
        if number:
            return _json({"line": number, "offset": await parts.lines.find(source, number)})
        found = await parts.lines.numbers(source)
        return _json({**asdict(source), "block_bytes": BLOCK_BYTES, **asdict(found)})

    @outputs.get("/builds/<name>/jobs/<job>/output/search")
    async def search(name: str, job: str) -> Response:
        wanted, begin, until = pattern(_text()), asked.number("from", 0), asked.number("until", NO_LIMIT)
        limit = min(asked.number("limit", MATCHES_DEFAULT), MATCHES_MAX)
        source = await _source(parts, name, job)
        found = await parts.lines.search(source, wanted, offset=begin, until=until, limit=limit)
        return _json({**asdict(source), **asdict(found)})

    @outputs.get("/builds/<name>/jobs/<job>/output/first-error")
    async def first_error(name: str, job: str) -> Response:
        _, job_, lease = await _attempt(parts, name, job)
        grows = _grows(parts, job_, lease)
        found = await parts.lines.worth(lease, grows=grows)
        return _json({"lease": lease, "grows": grows, "found": asdict(found) if found else None})


async def _attempt(parts: Parts, name: str, job: str) -> tuple[BuildId, Job, LeaseId]:
    """The attempt that `lease` names, or else the latest; that may be none."""
    build, job_ = await parts.core.view(lambda state: asked.job(state, name, job))
    lease = LeaseId(request.args.get("lease", job_.lease))
    if lease != job_.lease:
        query = Query(
            upto=parts.journal.durable,
            types=("JobLeased",),
            subject=Subject.build(build),
            jobs=(job_.id,),
            text=saying("lease", lease),
            limit=1,
        )
        if not await parts.journal.look(lambda log: log.search(query)):
            raise Rejected(ATTEMPT_UNKNOWN, f"job {job_.id} never had a lease {lease[:40]!r}")
    return build, job_, lease


async def _source(parts: Parts, name: str, job: str) -> Source:
    stream = asked.stream()
    _, job_, lease = await _attempt(parts, name, job)
    return Source(lease=lease, stream=stream, grows=_grows(parts, job_, lease))


def _grows(parts: Parts, job: Job, lease: LeaseId) -> bool:
    """May it print more: it is live, or does not run yet?"""
    return lease in parts.core.state.leases if lease else job.status not in JOB_ENDED


async def _bytes(
    parts: Parts,
    build: BuildId,
    job: JobId,
    lease: LeaseId,
    stream: str,
    begin: int,
    end: int,
    *,
    follow: bool,
) -> AsyncIterator[bytes]:
    """Output from byte `begin` to `end`; with `follow` as it comes, until its lease has ended.

    It is the output of one lease, the next one where a follower came before any: another attempt is
    another output, in which `begin` would mean something else.
    """
    lease = lease or await _next_lease(parts, build, job, follow=follow)
    while lease:
        has_ended = lease not in parts.core.state.leases
        while data := await parts.outputs.read(lease, stream, begin, min(READ_BYTES, end - begin)):
            yield data
            begin += len(data)
        if has_ended or not follow or begin >= end or parts.journal.is_stopping:
            return
        await parts.outputs.wait(lease, stream, begin, LOOK_SECONDS)


async def _next_lease(parts: Parts, build: BuildId, job: JobId, *, follow: bool) -> LeaseId:
    while True:
        position = parts.journal.durable
        job_ = parts.core.state.job(build, job)
        is_final = job_.lease or job_.status in JOB_ENDED or parts.journal.is_stopping
        if is_final or not follow:
            return job_.lease
        await parts.journal.grown(position, Subject.build(build))  # as long as the client cares to wait


def _file_name(job: Job, stream: str) -> str:
    """Harmless on every system, whatever the job is called."""
    return f"{re.sub('[^A-Za-z0-9+-]+', '_', job.spec.name)[:80] or job.id[:8]}.{stream}.txt"


def _text() -> str:
    text = request.args.get("q", "")
    if not (0 < len(text) <= QUERY_CHARS_MAX and text.isprintable()):
        raise Rejected(MALFORMED, f"q must be a text of 1 to {QUERY_CHARS_MAX} characters in one line")
    return text


def _json(value: object) -> Response:
    return Response(codec.dumps(value), content_type=JSON)
