"""The jobs at work: one task and one slot for each, started and stopped as the machine says."""

from collections.abc import Callable, Iterable, Sequence

import structlog
import trio

from clients.distbuild import JobResult, JobSpec, encode_bytes
from workers.execute import Executor, Slot, Verdict
from workers.machine import Decision, Key, Machine, Start, key_of
from workers.output import Output
from workers.stream import OutputStreams, Watched

log = structlog.get_logger()


class Jobs:
    """Carries out what the machine decides; `on_end()` is called after each job."""

    def __init__(
        self,
        machine: Machine,
        executor: Executor,
        streams: OutputStreams,
        slots: Sequence[Slot],
        on_end: Callable[[], None],
    ) -> None:
        self._machine = machine
        self._executor = executor
        self._streams = streams
        self._free = list(slots)
        self._on_end = on_end
        self._scopes: dict[Key, trio.CancelScope] = {}
        self._nursery: trio.Nursery | None = None
        self._idle = trio.Event()
        self._idle.set()

    async def serve_forever(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Own the tasks of all jobs; cancelling this kills them."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            await trio.sleep_forever()

    def carry_out(self, decisions: Iterable[Decision]) -> None:
        assert self._nursery is not None, "serve_forever comes first"
        for decision in decisions:
            if isinstance(decision, Start):
                self._scopes[decision.key] = trio.CancelScope()
                self._idle = trio.Event()
                self._nursery.start_soon(self._run, decision.spec)
            else:
                self._scopes[decision.key].cancel()

    async def drain(self) -> None:
        """Stop every job; returns when all are gone, which takes as long as killing them, about 2 s."""
        self.carry_out(self._machine.drain())
        if self._scopes:
            await self._idle.wait()

    async def _run(self, spec: JobSpec) -> None:
        key, slot, began = key_of(spec), self._free.pop(), trio.current_time()
        result = None
        try:
            with self._scopes[key]:
                result = await self._result(spec, slot)
        finally:
            self._free.append(slot)
            del self._scopes[key]
            if not self._scopes:
                self._idle.set()
        seconds = trio.current_time() - began
        self._tell(spec, result, seconds)
        self.carry_out(self._machine.finished(key, result, seconds))
        self._on_end()

    async def _result(self, spec: JobSpec, slot: Slot) -> JobResult:
        output = Output.limited()
        if not spec.lease:
            return _result(spec, await self._executor.run(spec, slot, output), output, None)
        watched = self._streams.watch(spec.lease, output)
        try:
            verdict = await self._executor.run(spec, slot, output)
            await self._streams.flush(watched)
            return _result(spec, verdict, output, watched)
        finally:
            self._streams.forget(watched)

    def _tell(self, spec: JobSpec, result: JobResult | None, seconds: float) -> None:
        outcome = "stopped" if result is None else result.error or "succeeded"
        log.info("job ended", job=spec.id, name=spec.name, outcome=outcome, seconds=round(seconds, 4))


def _result(spec: JobSpec, verdict: Verdict, output: Output, watched: Watched | None) -> JobResult:
    sent = watched.sent if watched is not None else {"stdout": 0, "stderr": 0}
    return JobResult(
        id=spec.id,
        stdout=encode_bytes(bytes(output.stdout.kept[sent["stdout"] :])),
        stderr=encode_bytes(bytes(output.stderr.kept[sent["stderr"] :])),
        exit_code=verdict.exit_code,
        error=verdict.error,
        lease=spec.lease,
        stdout_offset=sent["stdout"],
        stderr_offset=sent["stderr"],
        fetch_seconds=verdict.fetch_seconds,
        # Only our coordinator has the artifacts made again; to others this is a failure like any other.
        lost_artifacts=verdict.lost if spec.lease else (),
    )
