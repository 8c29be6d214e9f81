"""Decisions about workers: what a heartbeat brings, who gets which job, who was silent for too long."""

from collections.abc import Iterable, Iterator

from attrs import frozen

from events.catalog import (
    ArtifactCached,
    ArtifactDropped,
    Event,
    HeartbeatReceived,
    JobLeased,
    TimePassed,
    WorkerJoined,
    WorkerLost,
    WorkerRestarted,
    WorkRequested,
)
from events.commands import Heartbeat, RequestWork, Result
from events.decide import typed
from events.decide.context import Context
from events.decide.jobs import artifacts_lost, finish, release, reuse, share
from events.errors import MALFORMED, Rejected
from events.ids import ASKING, COORDINATOR, JobId, LeaseId, SpecDigest, WorkerId, as_uuid
from events.model import Lease, Worker
from events.schedule import Offer, Pick, offer_of, schedule
from events.state import State

WORKER_ID_MAX = 512
# One kind of worker names this job when it could not download what another one needs.
NOBODY = JobId("0" * 40)


def heartbeat(state: State, command: Heartbeat, context: Context) -> Iterator[Event]:
    """Take a worker's report, let it have its consequences, and give the worker what it has room for."""
    _check(command)
    yield from _meet(state, command)
    report = _compare(state, command)
    yield HeartbeatReceived(
        worker=command.worker,
        slots_free=command.slots_free,
        mute=report.mute,
        unreported=tuple(lease.id for lease in report.unreported),
        strays=report.strays,
        finished=tuple(lease.id for lease, _ in report.finished),
        draining=command.draining,
        leaving=command.leaving,
        lost={lease.id: result.lost for lease, result in report.finished if result.lost},
    )
    for lease, result in report.finished:
        yield from _answer(state, lease, result)
    yield from _inventory(state, command, report)
    yield from _reclaim(state, command, report, context.now)
    if command.leaving:
        yield from _lose(state, command.worker, "left")
    elif not command.draining:
        owed = sum(lease.id in state.leases for lease in report.unreported)
        yield from _grant(
            state, command.worker, room(state, command.worker, command.slots_free - owed), context
        )


def request_work(state: State, command: RequestWork, context: Context) -> Iterator[Event]:
    """A held heartbeat asks again, or a worker asks for typed jobs; without work for it this is no fact."""
    worker = state.worker(command.worker)
    offer = asked_for(worker, command.types, command.channels)
    slots = command.slots_free if worker.asking else room(state, worker.id, command.slots_free)
    is_fit = slots and worker.alive and not worker.draining
    if is_fit and schedule(state, worker, context.now, offer) is not None:
        yield WorkRequested(
            worker=worker.id,
            slots_free=command.slots_free,
            types=command.types,
            channels=command.channels,
        )
        yield from _grant(state, worker.id, slots, context, offer)


def asked_for(worker: Worker, types: Iterable[str], channels: Iterable[str]) -> Offer:
    """What the worker can do: commands, or those typed jobs for which it asks."""
    if not worker.asking:
        return offer_of(worker)
    return Offer(frozenset(types) - {""}, frozenset(channels), worker.labels)


def tick(state: State, context: Context) -> Iterator[Event]:
    """Workers that were silent for too long lose their leases, and then their place."""
    due = [worker for worker in _longest_silent(state, context.now) if deadline(state, worker) <= context.now]
    lapsed, gone = typed.lapsed(state, context.now), typed.gone(state, context.now)
    if due or lapsed or gone:
        yield TimePassed()
    for id_ in lapsed:
        yield from release(state, id_, "lease-ran-out")
    for silent in gone:
        yield from _lose(state, silent, "silent")
    for worker in due:
        for lease in _leases_of(state, worker.id):
            yield from release(state, lease.id, "lease-ran-out")
        if worker.last_seen + state.settings.worker_silence_seconds <= context.now:
            yield from _lose(state, worker.id, "silent")


def next_deadline(state: State) -> float | None:
    """When the next `Tick` is due (seconds since 1970); None while no worker is known."""
    best: float | None = min(typed.deadlines(state), default=None)
    patience = min(state.settings.lease_seconds, state.settings.worker_silence_seconds)
    for id_ in state.silence:
        worker = state.workers[id_]
        if best is not None and worker.last_seen + patience >= best:
            break
        due = deadline(state, worker)
        best = due if best is None else min(best, due)
    return best


