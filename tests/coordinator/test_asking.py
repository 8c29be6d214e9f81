"""The contract of a queue of typed jobs, held against the core: hypothesis is its clients and workers."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, TypeVar

import hypothesis.strategies as st
from attrs import define, field
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from clients import composer as wire
from coordinator.single import single
from events import codec
from events.catalog import JobLeased, Record
from events.commands import (
    AnswerLease,
    CancelBuild,
    Command,
    HearLease,
    NewJob,
    RegisterWorker,
    RequestWork,
    Result,
    ReturnLease,
    StartCoordinator,
    Tick,
)
from events.decide import Context, execute
from events.decide.jobs import RETRIES_MAX
from events.errors import JOB_CANCELLED, LEASE_ENDED, Rejected
from events.fold import replay
from events.ids import ANONYMOUS, BuildId, JobId, LeaseId, as_uuid
from events.model import Result as Known
from events.queue import Why
from events.state import State
from events.validate import validate

T = TypeVar("T")
SECONDS = 120.0
NUMBERS = st.integers(0, 9)
TYPES, CHANNELS = ("a", "b"), ("", "org-1")


@define(eq=False)
class Job:
    """What the contract knows of a job: all in its own words."""

    uuid: str
    build: BuildId
    id: JobId
    type: str
    channel: str
    deps: list["Job"]
    status: str = "waiting"
    token: LeaseId | None = None
    heard_at: float = 0.0
    retries: int = 0
    # Since when it stands in line: lower is earlier.
    place: int = 0
    voided: list[LeaseId] = field(factory=list)

    @property
    def has_ended(self) -> bool:
        return self.status in ("done", "failed")


class JobQueue(RuleBasedStateMachine):
    """Enqueue, dequeue, hear, finish, hang up, cancel, wait, restart: what may be had, in which order."""

    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.records: list[Record] = []
        self.now = 1000.0
        self.known: list[Job] = []
        self._ids, self._places = count(1), count(1)

    @initialize(target=jobs)
    def begin(self) -> Any:
        self._do(StartCoordinator(version="1"))
        self._do(RegisterWorker(worker=ANONYMOUS))
        first = [self.enqueue(type_, "", []) for type_ in (*TYPES, *TYPES)]
        return multiple(*first, self.enqueue(TYPES[0], CHANNELS[1], first[:2]))

    # --- wishes

    @rule(target=jobs, type_=st.sampled_from(TYPES), channel=st.sampled_from(CHANNELS))
    def enqueue_one(self, type_: str, channel: str) -> Any:
        return self.enqueue(type_, channel, [])

    @rule(target=jobs, type_=st.sampled_from(TYPES), deps=st.lists(jobs, min_size=1, max_size=3))
    def enqueue_after(self, type_: str, deps: list[Job]) -> Any:
        return self.enqueue(type_, "", deps)

    def enqueue(self, type_: str, channel: str, deps: list[Job]) -> Any:
        """A cancelled dependency is refused, and then nothing is stored."""
        uuid = as_uuid(f"{next(self._ids):032x}")
        id_ = wire.job_of(uuid)
        assert id_ is not None
        new = NewJob(id=id_, name=uuid, job_type=type_, channel=channel)
        before = len(self.records)
        if any(dep.status == "cancelled" for dep in deps):
            self._refused(lambda: single(self.state, new, uuid, [d.uuid for d in deps]), JOB_CANCELLED)
            assert len(self.records) == before
            return multiple()
        self._do(single(self.state, new, uuid, [dep.uuid for dep in deps]))
        build = self.state.keys[f"job/{uuid}"]
        job = Job(uuid, build, id_, type_, channel, list(deps))
        self.known.append(job)
        self._look_at_lines()
        return job

    @rule(types=st.sets(st.sampled_from(TYPES)), channels=st.sets(st.sampled_from(CHANNELS)))
    def dequeue(self, types: set[str], channels: set[str]) -> None:
        """The first in line of those whose type and channel are asked for; a new token each time."""
        wish = RequestWork(worker=ANONYMOUS, slots_free=1, types=tuple(types), channels=tuple(channels))
        records = self._do(wish)
        leases = [r.event for r in records if isinstance(r.event, JobLeased) and r.event.reason != Why.SHARED]
        fits = [job for job in self.known if job.status == "pending" and job.type in types]
        expected = min((j for j in fits if j.channel in channels), key=lambda j: j.place, default=None)
        assert [lease.job for lease in leases] == ([] if expected is None else [expected.id])
        if expected is not None:
            [lease] = leases
            assert all(lease.lease not in (job.token, *job.voided) for job in self.known)
            assert lease.lease != expected.id[:32]
            expected.status, expected.token, expected.heard_at = "running", lease.lease, self.now

    @rule(number=st.integers(1, 4))
    def dequeue_whatever_there_is(self, number: int) -> None:
        for _ in range(number):
            self.dequeue(set(TYPES), set(CHANNELS))

    @rule()
    def workers_die_again_and_again(self) -> None:
        for _ in range(RETRIES_MAX + 1):
            self.dequeue(set(TYPES), set(CHANNELS))
            self.wait(SECONDS + 1)

    @rule(number=NUMBERS)
    def hear(self, number: int) -> None:
        for job, token in self._one_that_runs(number):
            self._do(HearLease(lease=token))
            # Not each sign of life is recorded, so one may count from a quarter of the time before.
            heard = self.state.heard[token]
            assert self.now - SECONDS / 4 < heard <= self.now
            job.heard_at = heard

    @rule(number=NUMBERS, error=st.sampled_from([None, "broken"]))
    def finish(self, number: int, error: str | None) -> None:
        for job, token in self._one_that_runs(number):
            code = 0 if error is None else 1
            answer = Result(job=job.id, lease=token, exit_code=code, error=error, stdout_bytes=1)
            self._do(AnswerLease(lease=token, result=answer))
            self._void(job, "done" if error is None else "failed")
            self._look_at_lines()

    @rule(number=NUMBERS)
    def hang_up(self, number: int) -> None:
        """To the end of the line, and it does not count as a retry."""
        for job, token in self._one_that_runs(number):
            self._do(ReturnLease(lease=token))
            self._requeue(job)

    @rule(job=jobs)
    def cancel(self, job: Job) -> None:
        """Only what nobody else rests on; what it rests on itself goes on for those who handed it in."""
        if job.has_ended or job.status == "cancelled" or any(job in other.deps for other in self.known):
            return
        if not self.state.builds[job.build].has_ended:
            self._do(CancelBuild(build=job.build, reason="asked for"))
            assert job.token is None or job.token in self.state.cancelled
            self._void(job, "cancelled")

    @rule(seconds=st.sampled_from([1.0, 31.0, 121.0]))
    def wait(self, seconds: float) -> None:
        """Whoever was silent for too long has lost the job: twice in line again, then failed."""
        self.now += seconds
        self._do(Tick())
        silent = [j for j in self.known if j.status == "running" and j.heard_at + SECONDS <= self.now]
        for job in sorted(silent, key=lambda each: each.heard_at):
            job.retries += 1
            if job.retries > RETRIES_MAX:
                self._void(job, "failed")
            else:
                self._requeue(job)
        self._look_at_lines()

    @rule()
    def restart(self) -> None:
        """Tokens hold, and nobody was silent meanwhile."""
        self.state = replay(codec.decode(codec.encode(record)) for record in self.records)
        self._do(StartCoordinator(version="2"))
        for job in self.known:
            job.heard_at = self.now

    # --- what must hold

    @invariant()
    def all_agree(self) -> None:
        validate(self.state)
        for job in self.known:
            assert self._status_of(job) == job.status, job
            for token in job.voided:
                self._refused(lambda token=token: self._do(HearLease(lease=token)), LEASE_ENDED)  # type: ignore[misc]

    @invariant()
    def ended_jobs_have_their_result(self) -> None:
        for job in self.known:
            if job.status == "done":
                graph = self.state.graphs[job.build]
                assert isinstance(self.state.results[job.id, graph.jobs[job.id].digest], Known)

    def _one_that_runs(self, number: int) -> Iterator[tuple[Job, LeaseId]]:
        """One of them; if there is none, one that could is dequeued first."""
        if not any(job.token for job in self.known):
            self.dequeue(set(TYPES), set(CHANNELS))
        running = [(job, job.token) for job in self.known if job.token is not None]
        if running:
            yield running[number % len(running)]

    def _status_of(self, job: Job) -> str:
        status = str(self.state.graphs[job.build].jobs[job.id].status)
        words = {"blocked": "waiting", "queued": "pending", "succeeded": "done"}
        return words.get(status, status)

    def _look_at_lines(self) -> None:
        """Who waits for nothing any more stands in line, the one that was freed first before others."""
        freed = [j for j in self.known if j.status == "waiting" and all(d.has_ended for d in j.deps)]
        for job in sorted(freed, key=lambda each: self.known.index(each)):
            job.status, job.place = "pending", self._place_of(job)

    def _place_of(self, job: Job) -> int:
        """By when it was queued, as the log has it: jobs that one result frees have no order of their own."""
        return next(self._places_from_log(job))

    def _places_from_log(self, job: Job) -> Iterator[int]:
        for record in reversed(self.records):
            event = record.event
            named = (type(event).__name__, getattr(event, "build", ""), getattr(event, "job", ""))
            if named[0] in ("JobQueued", "JobReleased") and named[1:] == (job.build, job.id):
                yield record.position

    def _requeue(self, job: Job) -> None:
        self._void(job, "pending")
        job.place = self._place_of(job)

    def _void(self, job: Job, status: str) -> None:
        if job.token is not None:
            job.voided.append(job.token)
        job.status, job.token = status, None

    def _do(self, command: Command) -> list[Record]:
        records = execute(self.state, command, Context(self.now, self._new_id))
        self.records += records
        return records

    def _new_id(self, size: int) -> str:
        return f"{next(self._ids):0{2 * size}x}"

    def _refused(self, act: Callable[[], T], code: object) -> None:
        try:
            act()
        except Rejected as refusal:
            assert refusal.code is code
        else:
            raise AssertionError("was not refused")


TestJobQueue = JobQueue.TestCase
TestJobQueue.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
