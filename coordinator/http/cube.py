"""The manager's side of Cube: tasks and nodes; decode, submit or view, encode.

Wire-exact to the book's manager: a wish is answered with 201 or 204 before anything has come of it, and
what has is looked up; refusals are its `ErrResponse`, or a bare 404.
"""

from uuid import uuid4

from attrs import evolve
from quart import Blueprint, Response, request

from clients import codec
from clients import tasks as wire
from clients.codec import Malformed
from clients.server import receive_body
from coordinator import tasks
from coordinator.http import cube_wire as translate
from coordinator.http.errors import as_rejected, status_of
from coordinator.parts import Parts
from events.errors import BUILD_UNKNOWN, MALFORMED, Rejected

TASK_BYTES_MAX = 1 << 20
JSON = "application/json"
# What Go's server says of an answer whose kind was not said: it looks at the bytes.
SNIFFED = "text/plain; charset=utf-8"


def blueprint(parts: Parts) -> Blueprint:
    """The dialect's routes."""
    dialect = Blueprint("cube", __name__)

    @dialect.post(wire.PATH_TASKS)
    async def run() -> Response:
        event = _read(await receive_body(TASK_BYTES_MAX))
        known = await parts.core.view(lambda state: tasks.find(state, event.task.id))
        if known is None:
            await _start(parts, event)
        elif event.state == wire.State.COMPLETED:
            await tasks.stop(parts.core, known)
        return Response(codec.write(event.task) + b"\n", 201, content_type=SNIFFED)

    @dialect.get(wire.PATH_TASKS)
    async def every() -> Response:
        worker = request.args.get("worker")
        found = await parts.core.view(
            lambda state: tasks.every(state) if worker is None else tasks.of_worker(state, _id(worker))
        )
        return _json([codec.unstructure(translate.task(each)) for each in found] or None)

    @dialect.delete(f"{wire.PATH_TASKS}/<name>")
    async def stop(name: str) -> Response:
        id_ = wire.as_uuid(name)
        known = await parts.core.view(lambda state: tasks.find(state, id_ or ""))
        if known is None:
            return Response(b"", 404, content_type=SNIFFED)
        await tasks.stop(parts.core, known)
        return Response(b"", 204, content_type=SNIFFED)

    @dialect.get(wire.PATH_NODES)
    async def nodes() -> Response:
        alive = await parts.core.view(lambda state: list(state.silence))
        stats = await parts.nodes.stats(alive)
        return _json(
            await parts.core.view(
                lambda state: (
                    [
                        codec.unstructure(translate.node(state, worker, stats.get(worker.id)))
                        for worker in state.workers.values()
                        if worker.alive
                    ]
                    or None
                )
            )
        )

    @dialect.errorhandler(Exception)
    async def refuse(error: Exception) -> Response:
        rejected = as_rejected(error)
        status = status_of(rejected.code)
        return Response(
            wire.ErrResponse(status=status, message=str(rejected.reason)).encoded(),
            status,
            content_type=SNIFFED,
        )

    return dialect


def _read(body: bytes) -> wire.TaskEvent:
    """The event; a task that has no id gets one, which the answer tells. Raises `Rejected`."""
    try:
        event = wire.read_event(body)
    except Malformed as error:
        raise Rejected(MALFORMED, f"Error unmarshalling body: {error}\n") from error
    if event.task.id == wire.NOBODY:
        return evolve(event, task=evolve(event.task, id=str(uuid4())))
    return event


async def _start(parts: Parts, event: wire.TaskEvent) -> None:
    if event.state == wire.State.COMPLETED:
        raise Rejected(BUILD_UNKNOWN, f"there is no task {event.task.id} to be stopped")
    command = translate.start(event.task, request.args.get("worker", ""), parts.core.now())
    await tasks.run(parts.core, command)


_id = translate.worker_of


def _json(value: object) -> Response:
    return Response(codec.dumps(value) + b"\n", content_type=JSON)
