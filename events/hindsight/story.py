"""What happened to one build, job or worker: the records that touched it, each as a sentence."""

from collections.abc import Hashable, Iterable, Iterator
from typing import NamedTuple

from attrs import frozen

from events.catalog import (
    CoordinatorStalled,
    CoordinatorStarted,
    Event,
    HeartbeatReceived,
    JobAdded,
    JobCancelled,
    JobLeased,
    JobQueued,
    JobReused,
    LeaseHeard,
    Record,
    WorkerLost,
    WorkersHeard,
    WorkRequested,
)
from events.hindsight.sentences import Teller
from events.hindsight.words import LISTED_MAX, seconds
from events.ids import BuildId, JobId, LeaseId, Position, WorkerId


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

    Reports of a worker that say nothing new are told together. So is what happened to many jobs of a build
    at once.
    """
    teller, touch = Teller(names_builds=topic.build is None), Touch(topic)
    together = _Together(teller)
    for record in records:
        if touch.is_touched_by(record.event):
            key = _key(record, topic, teller)
            if key is None or key != together.key:
                yield from together.told()
            if key is None:
                yield Told(position=record.position, at=record.at, text=teller.say(record))
            else:
                together.add(record, key)
        teller.learn(record)
    yield from together.told()


class Touch:
    """Which events are about the topic, or speak of it; has to see all of them, in order."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        # The topic's leases: of the job, or held by the worker, by what they are for; live ones.
        self._live: dict[tuple[BuildId, JobId], LeaseId] = {}
        self._leases: set[LeaseId] = set()
        # Who was given jobs of the topic, and may hold what they made.
        self._workers: set[WorkerId] = set()

    def is_touched_by(self, event: Event) -> bool:
        is_touched = self._is_touched_by(event)
        if is_touched and isinstance(event, JobLeased):
            self._live[event.build, event.job] = event.lease
            self._leases.add(event.lease)
            self._workers.add(event.worker)
        elif hasattr(event, "build") and hasattr(event, "job"):
            self._live.pop((event.build, event.job), None)
        return is_touched

    def _is_touched_by(self, event: Event) -> bool:
        topic = self._topic
        if isinstance(event, CoordinatorStarted | CoordinatorStalled):
            return bool(self._live)  # their leases were renewed
        if isinstance(event, WorkerLost) and event.worker in self._workers:
            self._workers.discard(event.worker)
            return True
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
        if isinstance(event, LeaseHeard):
            return event.lease in self._leases
        if not isinstance(event, HeartbeatReceived):
            return False
        spoken = {*event.finished, *event.unreported, *event.strays}
        return self._topic.job in spoken or not spoken.isdisjoint(self._leases)


def _key(record: Record, topic: Topic, teller: Teller) -> Hashable | None:
    """Records with the same key, one after the other, are told together; None: by itself."""
    event = record.event
    if _is_idle(event):
        return "idle"
    if topic.build is None or topic.job is not None:
        return None
    if isinstance(event, JobAdded | JobQueued | JobReused):
        return type(event), getattr(event, "reason", ""), record.at
    if isinstance(event, JobCancelled) and not teller.is_running(event.build, event.job):
        return type(event), event.reason, record.at
    return None


def _is_idle(event: Event) -> bool:
    if isinstance(event, WorkRequested | WorkersHeard):
        return True
    if isinstance(event, LeaseHeard):
        return event.said == "alive"
    if not isinstance(event, HeartbeatReceived):
        return False
    return not (event.unreported or event.strays or event.finished or event.draining)


class _Together:
    """Records of one key, gathered until something else happens."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self.key: Hashable | None = None
        self._count = 0
        self._few: list[Record] = []
        self._texts: list[str] = []
        self._last: Record | None = None

    def add(self, record: Record, key: Hashable) -> None:
        self.key = key
        self._last = record
        self._count += 1
        if len(self._few) < LISTED_MAX:  # those that are named
            self._few.append(record)
            self._texts.append(self._teller.say(record))

    def told(self) -> Iterator[Told]:
        """One sentence for all of them, if there are any; and none are left."""
        if self._last is not None:
            first, last = self._few[0], self._last
            text = self._texts[0]
            if self._count > 1 and self.key == "idle":
                later = seconds(last.at - first.at)
                text = f"{text}; {self._count} reports until record {last.position}, {later} later"
            elif self._count > 1:
                text = self._teller.say_of_many([record.event for record in self._few], self._count)
            yield Told(position=first.position, at=first.at, text=text)
        self.key, self._count, self._few, self._texts, self._last = None, 0, [], [], None
