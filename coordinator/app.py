"""The composition root: every part is made here, and every nursery of the coordinator is opened here.

Indentation is lifetime. The storage nursery outlives everything that can submit; services start in order
and stop together; a crash of any long-lived task ends the process, and the next one replays.
"""

import sys
from functools import partial
from importlib.metadata import version
from socket import gethostname
from typing import TYPE_CHECKING

import structlog
import trio

from clients.agent import Agent, Branches, LocalPost, Post
from clients.requests import FINISHED
from clients.server import serve
from clients.wire.origins import Origins
from coordinator import alarm, tasks
from coordinator.answers import Answers, discard_forever
from coordinator.archiving import archive_forever
from coordinator.artifacts import ArtifactStore
from coordinator.asking import Asking
from coordinator.attendance import Attendance
from coordinator.blobs import BlobStore
from coordinator.closing import close_outputs_forever
from coordinator.collecting import Collector
from coordinator.config import CoordinatorConfig
from coordinator.core import Coordinator
from coordinator.dispatch import Dispatch
from coordinator.files import Files
from coordinator.health import Health
from coordinator.heartbeats import Heartbeats
from coordinator.http.audience import Audiences
from coordinator.http.site import application
from coordinator.inspection import inspect_forever
from coordinator.journal import Journal
from coordinator.keeper import Fresh, Keeper
from coordinator.lines import Lines
from coordinator.nodes import Nodes
from coordinator.output import OutputStore
from coordinator.parts import Parts
from coordinator.platform import Platform
from coordinator.quiet import Quiet
from coordinator.requests import Requests
from coordinator.retention import Limits, Retention
from coordinator.snapshots import take_snapshots_forever
from coordinator.sources import Sources
from events.commands import StartCoordinator
from events.errors import Rejected
from events.ids import BEGINNING
from events.log import LogFull

if TYPE_CHECKING:
    from clients.agent.amqp import Broker

log = structlog.get_logger()

# The thread that commits has to get the interpreter back from a busy event loop; with CPython's 5 ms each
# commit would wait that long, and every answer with it.
SWITCH_SECONDS = 0.0005
SECONDS_PER_DAY = 86_400.0


