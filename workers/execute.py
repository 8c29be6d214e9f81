"""One job from its lease to its artifact: fetch, lay out, run, commit, and leave nothing behind."""

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog
import trio
from attrs import Factory, define, evolve, field, frozen

from clients.archive import RunSync, UnsafeArchive
from clients.distbuild import Cmd, JobSpec
from events.ids import JobId, SourceId, is_hex40
from workers.cache import Cache, Kept
from workers.commands import NotStarted, ReaperLost, Runner
from workers.containers import Containers
from workers.fetch import Fetcher, Lost, Unavailable
from workers.output import Output
from workers.template import Directories, RenderError, mentions, render_cmd
from workers.workspace import BadPath, Workspace, write_file

log = structlog.get_logger()

K = TypeVar("K")

# Dependencies that no command mentions order jobs and need not be here. A job that runs for longer than
# this has them fetched all the same while it runs, as other distbuild workers do: they are then nearer
# to whoever will mention them.
LEISURE_SECONDS = 0.1
# What is fetched faster than this is not worth a word in the log.
FETCH_SECONDS_MIN = 0.01


@define(eq=False)
class Slot:
    """Room for one job at a time."""

    workspace: Workspace
    commands: Runner


@frozen(kw_only=True)
class Verdict:
    """How a job ended; `lost` are dependencies for want of which it did not even begin.

    `fetch_seconds`: how long it took to get what it reads; 0 where that was no time to speak of.
    """

    exit_code: int = 0
    error: str | None = None
    lost: tuple[JobId, ...] = ()
    fetch_seconds: float = field(default=0.0, eq=False)


@define(eq=False)
class _Course:
    """A job on its way: what must stay in the cache meanwhile, and how long it took to come there."""

    in_use: ExitStack = Factory(ExitStack)
    fetch_seconds: float = 0.0