def deadline(state: State, worker: Worker) -> float:
    """Until when we wait for a word of this worker.

    One that was never seen to report while it runs a job (some distbuild workers do not) is given the
    job's own time limit instead, if that is longer.
    """
    leases = _leases_of(state, worker.id)
    if not leases:
        return worker.last_seen + state.settings.worker_silence_seconds
    heard = worker.last_seen + state.settings.lease_seconds
    if worker.beats:
        return heard
    return max(heard, *(lease.leased_at + lease.seconds_max for lease in leases))


def room(state: State, id_: WorkerId, slots_free: int) -> int:
    """How many jobs a worker may be given: an old or a wrong report of free slots does not overload it."""
    return max(0, min(slots_free, state.workers[id_].capacity - len(_leases_of(state, id_))))


@frozen
class _Report:
    """A heartbeat set against what State says."""

    mute: bool
    finished: list[tuple[Lease, Result]]
    unreported: list[Lease]
    strays: tuple[str, ...]


def _check(command: Heartbeat) -> None:
    if not 0 < len(command.worker) <= WORKER_ID_MAX:
        raise Rejected(MALFORMED, f"WorkerID must have 1 to {WORKER_ID_MAX} characters")
    if command.slots_free < 0 or command.slots < 0:
        raise Rejected(MALFORMED, "FreeSlots must not be negative")
    if command.worker == COORDINATOR or command.worker.startswith(ASKING):
        raise Rejected(MALFORMED, f"no worker that reports may be called {command.worker[:80]!r}")


def _meet(state: State, command: Heartbeat) -> Iterator[Event]:
    """A new worker, one that was lost, a known one in a new life, or one that says what it had left out."""
    known = state.workers.get(command.worker)
    if known is not None and known.alive:
        if known.session == command.session:
            if not command.slots or (command.slots, command.labels) == (known.slots, known.labels):
                return
        else:
            yield WorkerRestarted(worker=known.id)
            yield from _lose(state, known.id, "restarted")
    yield WorkerJoined(
        worker=command.worker,
        session=command.session,
        slots=command.slots,
        labels=command.labels,
        native=command.native,
    )


def _compare(state: State, command: Heartbeat) -> _Report:
    live = state.leases_of.get(command.worker, {})
    finished, strays = _finished(state, command, live)
    done = {lease.id for lease, _ in finished}
    mute = command.running is None and not _is_idle(state.workers[command.worker], command)
    running = set(command.running or ())
    unreported = []
    if not mute:
        for job, id_ in live.items():
            if id_ not in done and (id_ if command.native else job) not in running:
                unreported.append(state.leases[id_])
    known = set(live.values() if command.native else live)
    strays += [name for name in running if name not in known]
    return _Report(mute, finished, unreported, tuple(sorted(strays)))


def _finished(
    state: State, command: Heartbeat, live: dict[JobId, LeaseId]
) -> tuple[list[tuple[Lease, Result]], list[str]]:
    """Results of live leases, each once, and the names of those that answer none."""
    finished: dict[LeaseId, tuple[Lease, Result]] = {}
    strays: list[str] = []
    for result in command.finished:
        id_ = live.get(result.job)
        if id_ is None or (command.native and result.lease != id_):
            strays.append(result.lease or result.job)
        else:
            finished.setdefault(id_, (state.leases[id_], result))
    return list(finished.values()), strays


def _is_idle(worker: Worker, command: Heartbeat) -> bool:
    """Go writes an empty list as null: all slots free means that nothing runs."""
    return command.slots_free >= worker.slots


def _answer(state: State, lease: Lease, result: Result) -> Iterator[Event]:
    if not result.lost:
        yield from finish(state, lease.id, result)
        return
    graph = state.graphs[lease.builds[0]]
    for job in result.lost:
        holder = state.locate(job, graph.jobs[job].digest) if job in graph.jobs else None
        if holder is not None:
            yield ArtifactDropped(worker=holder, job=job, reason=f"not to be had by {lease.worker}")
    yield from release(state, lease.id, "artifact-unavailable")
    yield from artifacts_lost(state, result.lost, "artifact-lost")


