"""A worker over the composer worker API: each slot asks for a job, runs its commands, hands the result in.

Its jobs are of the type `terzetto`, and their arguments say what to run, as they would in a graph. A
coordinator of this kind takes back by itself what was not heard of for a while; so on a stop what runs is
killed, and nothing is said.
"""

import platform as machine
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import structlog
import trio
from attrs import define, frozen

from clients import composer as protocol
from clients import wire
from clients.archive import RunSync
from clients.backoff import TRANSIENT_UNDER_WAY, Backoff, persist
from clients.codec import Malformed
from clients.composer_client import ComposerClient
from clients.distbuild import Cmd, JobSpec
from clients.distbuild_client import DistbuildClient
from events.ids import JobId
from workers import disk
from workers.cache import Cache
from workers.config import WorkerConfig
from workers.execute import Executor, Slot, Verdict
from workers.fetch import Fetcher
from workers.output import Output
from workers.platform import Platform
from workers.workspace import Workspace

log = structlog.get_logger()

# How often a job says that it lives, asks whether it is still wanted, and tells what it has printed.
CHECK_SECONDS = 15.0
# How often the worker says so of itself.
REFRESH_SECONDS = 60.0
DELAY_SECONDS_MAX = 5.0
# Of each stream, in a result.
PRINTED_BYTES_MAX = 1 << 20
PIECE_BYTES = 1 << 20
# How long a service that has gone away may take to come back for a result.
INSIST_SECONDS = 600.0
# The number of a failed job in `job_error`, as the API's own workers use it for what their tools refused.
JOB_FAILED = 10


@frozen(kw_only=True)
class Args:
    """What is to be run: distbuild's commands, under the names that they have in the log."""

    cmds: tuple[Cmd, ...] = ()
    timeout_seconds: float = 0.0


