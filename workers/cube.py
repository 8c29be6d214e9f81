"""The worker's side of Cube: its tasks, its containers as the engine sees them, and how busy the machine is.

What is wished for here is passed on to the coordinator, for this worker alone, so that the log stays the
only truth; what is asked for here is asked there. Only the engine and the machine are looked at directly.
"""

from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from attrs import define
from quart import Blueprint, Response

from clients import codec, wire
from clients import tasks as cube
from clients.archive import RunSync
from clients.codec import Malformed
from clients.server import receive_body
from workers.containers import Containers
from workers.engine import Engine, EngineLost, EngineRefused
from workers.stats import stats

TASK_BYTES_MAX = 1 << 20
LIST_BYTES_MAX = 64 << 20
PASS_SECONDS = 10.0
JSON = "application/json"
SNIFFED = "text/plain; charset=utf-8"


@define(eq=False)
class Cube:
    """What the routes need: the coordinator, under what URL it knows us, the engine, and the machine."""

    coordinator: wire.Client
    data: Path
    run_sync: RunSync
    # Known once the server is bound.
    url: str = ""
    containers: Containers | None = None

    @property
    def engine(self) -> Engine | None:
        return self.containers.engine if self.containers else None

    async def stats(self) -> dict[str, Any]:
        """The machine now, with how many jobs run in containers."""
        at_work = self.containers.at_work if self.containers else 0
        return await self.run_sync(partial(stats, self.data, at_work))

    async def pass_on(self, method: str, target: str, body: bytes = b"") -> wire.Reply:
        """To the coordinator and back. Raises `Unreachable`."""
        return await self.coordinator.call(
            method, target, body=body, timeout_seconds=PASS_SECONDS, bytes_max=LIST_BYTES_MAX
        )

    async def container(self, task: str) -> str:
        """The id of the container that runs the task here; empty if none does. Raises `Unreachable`."""
        reply = await self.pass_on("GET", f"{cube.PATH_TASKS}?worker={quote(self.url, safe='')}")
        try:
            said = codec.loads(reply.raise_for_status().body) or []
        except (wire.Refused, Malformed):
            return ""
        return next((str(each["ContainerID"]) for each in said if each.get("ID") == task), "")


def routes(served: Cube) -> Blueprint:
    """Cube's routes, as its worker has them."""
    dialect = Blueprint("cube", __name__)

    @dialect.post(cube.PATH_TASKS)
    async def run() -> Response:
        target = f"{cube.PATH_TASKS}?worker={quote(served.url, safe='')}"
        return _as_it_came(await served.pass_on("POST", target, await receive_body(TASK_BYTES_MAX)))

    @dialect.get(cube.PATH_TASKS)
    async def every() -> Response:
        target = f"{cube.PATH_TASKS}?worker={quote(served.url, safe='')}"
        return _as_it_came(await served.pass_on("GET", target))

    @dialect.get(f"{cube.PATH_TASKS}/<name>")
    async def inspect(name: str) -> Response:
        task = cube.as_uuid(name)
        container = await served.container(task) if task and served.engine else ""
        if not container or served.engine is None:
            return Response(b"", 404, content_type=SNIFFED)
        return Response(codec.dumps(await served.engine.inspect(container)) + b"\n", content_type=JSON)

    @dialect.delete(f"{cube.PATH_TASKS}/<name>")
    async def stop(name: str) -> Response:
        return _as_it_came(await served.pass_on("DELETE", f"{cube.PATH_TASKS}/{quote(name, safe='')}"))

    @dialect.get(cube.PATH_STATS)
    async def machine() -> Response:
        return Response(codec.dumps(await served.stats()) + b"\n", content_type=JSON)

    @dialect.errorhandler(wire.Unreachable)
    @dialect.errorhandler(wire.TooLarge)
    async def out_of_reach(error: Exception) -> Response:
        return _refusal(503, f"the coordinator is out of reach: {error}")

    @dialect.errorhandler(EngineLost)
    async def engine_lost(error: Exception) -> Response:
        return _refusal(503, f"the container engine is out of reach: {error}")

    @dialect.errorhandler(EngineRefused)
    async def engine_refused(error: EngineRefused) -> Response:
        return Response(b"", 404, content_type=SNIFFED) if error.status == 404 else _refusal(500, str(error))

    return dialect


def _as_it_came(reply: wire.Reply) -> Response:
    return Response(reply.body, reply.status, content_type=reply.headers.get("content-type", SNIFFED))


def _refusal(status: int, message: str) -> Response:
    return Response(cube.ErrResponse(status=status, message=message).encoded(), status, content_type=SNIFFED)
