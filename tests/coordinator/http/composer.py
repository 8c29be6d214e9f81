"""A composer worker as osbuild-composer's are, and those who hand in jobs for it."""

import json
from typing import Any

from attrs import frozen

from clients.wire import Reply
from tests.coordinator.live import Live

BASE = "/api/worker/v1"
JSON = {"content-type": "application/json"}
NOBODY = "6f4d1f2e-0000-4000-8000-000000000001"


@frozen
class Dialect:
    """Its verbs on a live coordinator; everything is checked by the caller."""

    live: Live
    base: str = BASE

    async def send(self, method: str, target: str, body: object = b"") -> Reply:
        """As the worker sends it: JSON, and no other content type."""
        return await self.live.call(method, self.base + target, body, JSON)

    async def get(self, target: str, status: int = 200) -> Any:
        return value(await self.live.call("GET", self.base + target), status)

    async def post(self, target: str, body: object = b"", status: int = 201) -> Any:
        return value(await self.send("POST", target, body), status)

    async def patch(self, token: str, body: object, status: int = 200) -> Any:
        return value(await self.send("PATCH", f"/jobs/{token}", body), status)

    async def put(self, token: str, name: str, body: bytes) -> Reply:
        return await self.live.call("PUT", f"{self.base}/jobs/{token}/artifacts/{name}", body)

    async def add(self, job_type: str = "x", **more: object) -> Any:
        """Hand in a job by itself."""
        reply = await self.live.call("POST", "/api/jobs", {"type": job_type, **more})
        return value(reply, 201)

    async def about(self, added: Any) -> Any:
        """The build of a job that was handed in by itself."""
        return (await self.live.get(f"/api/builds/{added['build']}"))["build"]

    async def take(self, *types: str, arch: str = "x86_64", channel: str = "") -> "Taken":
        """A job that is there."""
        body = {"types": types or ("x",), "arch": arch}
        return Taken(await self.post(f"/jobs?channel={channel}" if channel else "/jobs", body))

    async def end(self, job_type: str = "x", result: object = None) -> "Taken":
        """The next job of a type, with its result."""
        taken = await self.take(job_type)
        await self.patch(taken.token, {"result": result})
        return taken


@frozen
class Taken:
    """What a request for a job was answered with."""

    answer: Any

    @property
    def token(self) -> str:
        token: str = self.answer["location"].rpartition("/")[2]
        return token

    @property
    def id(self) -> str:
        id_: str = self.answer["id"]
        return id_


def value(reply: Reply, status: int) -> Any:
    """The JSON of an answer that must have this status."""
    assert reply.status == status, (reply.status, reply.body)
    return json.loads(reply.body) if reply.body else None


def number(reply: Reply) -> tuple[int, str]:
    """Status and number of a refusal, which must have all that a refusal has."""
    body = json.loads(reply.body)
    assert body.keys() == {"href", "id", "kind", "code", "operation_id", "reason", "message"}
    assert (body["kind"], body["code"]) == ("Error", f"IMAGE-BUILDER-WORKER-{body['id']}")
    assert (body["message"], len(body["operation_id"])) == (body["reason"], 27)
    return reply.status, body["id"]
