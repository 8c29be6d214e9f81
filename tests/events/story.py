"""Stories of the core: given what happened, when somebody wishes for something, then exactly these facts.

Time is what the story says, ids are counted: the first build a story starts is `build_id(1)`, its first
lease `lease_id(1)`. After each step the state must be consistent and equal to the replay of its records,
down to the order of every dict, since that order decides who is served next.
"""

from collections.abc import Sequence
from typing import Any

import attrs

from events import codec
from events.catalog import Command as Cmd
from events.catalog import (
    Event,
    HeartbeatReceived,
    JobAdded,
    JobFailed,
    JobLeased,
    Record,
    WorkerJoined,
)
from events.commands import (
    Command,
    Heartbeat,
    NewJob,
    RequestWork,
    Settings,
    StartBuild,
    StartCoordinator,
    StoreSource,
)
from events.decide import Context, execute
from events.errors import Code, Rejected
from events.fold import fold, replay
from events.ids import (
    BlobDigest,
    BuildId,
    FileId,
    JobId,
    LeaseId,
    Position,
    SourceId,
    SpecDigest,
    WorkerId,
    as_uuid,
)
from events.state import State
from events.validate import validate

A, B, C, D, E, F = (JobId(letter * 40) for letter in "abcdef")
S, T = (SourceId("1" * 40), SourceId("2" * 40))
V, W, X = WorkerId("v"), WorkerId("w"), WorkerId("x")
P = WorkerId("composer/6f4d1f2e-0000-4000-8000-000000000001")
LEASE_SECONDS = 30.0
JOB_SECONDS_MAX = 3600.0


def build_id(number: int) -> BuildId:
    return BuildId(f"{number:040x}")


def file_id(number: int) -> FileId:
    return FileId(as_uuid(f"{number:032x}"))


def lease_id(number: int) -> LeaseId:
    return LeaseId(f"{number:032x}")


def typed_lease(number: int) -> LeaseId:
    """Of a typed job: the same, as it looks as a UUID."""
    return LeaseId(as_uuid(lease_id(number)).replace("-", ""))


BUILD, OTHER = build_id(1), build_id(2)
LEASE = lease_id(1)


class Counter:
    """Ids one after the other, for each size its own."""

    def __init__(self) -> None:
        self._given: dict[int, int] = {}

    def __call__(self, size: int) -> str:
        self._given[size] = self._given.get(size, 0) + 1
        return f"{self._given[size]:0{2 * size}x}"


class Story:
    """A state, the records that made it, and what the last step added."""

    def __init__(self, settings: Settings | None = None) -> None:
        """With `settings` the story opens with the start of a coordinator."""
        self.state = State()
        self.records: list[Record] = []
        self.last: list[Event] = []
        self.now = 0.0
        self._new_id = Counter()
        if settings is not None:
            self.when(StartCoordinator(version="1", settings=settings))

    def given(self, *steps: Command | Event) -> "Story":
        """Commands that were carried out, or facts as they stand in the log."""
        for step in steps:
            if isinstance(step, Command):
                self.when(step)
            else:
                self._take(Record(Position(self.state.position + 1), self.now, step))
        return self

    def when(self, command: Command, *, at: float | None = None) -> "Story":
        """Carry the command out, at a time in seconds if it is not that of the step before."""
        self.now = self.now if at is None else at
        records = execute(self.state, command, Context(self.now, self._new_id))
        self.records += records
        self.last = [record.event for record in records]
        validate(self.state)
        again = replay(codec.decode(codec.encode(record)) for record in self.records)
        assert in_order(again) == in_order(self.state)
        return self

    def then(self, *events: Event) -> "Story":
        """Exactly these facts followed, in this order."""
        assert self.last == list(events)
        return self

    def refused(self, command: Command, code: Code, *words: str, at: float | None = None) -> "Story":
        """The wish is refused with this code and a reason that has the words; nothing changes."""
        before = in_order(self.state)
        try:
            self.when(command, at=at)
        except Rejected as refusal:
            assert refusal.code is code
            assert all(word in refusal.reason for word in words), refusal.reason
        else:
            raise AssertionError(f"was not refused, but brought {self.last}")
        assert in_order(self.state) == before
        return self

    def leases(self) -> list[tuple[JobId, WorkerId, str]]:
        """Job, worker and reason of each lease that the last step gave."""
        return [(e.job, e.worker, e.reason) for e in self.last if isinstance(e, JobLeased)]

    def digest(self, job: JobId, build: BuildId = BUILD) -> SpecDigest:
        return self.state.graphs[build].jobs[job].digest

    def _take(self, record: Record) -> None:
        fold(self.state, record)
        self.records.append(record)
        self.last = [record.event]


