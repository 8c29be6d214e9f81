"""One build on its way to the screen: records folded, the display told, failed jobs' output fetched."""

import os
import signal
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import trio

from clients import wire
from clients.build.observer import Observer
from clients.cli import wording
from clients.cli.api import Api
from clients.cli.progress import Display
from clients.cli.sanitise import sanitise
from clients.cli.texts import duration, plain, short, size
from clients.cli.view import BuildView, JobView
from clients.cli.wording import Farm
from clients.codec import Malformed
from clients.distbuild import Graph
from clients.live import Line, Link, LinkState
from events.ids import BuildId, JobId
from events.transitions import BuildStatus, JobStatus

# Of each stream of a failed job so much is shown; the rest stays with the coordinator.
OUTPUT_BYTES_MAX = 1 << 20
LOOK_SECONDS = 0.5
FARM_SECONDS = 2.0
# Fetching output must not hold up the end of a build for longer than this.
DRAIN_SECONDS = 20.0


class Show(Observer):
    """Follows one build for a display.

    `run` paints and fetches until cancelled; `view` is None until the build is known. `graph` is needed
    where the coordinator may be a foreign one.
    """

    def __init__(
        self,
        api: Api,
        display: Display,
        *,
        name: str = "",
        graph: Graph | None = None,
        aim: str | None = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.view: BuildView | None = None
        self.tails: dict[str, str] = {}
        self._api = api
        self._display = display
        self._name = name
        self._graph = graph
        self._aim = aim
        self._clock = clock
        # How far the coordinator's clock is ahead, at least: no record is from its future.
        self._skew: float | None = None
        self._farm: Farm | None = None
        self._owed: deque[JobView] = deque()
        self._is_owed = trio.Event()
        self._is_paid = trio.Event()
        self._is_paid.set()
        self._fetched, self._to_fetch = 0, 0
        self._link: Link | None = None
        self._link_lost_at = 0.0
        self._upload = ""
        self._is_cancelling = False

    # --- what the build tells

    def on_started(self, build: BuildId, missing: int, *, is_native: bool) -> None:
        self._link = None
        if is_native or self._graph is None:
            self.view = BuildView(id=build, name=self._name)
        else:
            self.view = BuildView.of_foreign(build, self._graph, name=self._name, started_at=self._clock())
        if missing:
            self.on_upload(0, missing)

    def on_upload(self, done: int, total: int) -> None:
        self._upload = f"uploading {done}/{total} source files" if done < total else ""
        self._tell_doing()

    def on_link(self, link: Link) -> None:
        self._link = link if link.state is LinkState.LOST else None
        self._link_lost_at = trio.current_time()
        self._tell_doing()

    def on_fetching(self, total: int) -> None:
        self._to_fetch = total
        self._tell_doing()

    def on_fetched(self, _job: JobId, _path: Path) -> None:
        self._fetched += 1
        self._tell_doing()

    def on_record(self, line: Line) -> None:
        assert self.view is not None, "a build is known before its records come"
        ahead = line.at - self._clock()
        self._skew = ahead if self._skew is None else max(self._skew, ahead)
        job = self.view.fold(line)
        self._display.changed(self.view, job, line)
        if job is not None and self._is_to_be_shown(job, line):
            self._owed.append(job)
            self._is_paid = trio.Event() if self._is_paid.is_set() else self._is_paid
            self._is_owed.set()

    # --- what happens meanwhile

    async def run(self) -> None:
        """Paint, look after the workers and fetch output, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._heed_stops_forever)
            nursery.start_soon(self._paint_forever)
            nursery.start_soon(self._watch_workers_forever)
            nursery.start_soon(self._fetch_forever)

    async def finish(self) -> None:
        """Wait, but not long, for output that is still to be shown."""
        with trio.move_on_after(DRAIN_SECONDS):
            await self._is_paid.wait()

    def conclude(self, *, url: str, coordinator: str) -> None:
        """The last words, once the build has ended: what failed, then the summary."""
        assert self.view is not None, "it has ended"
        symbols = self._display.symbols
        summary = wording.summary(self.view, url=url, aim=self._aim, coordinator=coordinator, symbols=symbols)
        self._display.conclude([*wording.failures(self.view, self.tails, symbols), *summary])

    def note(self, text: str) -> None:
        self._display.note(text)

    def on_cancelling(self, text: str) -> None:
        """The user wants no more of it, which the text says."""
        self._is_cancelling = True
        self._display.note(text)
        self._tell_doing()

    def keep_tail(self, job: str, stdout: bytes, stderr: bytes) -> None:
        """Remember the end of what a failed job printed, for the summary."""
        self.tails[job] = sanitise(stdout.rstrip() + b"\n" + stderr, colour=False).strip("\n")

    @property
    def _now(self) -> float:
        return self._clock() + (self._skew or 0.0)

    def _is_to_be_shown(self, job: JobView, line: Line) -> bool:
        if self.view is None or self.view.is_foreign or not job.stdout_bytes + job.stderr_bytes:
            return False
        return line.type == "JobFailed" or (line.type == "JobSucceeded" and self._display.shows_output_of_all)

    def _tell_doing(self) -> None:
        self._display.doing(self._doing())

    def _doing(self) -> str:
        """What goes on beside the build's own progress, the most pressing first."""
        if self._link is not None:
            left = self._link.retry_seconds - (trio.current_time() - self._link_lost_at)
            again, error = duration(left) if left > 0 else "now", plain(self._link.error)
            if self.view is None:
                return f"waiting for the coordinator ({again}): {error}"
            return f"reconnecting ({again}): {error}"
        if self._to_fetch:
            return f"fetching what was made: {self._fetched}/{self._to_fetch}"
        if self._is_cancelling and self.view is not None and not self.view.has_ended:
            running = len(self.view.running)
            return f"cancelling: {f'{running} running' if running else 'waiting for the coordinator'}"
        return self._upload

    async def _heed_stops_forever(self) -> None:
        """Leave the terminal tidy to whoever uses it while we are stopped, and begin anew afterwards."""
        with trio.open_signal_receiver(signal.SIGTSTP, signal.SIGCONT) as received:
            async for number in received:
                if number == signal.SIGTSTP:
                    self._display.pause()
                    _stop_this_process()
                else:
                    self._display.resume()

    async def _paint_forever(self) -> None:
        while True:
            if self._link is not None or self._is_cancelling:
                self._tell_doing()
            self._display.tick(self.view, self._farm, self._now)
            await trio.sleep(self._display.tick_seconds)

    async def _watch_workers_forever(self) -> None:
        while True:
            if not self._has_queued:
                self._farm = None
                await trio.sleep(LOOK_SECONDS)
                continue
            try:
                self._farm = (await self._api.workers())[1].farm()
            except (wire.Unreachable, wire.Refused, wire.TooLarge, Malformed):
                self._farm = None  # then the display says less; the stream itself tells of outages
            await trio.sleep(FARM_SECONDS)

    @property
    def _has_queued(self) -> bool:
        """Is it worth knowing what the workers do?"""
        view = self.view
        return (
            view is not None
            and not view.is_foreign
            and view.status is BuildStatus.RUNNING
            and view.counts[JobStatus.QUEUED] > 0
        )

    async def _fetch_forever(self) -> None:
        while True:
            await self._is_owed.wait()
            while self._owed:
                await self._show_output(self._owed.popleft())
            self._is_owed = trio.Event()
            self._is_paid.set()

    async def _show_output(self, job: JobView) -> None:
        assert self.view is not None
        try:
            stdout = await self._read(job, "stdout", job.stdout_bytes)
            stderr = await self._read(job, "stderr", job.stderr_bytes)
        except (wire.Unreachable, wire.Refused) as error:
            self._display.note(f"the output of {plain(job.label)} could not be fetched: {plain(str(error))}")
            return
        self._display.output(job, stdout, stderr)
        if job.status is JobStatus.FAILED:
            self.keep_tail(job.id, stdout, stderr)

    async def _read(self, job: JobView, stream: str, total: int) -> bytes:
        """The stream, or its two ends where it is too long to be shown."""
        assert self.view is not None
        if not total:
            return b""
        if total <= OUTPUT_BYTES_MAX:
            return await self._api.read_output(self.view.id, job.id, stream, bytes_max=total)
        half = OUTPUT_BYTES_MAX // 2
        head = await self._api.read_output(self.view.id, job.id, stream, bytes_max=half)
        tail = await self._api.read_output(self.view.id, job.id, stream, bytes_max=half, offset=total - half)
        command = f"terzetto output {short(self.view.id)} {short(job.id)}{self._aim or ''}"
        return head + f"\n… {size(total - 2 * half)} not shown; all of it: {command}\n".encode() + tail


def _stop_this_process() -> None:
    """As the signal does by itself: not if there is nobody who could let us go on."""
    ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, ours)
