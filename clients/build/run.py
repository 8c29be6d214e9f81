"""The whole story of a build from its client's side: start, upload, signal, follow to the end, fetch.

With our own coordinator nothing is lost on the way: a repeated start with the same key is the same
build, uploads and signals may be repeated, and the records are followed by position. With a foreign one
the stream that answered the start is all there is.
"""

import contextlib
import random
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

import structlog
import trio

from clients import codec, wire
from clients.archive import RunSync
from clients.backoff import TRANSIENT, TRANSIENT_UNDER_WAY, persist
from clients.build.fetch import Fetcher, OutDirectory, places, roots
from clients.build.foreign import ForeignRecords
from clients.build.job_output import fetch_tails
from clients.build.observer import Observer, Patience
from clients.build.outcome import Outcome, Tally, Verdict
from clients.build.sources import Sources, SourceUnusable
from clients.codec import Malformed
from clients.distbuild import BuildRequest, Cancel, Graph, SignalRequest, UploadDone
from clients.distbuild_client import BuildStream, DistbuildClient
from clients.live import START, Line, Link, LinkState, OutcomeUnknown, follow
from clients.wire.origins import Origins
from events.ids import BuildId, JobId, Position
from events.transitions import BUILD_ENDED

POSITION_HEADER = "terzetto-position"
STATE_SECONDS = 10.0
# Sources that were stored and are gone again are sent anew, but not for ever.
SUPPLIES_MAX = 5
# Failed jobs whose output is fetched.
OUTPUTS_MAX = 20

T = TypeVar("T")
Outputs = Mapping[JobId, tuple[bytes, bytes]]

log = structlog.get_logger()


