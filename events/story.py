"""What happened to one build, job or worker: the records that touched it, each as a sentence."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from attrs import frozen

from events.catalog import (
    CoordinatorStalled,
    CoordinatorStarted,
    Event,
    HeartbeatReceived,
    JobLeased,
    Record,
    WorkersHeard,
    WorkRequested,
)
from events.ids import BuildId, JobId, LeaseId, Position, WorkerId
from events.sentences import Teller
from events.words import seconds


class Topic(NamedTuple):
    """What a story is about: a build; a job, of one build or of all; or a worker."""

    build: BuildId | None = None
    job: JobId | None = None
    worker: WorkerId | None = None


@frozen(kw_only=True)
class Told:
    """One sentence, about the record at `position`; `at` in seconds since 1970."""

    position: Position
    at: float
    text: str


def tell(records: Iterable[Record], topic: Topic) -> Iterator[Told]:
    """The story of `topic`; records that do not touch it may be among them, and then teach names.

    Reports of a worker that say nothing new are told together.
    """
    teller, touch = Teller(names_builds=topic.build is None), Touch(topic)
    idle = _Idle(teller)
    for record in records:
        if touch.is_touched_by(record.event):
            if _is_idle(record.event):
                idle.add(record)
                continue
            yield from idle.told()
            yield Told(position=record.position, at=record.at, text=teller.say(record))
        teller.learn(record)
    yield from idle.told()


class Touch:
    """Which events are about the topic, or speak of it; has to see all of them, in order."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        # The topic's leases: of the job, or held by the worker, by what they are for; live ones.
        self._live: dict[tuple[BuildId, JobId], LeaseId] = {}
        self._leases: set[LeaseId] = set()

    def is_touched_by(self, event: Event) -> bool:
        is_touched = self._is_touched_by(event)
        if is_touched and isinstance(event, JobLeased):
            self._live[event.build, event.job] = event.lease
            self._leases.add(event.lease)
        elif hasattr(event, "build") and hasattr(event, "job"):
            self._live.pop((event.build, event.job), None)
        return is_touched

    def _is_touched_by(self, event: Event) -> bool:
        topic = self._topic
        if isinstance(event, CoordinatorStarted | CoordinatorStalled):
            return bool(self._live)  # their leases were renewed
        build, job = getattr(event, "build", None), getattr(event, "job", None)
        if topic.job is not None:
            is_here = job == topic.job and topic.build in (None, build or topic.build)
            return is_here or self._is_spoken_of(event)
        if topic.worker is not None:
            if isinstance(event, WorkersHeard):
                return topic.worker in event.workers
            return getattr(event, "worker", None) == topic.worker or (build, job) in self._live
        return build == topic.build

    def _is_spoken_of(self, event: Event) -> bool:
        """Does a worker speak of the job, or of a lease of it?"""
        if not isinstance(event, HeartbeatReceived):
            return False
        spoken = {*event.finished, *event.unreported, *event.strays}
        return self._topic.job in spoken or not spoken.isdisjoint(self._leases)


def _is_idle(event: Event) -> bool:
    if isinstance(event, WorkRequested | WorkersHeard):
        return True
    if not isinstance(event, HeartbeatReceived):
        return False
    return not (event.unreported or event.strays or event.finished or event.draining)


class _Idle:
    """Reports with nothing new, gathered until something happens."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._count = 0
        self._first: Record | None = None
        self._last: Record | None = None

    def add(self, record: Record) -> None:
        self._first = self._first or record
        self._last = record
        self._count += 1

    def told(self) -> Iterator[Told]:
        """One sentence for all of them, if there are any; and none are left."""
        if self._first is None or self._last is None:
            return
        text = self._teller.say(self._first)
        if self._count > 1:
            later = seconds(self._last.at - self._first.at)
            text = f"{text}; {self._count} reports until record {self._last.position}, {later} later"
        yield Told(position=self._first.position, at=self._first.at, text=text)
        self._first, self._last, self._count = None, None, 0