class Failed(Exception):
    """The job is over without success."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.error)
        self.verdict = verdict


def _failed(error: str, exit_code: int = -1) -> Failed:
    return Failed(Verdict(exit_code=exit_code, error=error))


class Executor:
    """Runs jobs in slots; holds nothing of a job once it has ended but its artifact in the cache."""

    def __init__(
        self,
        cache: Cache,
        fetcher: Fetcher,
        *,
        run_sync: RunSync = trio.to_thread.run_sync,
        containers: Containers | None = None,
    ) -> None:
        self._cache = cache
        self._fetcher = fetcher
        self._run_sync = run_sync
        self._containers = containers

    async def run(self, spec: JobSpec, slot: Slot, output: Output) -> Verdict:
        """Run `spec`; what it prints goes to `output`. Cancelling kills it with everything it started."""
        course = _Course()
        verdict = await self._verdict(spec, slot, output, course)
        return evolve(verdict, fetch_seconds=course.fetch_seconds)

    async def _verdict(self, spec: JobSpec, slot: Slot, output: Output, course: _Course) -> Verdict:
        try:
            with course.in_use:
                await self._run(spec, slot, output, course)
            return Verdict()
        except Failed as failed:
            return failed.verdict
        except (RenderError, BadPath, NotStarted) as error:
            return Verdict(exit_code=-1, error=str(error))
        except (ReaperLost, Unavailable) as error:
            return Verdict(exit_code=-1, error=f"worker: {error}")
        except UnsafeArchive as error:
            return Verdict(exit_code=-1, error=f"the job's artifact cannot be kept: {error}")
        except OSError as error:
            log.warning("job failed for want of a resource", job=spec.id, error=str(error))
            return Verdict(exit_code=-1, error=f"worker: {error}")
        finally:
            output.close()

    async def _run(self, spec: JobSpec, slot: Slot, output: Output, course: _Course) -> None:
        if not is_hex40(spec.id) or not (spec.digest.isalnum() or not spec.digest):
            raise _failed(f"not a job's id and digest: {spec.id[:80]!r}, {spec.digest[:80]!r}")
        needs = mentions(spec.cmds)
        began = trio.current_time()
        sources = await self._sources(spec, course.in_use)
        deps = await self._deps(spec, needs.deps, course.in_use)
        course.fetch_seconds = _to_speak_of(trio.current_time() - began)
        workspace = slot.workspace
        try:
            if sources or needs.source or needs.output:
                lay_out = partial(workspace.lay_out, sources, source=needs.source, output=needs.output)
                await self._run_sync(lay_out)
            directories = Directories(source=str(workspace.source), output=str(workspace.output), deps=deps)
            slot = self._contained(spec, slot, deps)
            await self._work(spec, slot, directories, output)
            await slot.commands.clean()
            await self._commit(spec, workspace if needs.output else None)
        finally:
            if not (slot.commands.is_alone and workspace.is_clean):
                with trio.CancelScope(shield=True):  # bounded: killing gives up, deleting ends
                    await self._clear(slot)

    def _contained(self, spec: JobSpec, slot: Slot, deps: Mapping[JobId, str]) -> Slot:
        """The slot with what runs the job's commands: processes of ours, or containers if it names an image.

        It is never run without one, whatever brought it here.
        """
        if spec.container is None:
            return slot
        if self._containers is None:
            raise _failed(f"the image {spec.container.image} needs a container engine; there is none here")
        mounts = {slot.workspace.root: True, **{Path(path): False for path in deps.values()}}
        runner = self._containers.runner(spec, spec.container, mounts if spec.cmds else {})
        return Slot(slot.workspace, runner)

    async def _clear(self, slot: Slot) -> None:
        try:
            await slot.commands.clean()
        except ReaperLost as error:
            log.error("job left processes behind", error=str(error))
        if not slot.workspace.is_clean:
            await self._run_sync(slot.workspace.clear)

    async def _work(self, spec: JobSpec, slot: Slot, directories: Directories, output: Output) -> None:
        run_commands = partial(self._run_commands, spec, slot, directories, output)
        unmentioned = [dep for dep in spec.deps if self._is_elsewhere(spec, JobId(dep))]
        if not unmentioned:
            await run_commands()
            return
        failed: Failed | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fetch_at_leisure, spec, unmentioned)
            try:
                await run_commands()
            except (Failed, RenderError, BadPath, NotStarted, ReaperLost, OSError) as error:
                failed = error if isinstance(error, Failed) else _failed(str(error))
            nursery.cancel_scope.cancel()
        if failed is not None:
            raise failed

    async def _run_commands(
        self, spec: JobSpec, slot: Slot, directories: Directories, output: Output
    ) -> None:
        seconds = spec.timeout_seconds if spec.timeout_seconds > 0 else math.inf
        with trio.move_on_after(seconds) as scope:
            if spec.container is not None and not spec.cmds:
                await self._exec((), {}, slot.workspace.root, slot, output)  # what the image itself runs
            for cmd in spec.cmds:
                rendered = render_cmd(cmd, directories)
                await self._run_command(rendered, slot, directories, output, said=cmd)
        if scope.cancelled_caught:
            raise _failed(f"timed out after {seconds:g} s")

    async def _run_command(
        self, cmd: Cmd, slot: Slot, directories: Directories, output: Output, *, said: Cmd
    ) -> None:
        workspace = slot.workspace
        cwd = Path(said.working_directory)
        if not cwd.is_absolute():
            cwd = workspace.working_directory(cmd.working_directory, list(directories.deps.values()))
        if cmd.exec:
            await self._exec(cmd.exec, _environ(cmd.environ), cwd, slot, output)
        elif cmd.cat_output:
            contents = cmd.cat_template.encode()
            try:
                # A path that the client has spelled out may lie anywhere, as distbuild has it: a program
                # could write there as well. What comes out of a template stays in the workspace.
                write = write_file if Path(said.cat_output).is_absolute() else workspace.write
                await self._run_sync(partial(write, cmd.cat_output, cwd, contents))
            except OSError as error:
                raise _failed(f"open {cmd.cat_output}: {(error.strerror or str(error)).lower()}") from error

    async def _exec(
        self, argv: Sequence[str], environ: Mapping[str, str], cwd: Path, slot: Slot, output: Output
    ) -> None:
        ended = await slot.commands.run(argv, environ, cwd, output.append)
        if ended.error is not None:
            raise _failed(ended.error, ended.exit_code)

    async def _commit(self, spec: JobSpec, workspace: Workspace | None) -> None:
        directory, size = None, 0
        if workspace is not None:
            directory, size = await self._run_sync(workspace.take_output)
        with trio.CancelScope(shield=True):  # bounded: a rename, and deleting what is too old
            await self._cache.add_artifact(JobId(spec.id), spec.digest, directory, size)

    async def _sources(self, spec: JobSpec, in_use: ExitStack) -> list[tuple[Path, str]]:
        wanted = {SourceId(source): path for source, path in spec.source_files.items()}

        async def fetch(source: SourceId) -> Kept:
            return await self._fetcher.source(source, wanted[source])

        kept = await _gather(wanted, self._cache.source, fetch, self._cache, in_use)
        return [(kept[source].path or self._cache.empty, path) for source, path in wanted.items()]

    async def _deps(
        self, spec: JobSpec, mentioned: frozenset[JobId], in_use: ExitStack
    ) -> Mapping[JobId, str]:
        lost: dict[JobId, str] = {}

        async def fetch(job: JobId) -> Kept | None:
            try:
                return await self._fetch_dep(spec, job)
            except Lost as error:
                lost[job] = str(error)
                return None

        known = [JobId(dep) for dep in spec.deps if dep in mentioned]
        kept = await _gather(known, partial(self._held, spec), fetch, self._cache, in_use)
        if lost:
            error = "; ".join(lost.values())
            raise Failed(Verdict(exit_code=-1, error=error, lost=tuple(lost)))
        return {job: str(self._cache.directory_of(one)) for job, one in kept.items()}

    def _held(self, spec: JobSpec, job: JobId) -> Kept | None:
        return self._cache.artifact(job, spec.artifact_digests.get(job, ""))

    async def _fetch_dep(self, spec: JobSpec, job: JobId) -> Kept:
        digest = spec.artifact_digests.get(job, "")
        return await self._fetcher.artifact(job, digest, spec.artifacts.get(job, ""))

    def _is_elsewhere(self, spec: JobSpec, job: JobId) -> bool:
        return job in spec.artifacts and self._held(spec, job) is None

    async def _fetch_at_leisure(self, spec: JobSpec, jobs: list[str]) -> None:
        await trio.sleep(LEISURE_SECONDS)
        for job in jobs:
            try:
                await self._fetch_dep(spec, JobId(job))
            except (Lost, OSError) as error:
                log.info("dependency not fetched ahead", job=job, error=str(error))


async def _gather(
    wanted: Iterable[K],
    find: Callable[[K], Kept | None],
    fetch: Callable[[K], Awaitable[Kept | None]],
    cache: Cache,
    in_use: ExitStack,
) -> dict[K, Kept]:
    """Find or fetch everything, what is missing at the same time; all of it stays until `in_use` closes."""
    kept: dict[K, Kept] = {}
    errors: list[Exception] = []

    def take(key: K, one: Kept | None) -> None:
        if one is not None:
            kept[key] = one
            in_use.enter_context(cache.using(one))

    async def fetch_one(key: K, scope: trio.CancelScope) -> None:
        try:
            take(key, await fetch(key))
        except (Unavailable, OSError) as error:
            errors.append(error)
            scope.cancel()

    missing = []
    for key in wanted:
        one = find(key)
        if one is None:
            missing.append(key)
        take(key, one)
    if missing:
        async with trio.open_nursery() as nursery:
            for key in missing:
                nursery.start_soon(fetch_one, key, nursery.cancel_scope)
    if errors:
        raise errors[0]
    return kept


def _environ(entries: Sequence[str]) -> dict[str, str]:
    environ: dict[str, str] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise _failed(f"exec: not an environment entry: {entry[:80]!r}")
        environ[name] = value
    return environ


def _to_speak_of(seconds: float) -> float:
    return round(seconds, 3) if seconds >= FETCH_SECONDS_MIN else 0.0