def _inventory(state: State, command: Heartbeat, report: _Report) -> Iterator[Event]:
    leases = [lease for lease, _ in report.finished] + _leases_of(state, command.worker)
    replaced = []
    for job in dict.fromkeys(command.added):
        digest = command.digests.get(job) or _digest_seen(state, job, leases)
        held = state.holders.get(job, {}).get(command.worker)
        if held is None or (digest and digest != held):
            yield ArtifactCached(worker=command.worker, job=job, digest=digest)
            yield from reuse(state, job)
            if held is not None:
                replaced.append(job)
    yield from artifacts_lost(state, replaced, "artifact-replaced")
    dropped = [job for job in dict.fromkeys(command.dropped) if job in state.held.get(command.worker, ())]
    for job in dropped:
        yield ArtifactDropped(worker=command.worker, job=job, reason="evicted")
    yield from artifacts_lost(state, dropped, "artifact-lost")


def _digest_seen(state: State, job: JobId, leases: Iterable[Lease]) -> SpecDigest:
    """Of which spec a plain distbuild worker's artifact is: what it was told to fetch for its jobs."""
    for lease in leases:
        for build in lease.builds:
            jobs = state.graphs[build].jobs
            if job in jobs[lease.job].spec.deps:
                return jobs[job].digest
    return SpecDigest("")


def _reclaim(state: State, command: Heartbeat, report: _Report, now: float) -> Iterator[Event]:
    """Leases that were offered again and again and never taken go to somebody else.

    So do, at once, those that a worker hands back because it is leaving, and those of one that never says
    what it runs, once their time limit is over: the answer that held them may have been lost.
    """
    could_not_fetch = not command.native and NOBODY in report.strays
    for lease in report.unreported:
        deps = state.graphs[lease.builds[0]].jobs[lease.job].spec.deps if lease.id in state.leases else ()
        if command.draining or command.leaving:
            yield from release(state, lease.id, "handed-back")
        elif could_not_fetch and deps:
            yield from _answer(state, lease, Result(job=lease.job, lost=deps))
        elif lease.leased_at + state.settings.lease_seconds < now:
            yield from release(state, lease.id, "never-taken")
    for lease in _leases_of(state, command.worker) if report.mute else ():
        if lease.leased_at + lease.seconds_max < now:
            yield from release(state, lease.id, "lease-ran-out")


def _grant(
    state: State, id_: WorkerId, slots: int, context: Context, offer: Offer | None = None
) -> Iterator[Event]:
    worker = state.workers[id_]
    for _ in range(slots):
        pick = schedule(state, worker, context.now, offer)
        if pick is None:
            return
        yield from _lease(state, worker, pick, context)


def _lease(state: State, worker: Worker, pick: Pick, context: Context) -> Iterator[Event]:
    job = state.graphs[pick.build].jobs[pick.job]
    drawn = context.new_id(16)
    # Those who are given typed jobs know a lease as a UUID.
    lease = LeaseId(as_uuid(drawn).replace("-", "") if job.spec.job_type else drawn)
    yield JobLeased(
        build=pick.build,
        job=pick.job,
        lease=lease,
        worker=worker.id,
        attempt=job.attempt + 1,
        reason=pick.why,
    )
    for build in list(state.queued.get(pick.job, ())):
        if state.graphs[build].jobs[pick.job].digest == job.digest:
            yield share(state, build, state.leases[lease])


def _lose(state: State, id_: WorkerId, reason: str) -> Iterator[Event]:
    for lease in _leases_of(state, id_):
        yield from release(state, lease.id, "worker-lost")
    held = list(state.held.get(id_, ()))
    yield WorkerLost(worker=id_, reason=reason)
    yield from artifacts_lost(state, held, "artifact-lost")


def _leases_of(state: State, worker: WorkerId) -> list[Lease]:
    return [state.leases[id_] for id_ in state.leases_of.get(worker, {}).values()]


def _longest_silent(state: State, now: float) -> Iterator[Worker]:
    patience = min(state.settings.lease_seconds, state.settings.worker_silence_seconds)
    for id_ in list(state.silence):
        worker = state.workers[id_]
        if worker.last_seen + patience > now:
            return
        yield worker