class BuildRun:
    """One build: `submit` it, then `finish` it; an async context manager that closes what it opened.

    `key` makes the start safe to repeat and must be new for every build. `out`, where given, receives the
    artifacts of the jobs that no other job depends on. `root` is where the graph's source paths begin.
    """

    def __init__(
        self,
        client: wire.Client,
        graph: Graph,
        root: Path,
        *,
        key: str,
        chance: random.Random,
        out: Path | None = None,
        name: str = "",
        keep_going: bool = False,
        labels: Mapping[str, str] | None = None,
        priority: int = 0,
        observer: Observer | None = None,
        patience: Patience | None = None,
        origins: Origins | None = None,
        now: Callable[[], float] = time.time,
        run_sync: RunSync = trio.to_thread.run_sync,
    ) -> None:
        self.build: BuildId | None = None
        self.is_native = False
        self._client = client
        self._distbuild = DistbuildClient(client)
        self._request = BuildRequest(
            graph=graph, name=name, keep_going=keep_going, labels=dict(labels or {}), priority=priority
        )
        self._sources = Sources(root, graph.source_files, run_sync=run_sync)
        self._key = key
        self._chance = chance
        self._out = None if out is None else OutDirectory(out)
        self._observer = observer or Observer()
        self._patience = patience or Patience()
        self._origins, self._owns_origins = origins or Origins(), origins is None
        self._now = now
        self._run_sync = run_sync
        self._position = START
        self._tally = Tally(graph.jobs)
        self._stream = contextlib.AsyncExitStack()
        self._updates: BuildStream | None = None
        self._cancel_reason: str | None = None
        self._starting, self._supplying = trio.CancelScope(), trio.CancelScope()
        self._foreign = trio.CancelScope()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stream.aclose()
        if self._owns_origins:
            await self._origins.aclose()

    async def submit(self) -> None:
        """Start the build and give it its sources; on return its jobs may run. Once only.

        Raises `Unreachable`, `Refused`, `Malformed`, `SourceUnusable`, `OutOccupied` or OSError; whatever
        was started is then cancelled. After `cancel` it returns early, and `finish` tells the end.
        """
        if self._out is not None:
            names = places(roots(self._request.graph.jobs)).values()
            await self._run_sync(partial(self._out.prepare, list(names)))
        missing: list[str] = []
        with self._starting:
            missing = await self._start()
        if self.build is None:
            return
        if self._cancel_reason is not None:
            await self._post_cancel(self._cancel_reason)
            return
        with self._supplying:
            await self._supply_or_cancel(missing)

    async def finish(self) -> Outcome:
        """Follow the build to its end, then fetch what it made. Raises `Refused` if there is no following."""
        if self.build is None:
            return Outcome(build=None, verdict=Verdict.CANCELLED, reason=self._cancel_reason or "")
        try:
            outputs = await (self._follow(self.build) if self.is_native else self._read_updates())
        except (OutcomeUnknown, wire.Unreachable, Malformed) as error:
            return Outcome(build=self.build, verdict=Verdict.UNKNOWN, reason=str(error))
        fetched, unfetched = await self._fetch(self.build)
        return Outcome(
            build=self.build,
            verdict=self._tally.verdict,
            reason=self._tally.reason,
            failed=self._tally.failed_jobs(outputs),
            fetched=tuple(sorted(fetched)),
            unfetched=tuple(sorted(unfetched)),
        )

    async def cancel(self, reason: str) -> None:
        """Ask for the build's end; `finish` sees it come. Raises `Unreachable` if nobody hears us.

        A foreign coordinator has no such signal: for it, closing the stream is the request.
        """
        self._cancel_reason = reason
        self._starting.deadline = trio.current_time() + self._patience.cancel_seconds
        self._supplying.cancel()
        if self.build is not None:
            await self._post_cancel(reason)

    async def _start(self) -> list[str]:
        """Start the build, or ask again for the one with our key; returns the missing sources."""

        async def ask() -> BuildStream:
            return await self._stream.enter_async_context(
                self._distbuild.start_build(self._request, on_disconnect_continue=True, key=self._key)
            )

        stream = await self._persist(ask, self._patience.start_seconds)
        missing = list(stream.started.missing_files)
        is_first = self.build is None
        self.build, self._updates = BuildId(stream.started.id), stream
        self.is_native = POSITION_HEADER in stream.headers
        if self.is_native:
            if is_first:
                self._position = _position(stream.headers[POSITION_HEADER])
            await self._stream.aclose()  # the build goes on without it, and records say more
        if is_first:
            self._observer.on_started(self.build, len(missing), is_native=self.is_native)
        return missing

    async def _supply_or_cancel(self, missing: list[str]) -> None:
        try:
            await self._supply(missing)
        except (wire.Unreachable, wire.Refused, wire.TooLarge, Malformed, SourceUnusable) as error:
            if isinstance(error, wire.Refused) and await self._has_ended():
                return  # somebody else ended the build, and `finish` will tell
            with contextlib.suppress(wire.Unreachable):
                await self._post_cancel(f"its client failed: {error}")
            raise

    async def _supply(self, missing: list[str]) -> None:
        for turn in range(1, SUPPLIES_MAX + 1):
            try:
                await self._upload(missing)
                return
            except wire.Refused as refusal:
                is_final = refusal.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or turn == SUPPLIES_MAX
                if is_final or not self.is_native or not self._key:
                    raise
            # A source that was there may be gone meanwhile: our key gets us the list as it is now.
            missing = await self._start()

    async def _upload(self, missing: list[str]) -> None:
        assert self.build is not None
        await self._sources.upload(
            missing,
            self._distbuild,
            chance=self._chance,
            patience_seconds=self._patience.upload_seconds,
            tell=self._observer.on_upload,
        )
        done = SignalRequest(upload_done=UploadDone())
        await self._persist(
            partial(self._distbuild.signal, self.build, done),
            self._patience.upload_seconds,
            TRANSIENT_UNDER_WAY,
        )

    async def _has_ended(self) -> bool:
        if not self.is_native:
            return False
        target = f"/api/builds/{self.build}"

        async def ask() -> wire.Reply:
            return (await self._client.call("GET", target, timeout_seconds=STATE_SECONDS)).raise_for_status()

        try:
            value = codec.loads((await self._persist(ask, self._patience.cancel_seconds)).body)
        except (wire.Unreachable, wire.Refused, wire.TooLarge, Malformed) as error:
            log.info("no state", build=self.build, error=str(error))
            return False  # then the refusal that made us ask is all there is to say
        build = value.get("build") if isinstance(value, dict) else None
        return isinstance(build, dict) and build.get("state") in BUILD_ENDED

    async def _post_cancel(self, reason: str) -> None:
        assert self.build is not None
        if not self.is_native:
            self._foreign.cancel()
            await self._stream.aclose()
            return
        signal = SignalRequest(cancel=Cancel(reason=reason))
        try:
            await self._persist(
                partial(self._distbuild.signal, self.build, signal), self._patience.cancel_seconds
            )
        except wire.Refused as refusal:
            # It has ended already; its records say how.
            log.info("cancel refused", build=self.build, status=refusal.status, error=refusal.text)

    async def _follow(self, build: BuildId) -> Outputs:
        async with follow(
            self._client,
            build,
            after=self._position,
            chance=self._chance,
            tell=self._observer.on_link,
            silence_seconds=self._patience.silence_seconds,
            give_up_seconds=self._patience.follow_seconds,
        ) as records:
            await self._take_all(records)
        return await fetch_tails(self._client, build, islice(self._tally.failures.values(), OUTPUTS_MAX))

    async def _read_updates(self) -> Outputs:
        assert self._updates is not None
        records = ForeignRecords(self._updates, now=self._now)
        with self._foreign:
            await self._take_all(records)
        if self._foreign.cancelled_caught:
            self._tally.verdict, self._tally.reason = Verdict.CANCELLED, self._cancel_reason or ""
        return records.outputs

    async def _take_all(self, records: AsyncIterable[Line]) -> None:
        async for line in records:
            self._tally.add(line)
            self._observer.on_record(line)

    async def _fetch(self, build: BuildId) -> tuple[list[Path], list[str]]:
        made = [job for job in roots(self._request.graph.jobs) if job.id in self._tally.succeeded]
        if self._out is None or self._tally.verdict in (Verdict.CANCELLED, Verdict.UNKNOWN) or not made:
            return [], []
        if not self.is_native:
            reason = "this coordinator does not tell which worker holds an artifact"
            return [], [f"{job.name or job.id}: {reason}" for job in made]
        self._observer.on_fetching(len(made))
        names = places(roots(self._request.graph.jobs))
        fetcher = Fetcher(
            self._client, self._origins, self._out, chance=self._chance, run_sync=self._run_sync
        )
        await fetcher.fetch(
            build,
            {job.id: names[job.id] for job in made},
            lambda job, path: self._observer.on_fetched(JobId(job), path),
        )
        return fetcher.fetched, fetcher.unfetched

    async def _persist(
        self, attempt: Callable[[], Awaitable[T]], seconds: float, transient: frozenset[int] = TRANSIENT
    ) -> T:
        was_lost = False

        def lost(error: Exception, delay: float) -> None:
            nonlocal was_lost
            was_lost = True
            self._observer.on_link(Link(state=LinkState.LOST, error=str(error), retry_seconds=delay))

        result = await persist(
            attempt, chance=self._chance, seconds=seconds, on_retry=lost, transient=transient
        )
        if was_lost:
            self._observer.on_link(Link(state=LinkState.RECONNECTED))
        return result


def _position(text: str) -> Position:
    if not text.isdecimal():
        raise Malformed(f"the header {POSITION_HEADER} is no position: {text[:40]!r}")
    return Position(int(text))


async def run_build(
    client: wire.Client,
    graph: Graph,
    root: Path,
    *,
    key: str,
    chance: random.Random,
    out: Path | None = None,
    observer: Observer | None = None,
) -> Outcome:
    """A build from start to artifacts, for callers that have nothing to say in between."""
    run = BuildRun(client, graph, root, key=key, chance=chance, out=out, observer=observer)
    async with run:
        await run.submit()
        return await run.finish()