async def run(
    config: WorkerConfig,
    *,
    stop: trio.Event,
    base_path: str = protocol.BASE_PATH,
    platform: Platform | None = None,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Work until `stop` is set, then kill what runs; starts with the URL of the API.

    Raises `disk.Locked` if another worker uses the data directory, OSError, ValueError.
    """
    platform = platform or Platform()
    where = urlsplit(config.coordinator)
    base = where.path.rstrip("/") + base_path
    with disk.locked(config.data):
        cache = Cache(config.data / "cache", bytes_max=config.cache_bytes_max, run_sync=platform.run_sync)
        await platform.run_sync(partial(cache.open, platform.boot_id()))
        origin = f"{where.scheme}://{where.netloc}"
        async with platform.open_client(origin, headers=config.headers) as client:
            fetcher = Fetcher(
                cache,
                DistbuildClient(client),
                platform.open_client,
                own_url=origin,
                chance=platform.chance,
                run_sync=platform.run_sync,
            )
            worker = Worker(ComposerClient(client, base), cache, fetcher, platform)
            slots = [
                Slot(Workspace(config.data / "slots" / str(number), cache.trash), platform.open_commands())
                for number in range(config.slots)
            ]
            try:
                async with trio.open_nursery() as at_work:
                    for slot in slots:
                        at_work.start_soon(worker.serve_forever, slot)
                    at_work.start_soon(worker.refresh_forever)
                    log.info("worker ready", url=origin + base)
                    task_status.started(origin + base)
                    await stop.wait()  # unbounded: until the operator or a signal says so
                    at_work.cancel_scope.cancel()
            finally:
                with trio.CancelScope(shield=True):  # bounded: each reaper is given up after a while
                    for slot in slots:
                        await slot.commands.aclose()
                    await fetcher.aclose()


@define(eq=False)
class _Job:
    """One job at work; `told` is how many bytes of its output the service has heard of."""

    given: protocol.RequestJobResponse
    spec: JobSpec
    output: Output
    told: int = 0
    is_gone: bool = False


class Worker:
    """Registered once, and again whenever the service has forgotten it."""

    def __init__(self, client: ComposerClient, cache: Cache, fetcher: Fetcher, platform: Platform) -> None:
        self._client = client
        self._cache = cache
        self._executor = Executor(cache, fetcher, run_sync=platform.run_sync)
        self._platform = platform
        self._arch = machine.machine()
        self._id: str | None = None
        self._registering = trio.Lock()

    async def refresh_forever(self) -> None:
        while True:
            await trio.sleep(REFRESH_SECONDS)
            if self._id is not None:
                try:
                    await self._client.refresh(self._id)
                except (wire.Unreachable, wire.Refused) as error:
                    self._forget_if_unknown(error)

    async def serve_forever(self, slot: Slot) -> None:
        """One job after the other; an outage is never given up."""
        backoff = Backoff(self._platform.chance, seconds=float("inf"))
        while True:
            try:
                given = await self._ask()
                backoff.reset()
                if given is not None:
                    await self._serve(given, slot)
            except (wire.Unreachable, wire.Refused, wire.TooLarge, Malformed) as error:
                self._forget_if_unknown(error)
                delay = min(backoff.next_delay(trio.current_time()) or 0.0, DELAY_SECONDS_MAX)
                log.warning("request failed", error=str(error), retry_in_seconds=round(delay, 3))
                await trio.sleep(delay)

    async def _ask(self) -> protocol.RequestJobResponse | None:
        async with self._registering:
            if self._id is None:
                self._id = await self._client.register(self._arch)
        return await self._client.request_job((protocol.OWN_TYPE,), self._arch, self._id)

    def _forget_if_unknown(self, error: Exception) -> None:
        if isinstance(error, wire.Refused) and error.status == protocol.WORKER_UNKNOWN.status:
            self._id = None

    async def _serve(self, given: protocol.RequestJobResponse, slot: Slot) -> None:
        output = Output.limited(PRINTED_BYTES_MAX)
        try:
            job = _Job(given, spec_of(given), output)
        except Malformed as error:
            await self._finish(given, Verdict(exit_code=-1, error=str(error)), output)
            return
        verdict = await self._run(job, slot)
        if job.is_gone or verdict is None:
            log.info("job stopped", job=given.id)
        else:
            await self._finish(given, verdict, output)

    async def _finish(self, given: protocol.RequestJobResponse, verdict: Verdict, output: Output) -> None:
        log.info("job ended", job=given.id, outcome=verdict.error or "succeeded")
        try:
            await self._insist(partial(self._client.finish, given.location, result_of(verdict, output)))
        except wire.Refused as refusal:
            log.warning("result refused", job=given.id, error=str(refusal))

    async def _run(self, job: _Job, slot: Slot) -> Verdict | None:
        """How it ended; None if it was stopped."""
        verdict: Verdict | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, job, nursery.cancel_scope)
            verdict = await self._executor.run(job.spec, slot, job.output)
            if verdict.error is None:
                verdict = await self._upload(job)
            nursery.cancel_scope.cancel()
        return verdict

    async def _watch(self, job: _Job, running: trio.CancelScope) -> None:
        """Give signs of life, and stop the job when nobody wants it any more."""
        while not job.is_gone:
            await trio.sleep(CHECK_SECONDS)
            try:
                job.is_gone = await self._client.is_canceled(job.given.location)
                if not job.is_gone and job.output.size > job.told:
                    job.told = job.output.size
                    await self._client.report(job.given.location, partial_of(job.output))
            except wire.Refused as refusal:
                job.is_gone = refusal.status == protocol.TOKEN_UNKNOWN.status
            except (wire.Unreachable, Malformed) as error:
                log.warning("job not heard of", job=job.given.id, error=str(error))
        running.cancel()

    async def _upload(self, job: _Job) -> Verdict:
        kept = self._cache.artifact(JobId(job.spec.id), job.spec.digest)
        if kept is None or kept.path is None:
            return Verdict()
        with self._cache.using(kept):
            files = await self._platform.run_sync(partial(_files, self._cache.directory_of(kept)))
            if None in files.values():
                nested = ", ".join(name for name, size in files.items() if size is None)
                return Verdict(exit_code=-1, error=f"an artifact here has no directories, yet has {nested}")
            for name, size in files.items():
                path = self._cache.directory_of(kept) / name
                await self._insist(partial(self._upload_file, job, path, size or 0))
        return Verdict()

    async def _upload_file(self, job: _Job, path: Path, size: int) -> None:
        pieces = read_pieces(path, self._platform.run_sync)
        async with aclosing(pieces):
            await self._client.upload(job.given.artifact_location, path.name, pieces, size)

    async def _insist(self, attempt: Callable[[], Awaitable[None]]) -> None:
        await persist(
            attempt,
            chance=self._platform.chance,
            seconds=INSIST_SECONDS,
            transient=TRANSIENT_UNDER_WAY | {500},
        )


def spec_of(given: protocol.RequestJobResponse) -> JobSpec:
    """The job as a slot runs it; raises `Malformed`.

    The results of its dependencies are in a file `dynamic_args.json` in its source directory.
    """
    job, lease = protocol.job_of(given.id), protocol.hex_of(given.location.rpartition("/")[2])
    if job is None or lease is None:
        raise Malformed(f"no job's id and location: {given.id[:80]!r}, {given.location[:80]!r}")
    args = Args() if isinstance(given.args, protocol.Missing) else protocol.read(bytes(given.args), Args)
    cmds = args.cmds
    if given.dynamic_args:
        text = protocol.encode(given.dynamic_args).decode()
        # Within JSON two braces stand together in texts only, where they may be spelled otherwise.
        harmless = text.replace("{{", "\\u007b\\u007b")
        cmds = (Cmd(cat_template=harmless, cat_output="{{.SourceDir}}/dynamic_args.json"), *cmds)
    digest = sha256(lease.encode()).hexdigest()
    seconds = args.timeout_seconds
    return JobSpec(id=job, name=given.type, cmds=cmds, timeout_seconds=seconds, lease=lease, digest=digest)


def result_of(verdict: Verdict, output: Output) -> str:
    """A result as this type of job has it; as with all types, `job_error` says why it failed."""
    value: dict[str, object] = {"exit_code": verdict.exit_code, **_printed(output)}
    if verdict.error is not None:
        value["job_error"] = {"id": JOB_FAILED, "reason": verdict.error}
    return protocol.encode(value).decode()


def partial_of(output: Output) -> str:
    """All that was printed up to now."""
    return protocol.encode(_printed(output)).decode()


def _printed(output: Output) -> dict[str, object]:
    return {
        "stdout": output.stdout.kept.decode("utf-8", "replace"),
        "stderr": output.stderr.kept.decode("utf-8", "replace"),
    }


def _files(directory: Path) -> dict[str, int | None]:
    """Sizes of what is in the directory, None for what is no file."""
    return {
        path.name: path.stat().st_size if path.is_file() and not path.is_symlink() else None
        for path in sorted(directory.iterdir())
    }


async def read_pieces(path: Path, run_sync: RunSync) -> AsyncGenerator[bytes]:
    """A file's bytes as they are sent."""
    offset = 0
    while data := await run_sync(partial(_read, path, offset)):
        yield data
        offset += len(data)


def _read(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(PIECE_BYTES)
