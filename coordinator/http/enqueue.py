"""Our own way in for typed jobs: one by itself, with what it depends on named by id."""

from quart import Response

from clients import codec
from clients import composer as wire
from clients.codec import Malformed
from coordinator.builds import start
from coordinator.parts import Parts
from coordinator.single import single
from events.commands import NewJob
from events.errors import MALFORMED, TOO_LARGE, Rejected
from events.ids import JobId, as_uuid

# Arguments are in the log.
ARGS_BYTES_MAX = 4 << 20
TEXT_CHARS_MAX = 256
DEPENDENCIES_MAX = 1000


async def add(parts: Parts, body: bytes) -> Response:
    """`POST /api/jobs`, as far as it is for a typed job; raises `Malformed`, `Rejected`."""
    sent = wire.read_job(body)
    uuid = as_uuid(parts.core.new_id(16))
    job = _job(sent, JobId(uuid.replace("-", "").ljust(40, "0")))
    command = await parts.core.view(lambda state: single(state, job, uuid, sent.dependencies))
    build = await start(parts.core, command)
    base = parts.config.base_path
    value = {
        "kind": "Job",
        "id": uuid,
        "href": f"{base}/api/builds/{build}",
        "build": build,
        "job": job.id,
    }
    return Response(codec.dumps(value), 201, content_type=wire.JSON)


def _job(sent: wire.NewJobRequest, id_: JobId) -> NewJob:
    texts = (sent.type, sent.channel, sent.arch)
    if not sent.type or any(len(text) > TEXT_CHARS_MAX for text in texts):
        raise Malformed(f"type, channel and arch have at most {TEXT_CHARS_MAX} characters, type at least one")
    if sent.type == wire.BY_ARCH and not sent.arch:
        raise Malformed(f"a job of the type {wire.BY_ARCH} needs an arch")
    if len(sent.dependencies) > DEPENDENCIES_MAX:
        raise Rejected(MALFORMED, f"a job has at most {DEPENDENCIES_MAX} dependencies")
    args = "" if isinstance(sent.args, wire.Missing) else wire.text_of(sent.args)
    if len(args.encode()) > ARGS_BYTES_MAX:
        raise Rejected(TOO_LARGE, f"args have at most {ARGS_BYTES_MAX} bytes")
    [job_type] = wire.own_types([sent.type], sent.arch)
    return NewJob(id=id_, name=sent.type, job_type=job_type, channel=sent.channel, args=args)