async def run(
    config: CoordinatorConfig,
    *,
    stop: trio.Event,
    platform: Platform | None = None,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `stop`; `started` with the URL once requests are answered.

    Raises `LogLocked`, `CorruptLog`, `LogFromTheFuture` or `LogError` if the log cannot be used, OSError
    if the address cannot be bound.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    platform = platform or Platform()
    writer, reader, keeper = await platform.run_sync(platform.open_log, config.data)
    try:
        journal = Journal(
            writer,
            reader,
            run_sync=platform.run_sync,
            has_room=partial(platform.has_room, config.data),
            restore=keeper.restore if keeper else None,
            recent=platform.recent,
            page=platform.page,
        )
        await _run(config, platform, journal, keeper, stop, task_status)
        log.info("stopped", position=journal.durable, head=writer.head())
    finally:
        writer.close()


async def _run(
    config: CoordinatorConfig,
    platform: Platform,
    journal: Journal,
    keeper: Keeper | None,
    stop: trio.Event,
    task_status: trio.TaskStatus[str],
) -> None:
    await journal.load()
    journal.floor = keeper.archived() if keeper else BEGINNING
    async with trio.open_nursery() as storage:
        await storage.start(journal.commit_forever)
        core = Coordinator(journal, now=platform.clock(not_before=journal.state.at), new_id=platform.new_id)
        broker = _broker(config.amqp) if config.amqp else None
        here, there = LocalPost.pair()
        parts = make_parts(config, platform, core, keeper, broker or here)
        await _begin(parts)
        await _serve(parts, platform, broker or there, stop, task_status)
        storage.cancel_scope.cancel()


def _broker(url: str) -> "Broker":
    from clients.agent.amqp import Broker  # what speaks AMQP is a tenth of all that a start imports

    return Broker(url, hears=FINISHED)


async def _begin(parts: Parts) -> None:
    """Say that we took over; whoever cannot even say that had better end than serve, and be started again."""
    try:
        await parts.core.submit(StartCoordinator(version=version("terzetto"), settings=parts.config.settings))
        await parts.sources.forget_missing()
    except Rejected as refusal:
        raise LogFull(f"no space left in {parts.config.data}: the start could not be recorded") from refusal


def make_parts(
    config: CoordinatorConfig,
    platform: Platform,
    core: Coordinator,
    keeper: Keeper | None,
    post: Post | None = None,
) -> Parts:
    """What facades are handed; nothing of it does anything by itself yet."""
    blobs = BlobStore(config.data / "blobs", run_sync=platform.run_sync)
    outputs = OutputStore(config.data / "output", run_sync=platform.run_sync, sync_disk=platform.sync_disk)
    dispatch, quiet, sources = Dispatch(core), Quiet(core), Sources(core, blobs)
    artifacts = ArtifactStore(config.data / "artifacts", run_sync=platform.run_sync)
    return Parts(
        config=config,
        core=core,
        journal=core.journal,
        dispatch=dispatch,
        quiet=quiet,
        heartbeats=Heartbeats(core, dispatch, quiet),
        asking=Asking(core, outputs),
        answers=Answers(core, outputs, artifacts),
        artifacts=artifacts,
        attendance=Attendance(core, config.client_grace_seconds),
        blobs=blobs,
        sources=sources,
        files=Files(core, blobs, sources, platform.run_sync),
        outputs=outputs,
        lines=Lines(outputs, platform.run_sync),
        run_sync=platform.run_sync,
        audiences=Audiences(platform.run_sync, config.progress_seconds),
        keeper=keeper,
        nodes=Nodes(platform.open_client),
        branches=Branches.read(config.builders) if config.builders else Branches(),
        requests=Requests(core, post or LocalPost.pair()[0]),
    )


async def _serve(
    parts: Parts,
    platform: Platform,
    post: "Broker | LocalPost",
    stop: trio.Event,
    task_status: trio.TaskStatus[str],
) -> None:
    config, drained = parts.config, trio.Event()
    async with trio.open_nursery() as services:
        await services.start(parts.quiet.record_forever)
        await services.start(alarm.ring_forever, parts.core, parts.quiet)
        await services.start(parts.dispatch.call_forever)
        await services.start(parts.attendance.watch_forever)
        await services.start(parts.asking.call_forever)
        await services.start(close_outputs_forever, parts.core, parts.outputs)
        await services.start(discard_forever, parts.core, parts.artifacts)
        await services.start(_collector(parts, platform).collect_forever)
        await services.start(parts.audiences.tell_forever)
        await services.start(inspect_forever, parts.core)
        await services.start(tasks.look_forever, parts.core)
        await services.start(Health(parts.core, platform.open_client, config.health_seconds).look_forever)
        retention = Retention(parts.core, parts.files, _limits(config), parts.artifacts)
        await services.start(retention.look_forever)
        await services.start(parts.requests.publish_forever)
        await services.start(parts.requests.hear_forever)
        if parts.keeper is not None:
            await services.start(take_snapshots_forever, parts.core, parts.keeper, config.snapshot_records)
            await services.start(archive_forever, parts.core, parts.keeper, _fresh(config))
        async with trio.open_nursery() as front:
            urls = await front.start(_listen, parts, platform, drained)
            log.info("serving", url=urls[0], position=parts.journal.durable)
            url = urls[0] + config.base_path
            services.start_soon(partial(_carry, parts, platform, post, url))
            task_status.started(url)
            await stop.wait()  # unbounded: we serve until told otherwise
            # First let streams and held heartbeats end by themselves, so that nobody sees a torn answer.
            parts.journal.stop_followers()
            parts.quiet.record()
            await trio.sleep(config.drain_seconds)
            drained.set()
        services.cancel_scope.cancel()


def _collector(parts: Parts, platform: Platform) -> Collector:
    return Collector(parts.core, parts.files, parts.outputs, Origins(platform.open_client))


async def _carry(parts: Parts, platform: Platform, post: "Broker | LocalPost", url: str) -> None:
    """Keep the broker's connection up or, without one, carry requests out right here."""
    if not isinstance(post, LocalPost):
        await post.run()
        return
    async with platform.open_client(url) as client:
        agent = Agent(
            client, parts.branches, chance=platform.chance(), host=gethostname(), run_sync=platform.run_sync
        )
        await agent.serve_forever(post)


def _limits(config: CoordinatorConfig) -> Limits:
    return Limits(
        builds=config.builds_kept, jobs=config.jobs_kept, seconds=config.days_kept * SECONDS_PER_DAY
    )


def _fresh(config: CoordinatorConfig) -> Fresh:
    return Fresh(bytes=config.fresh_megabytes << 20, seconds=config.fresh_days * SECONDS_PER_DAY)


async def _listen(
    parts: Parts,
    platform: Platform,
    drained: trio.Event,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    await serve(
        application(parts),
        bind=parts.config.bind,
        shutdown=drained.wait,
        grace_seconds=parts.config.grace_seconds,
        listen=platform.listen,
        task_status=task_status,
    )
