"""The coordinator's own API as the verbs need it: short names found, answers checked, pages walked.

Answers are kept whole beside what is read from them, so that `--json` passes on all that the coordinator
said, also what a later version adds.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec
import trio
from attrs import frozen

from clients import codec, wire
from clients.cli import exits
from clients.cli.exits import Failure
from clients.cli.texts import plain, short
from clients.cli.wording import Farm
from clients.codec import Malformed
from events.ids import is_hex40

T = TypeVar("T")

ANSWER_SECONDS = 30.0
PAGE = 200
CANDIDATES_SHOWN = 6
# So much of a job's output as is shown at once is read within this.
OUTPUT_SECONDS = 60.0


@frozen(kw_only=True)
class BuildInfo:
    id: str
    state: str
    name: str = ""
    jobs: int = 0
    reused: int = 0
    counts: dict[str, int] = {}
    started_at: float | None = None
    ended_at: float | None = None
    error: str = ""
    position: int = 0
    labels: dict[str, str] = {}
    priority: int = 0


@frozen(kw_only=True)
class JobInfo:
    id: str
    state: str
    name: str = ""
    attempt: int = 0
    stdout_bytes: int = 0
    stderr_bytes: int = 0


@frozen(kw_only=True)
class BuildState:
    position: int
    build: BuildInfo
    jobs: tuple[JobInfo, ...] = ()


@frozen(kw_only=True)
class LeaseInfo:
    id: str
    build: str = ""
    job: str = ""
    name: str = ""
    leased_at: float = 0.0


@frozen(kw_only=True)
class WorkerInfo:
    id: str
    state: str
    slots: int = 0
    slots_free: int = 0
    labels: dict[str, str] = {}
    native: bool = False
    last_seen: float | None = None
    leases: tuple[LeaseInfo, ...] = ()
    artifacts: int = 0


@frozen(kw_only=True)
class Workers:
    workers: tuple[WorkerInfo, ...]

    def farm(self) -> Farm:
        alive = [worker for worker in self.workers if worker.state == "alive"]
        slots = sum(max(worker.slots, len(worker.leases)) for worker in alive)
        return Farm(workers=len(alive), slots=slots, busy=sum(len(worker.leases) for worker in alive))


@frozen(kw_only=True)
class _Page:
    builds: tuple[BuildInfo, ...]
    next: str | int | None = None


@frozen(kw_only=True)
class _Cancelled:
    id: str
    state: str


class Api:
    """One coordinator. All raise `Unreachable`, `Refused` and `Malformed`; where they look for something
    by its short name, also `Failure`."""

    def __init__(self, client: wire.Client) -> None:
        self.client = client

    async def builds(
        self, *, state: str = "", labels: Mapping[str, str] | None = None, limit: int
    ) -> list[Any]:
        """The newest builds as the coordinator words them, newest first."""
        label = [f"{name}={value}" for name, value in (labels or {}).items()]
        found: list[Any] = []
        before: str | int | None = None
        while len(found) < limit:
            query = {"limit": min(PAGE, limit - len(found)), "state": state, "before": before, "label": label}
            raw = await self._get("/api/builds", {key: value for key, value in query.items() if value})
            page = read(raw, _Page)
            found += raw["builds"]
            before = page.next
            if before is None or not page.builds:
                break
        return found[:limit]

    async def build(self, build: str) -> BuildState:
        return read(await self._get(f"/api/builds/{quote(build, safe='')}"), BuildState)

    async def find_build(self, text: str) -> str:
        """The id of the one build whose id begins with `text`; else of the latest that is called so."""
        if is_hex40(text):
            return text
        infos = [read(raw, BuildInfo) for raw in await self.builds(limit=10_000)]
        named = [(info.id, info.name) for info in infos]
        latest = next((id_ for id_, name in named if name == text), "")
        if latest and not any(id_.startswith(text) for id_, _ in named):
            return latest
        return _the_one("build", text, named, lambda entry: entry[0].startswith(text), "terzetto builds")

    async def find_job(self, build: str, text: str) -> JobInfo:
        """The one job of the build that `text` names: by id, by name, or by the beginning of either."""
        jobs = (await self.build(build)).jobs
        named = [(job.id, job.name) for job in jobs]
        hint = f"terzetto watch {short(build)}"
        tests: list[Callable[[tuple[str, str]], bool]] = [
            lambda entry: text in entry,
            lambda entry: entry[0].startswith(text) or entry[1].startswith(text),
        ]
        test = next((test for test in tests if any(test(entry) for entry in named)), tests[0])
        found = _the_one("job", text, named, test, hint)
        return next(job for job in jobs if job.id == found)

    async def why(self, build: str, job: str, at: int | None) -> Any:
        """What became of the job, up to a position or up to now, as the coordinator words it."""
        target = f"/api/builds/{quote(build, safe='')}/jobs/{quote(job, safe='')}/why"
        return await self._get(target, {"at": at} if at else None)

    async def workers(self) -> tuple[Any, Workers]:
        """The workers, as the coordinator words them and as read."""
        raw = await self._get("/api/workers")
        return raw["workers"] if isinstance(raw, dict) and "workers" in raw else [], read(raw, Workers)

    async def cancel(self, build: str, reason: str) -> str:
        """Cancel the build; returns the state it is in now."""
        reply = await self.client.call(
            "POST",
            f"/api/builds/{quote(build, safe='')}/cancel",
            body=codec.dumps({"reason": reason}),
            headers=[("content-type", "application/json")],
            timeout_seconds=ANSWER_SECONDS,
        )
        return read(codec.loads(reply.raise_for_status().body), _Cancelled).state

    async def is_ready(self) -> bool:
        reply = await self.client.call("GET", "/readyz", timeout_seconds=ANSWER_SECONDS)
        return reply.status == 200

    async def date(self) -> str:
        """What the coordinator's clock says, as HTTP words it; empty if it does not say."""
        reply = await self.client.call("GET", "/healthz", timeout_seconds=ANSWER_SECONDS)
        return reply.raise_for_status().headers.get("date", "")

    @contextlib.asynccontextmanager
    async def output(
        self, build: str, job: str, stream: str, *, offset: int = 0, follow: bool = False
    ) -> AsyncIterator[wire.Response]:
        """The bytes of one output stream of a job from `offset` on; following, until the job has ended."""
        query = urlencode({"stream": stream, "from": offset, **({"follow": 1} if follow else {})})
        target = f"/api/builds/{quote(build, safe='')}/jobs/{quote(job, safe='')}/output?{query}"
        async with self.client.request("GET", target, timeout_seconds=ANSWER_SECONDS) as response:
            await response.require(200)
            yield response

    async def read_output(
        self, build: str, job: str, stream: str, *, bytes_max: int, offset: int = 0
    ) -> bytes:
        """Up to `bytes_max` bytes of the stream from `offset` on."""
        kept = bytearray()
        with trio.move_on_after(OUTPUT_SECONDS) as scope:
            async with self.output(build, job, stream, offset=offset) as response:
                async for chunk in response:
                    kept += chunk
                    if len(kept) >= bytes_max:
                        break
        if scope.cancelled_caught:
            raise wire.Unreachable(f"the output took longer than {OUTPUT_SECONDS:g} s")
        return bytes(kept[:bytes_max])

    async def _get(self, path: str, query: dict[str, Any] | None = None) -> Any:
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        reply = await self.client.call("GET", target, timeout_seconds=ANSWER_SECONDS)
        return codec.loads(reply.raise_for_status().body)


def _the_one(
    kind: str,
    text: str,
    named: Iterable[tuple[str, str]],
    test: Callable[[tuple[str, str]], bool],
    look: str,
) -> str:
    found = [entry for entry in named if test(entry)]
    if len(found) == 1:
        return found[0][0]
    if not found:
        raise Failure(exits.NOT_FOUND, f"there is no {kind} {plain(text)!r}", fix=f"look with `{look}`")
    shown = [f"{identifier} {plain(name)}".rstrip() for identifier, name in found[:CANDIDATES_SHOWN]]
    more = [f"and {len(found) - len(shown)} more"] if len(found) > len(shown) else []
    raise Failure(exits.AMBIGUOUS, "\n".join([f"{plain(text)!r} may be", *shown, *more]))


def read(value: Any, cls: type[T]) -> T:
    """A part of an answer as a value; raises `Malformed`."""
    try:
        return msgspec.convert(value, cls)
    except msgspec.ValidationError as error:
        raise Malformed(f"{cls.__name__.strip('_')}: {error}") from error