def in_order(value: object) -> Any:
    """A value that tells apart dicts in different orders, which `==` does not."""
    if isinstance(value, dict):
        return [(key, in_order(item)) for key, item in value.items()]
    kind: Any = type(value)
    if attrs.has(kind):
        return [in_order(getattr(value, field.name)) for field in attrs.fields(kind)]
    return value


# --- the usual steps, as values


def job(
    id_: JobId, *deps: JobId, inputs: Sequence[str] = (), say: str = "", seconds: float = 0.0, **more: Any
) -> NewJob:
    """A job that says something, unless it has a type; another text is another spec."""
    cmds = () if "job_type" in more else (Cmd(exec=("echo", say or id_[0])),)
    return NewJob(
        id=id_, name=id_[0], inputs=tuple(inputs), deps=deps, cmds=cmds, timeout_seconds=seconds, **more
    )


def added(new: NewJob, build: BuildId = BUILD) -> JobAdded:
    """The fact that follows from a job of a graph."""
    return JobAdded(
        build=build,
        job=new.id,
        name=new.name,
        inputs=new.inputs,
        deps=new.deps,
        commands=new.cmds,
        needs=new.needs,
        job_type=new.job_type,
        channel=new.channel,
        args=new.args,
        after_failure=new.after_failure,
        same_as=new.same_as,
        timeout_seconds=new.timeout_seconds,
        outputs=new.outputs,
        container=new.container,
    )


def start(*jobs: NewJob, key: str = "", keep_going: bool = False, priority: int = 0) -> StartBuild:
    """A graph whose inputs are `s` and `t`, as far as its jobs name them."""
    named = {path for new in jobs for path in new.inputs}
    sources = {id_: path for id_, path in ((S, "s"), (T, "t")) if path in named}
    return StartBuild(jobs=jobs, sources=sources, key=key, keep_going=keep_going, priority=priority)


def single(*jobs: NewJob, key: str = "") -> StartBuild:
    """Typed jobs of which the last is what is wanted: nothing is uploaded for them."""
    return StartBuild(jobs=jobs, key=key, keep_going=True, detached=True, at_once=True)


def ask(worker: WorkerId, *types: str, channel: str = "") -> RequestWork:
    """A request for a typed job."""
    return RequestWork(worker=worker, slots_free=1, types=types, channels=(channel,))


def store(source: SourceId, content: str = "0") -> StoreSource:
    return StoreSource(source=source, blob=BlobDigest(content * 64), size=1)


def beat(worker: WorkerId = W, free: int = 1, **fields: Any) -> Heartbeat:
    """A report of a worker of ours, idle unless the fields say otherwise."""
    defaults: dict[str, Any] = {"native": True, "session": "1", "slots": 1, "running": ()}
    return Heartbeat(worker=worker, slots_free=free, **{**defaults, **fields})


def plain(worker: WorkerId = W, free: int = 1, **fields: Any) -> Heartbeat:
    """A report in plain distbuild, which knows no sessions and no leases."""
    return Heartbeat(worker=worker, slots_free=free, **{"running": (), **fields})


def heard(worker: WorkerId = W, free: int = 1, **fields: Any) -> HeartbeatReceived:
    return HeartbeatReceived(worker=worker, slots_free=free, **fields)


def joined(worker: WorkerId = W, session: str = "1", slots: int = 1) -> WorkerJoined:
    """A worker of ours came."""
    return WorkerJoined(worker=worker, session=session, slots=slots, native=True)


def leased(
    id_: JobId,
    number: int = 1,
    worker: WorkerId = W,
    *,
    reason: str = "first-come",
    build: BuildId = BUILD,
    attempt: int = 1,
) -> JobLeased:
    return JobLeased(
        build=build, job=id_, lease=lease_id(number), worker=worker, attempt=attempt, reason=reason
    )


def failed(
    id_: JobId, number: int = 1, error: str = "exit status 1", exit_code: int = 1, build: BuildId = BUILD
) -> JobFailed:
    return JobFailed(build=build, job=id_, lease=lease_id(number), exit_code=exit_code, error=error)
