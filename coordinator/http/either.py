"""`POST /api/jobs` is spoken in two dialects, and the body says in which: this is the one place that decides.

A job of the job manager has a `command`, or `tasks`. One of a type that workers ask for has neither.
"""

from quart import Blueprint, Response

from clients import jobs as wire
from clients.codec import Malformed
from clients.server import receive_body
from coordinator.http import enqueue, jobs
from coordinator.http.errors import answer_json, as_rejected
from coordinator.parts import Parts

# Arguments of a typed job are in it.
BODY_BYTES_MAX = 8 << 20


def blueprint(parts: Parts) -> Blueprint:
    """The route below /api."""
    either = Blueprint("either", __name__)

    @either.post("/jobs")
    async def start() -> Response:
        body = await receive_body(BODY_BYTES_MAX)
        if not _is_for_the_manager(body):
            return await enqueue.add(parts, body)
        try:
            return await jobs.submit(parts, body)
        except Exception as error:
            return jobs.refusal(error)

    @either.errorhandler(Exception)
    async def refuse(error: Exception) -> Response:
        return answer_json(as_rejected(error))

    return either


def _is_for_the_manager(body: bytes) -> bool:
    try:
        return wire.is_job(wire.read_object(body))
    except Malformed:
        return False
