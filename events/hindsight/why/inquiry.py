"""The job that is asked about, and how people call what it has to do with."""

from functools import cached_property

from events.catalog import BuildStarted, JobAdded, JobQueued, JobReused, Record
from events.hindsight.why.handed import Handed
from events.hindsight.why.then import STATUS_AFTER, Then, told
from events.hindsight.words import seconds, short
from events.ids import BuildId, JobId, Position, SpecDigest
from events.transitions import JobStatus


class Inquiry:
    """One job of one build, at the position of `past`; `history` is every change of its status so far."""

    def __init__(self, past: Then, started: Record, job: JobId, history: list[Record]) -> None:
        self.past = past
        self.started = started
        self.job = job
        self.history = history

    def as_of(self, position: Position) -> "Inquiry":
        """The same question, asked earlier."""
        history = [record for record in self.history if record.position <= position]
        return Inquiry(self.past.as_of(position), self.started, self.job, history)

    @property
    def build(self) -> BuildId:
        return told(self.started, BuildStarted).build

    @cached_property
    def graph(self) -> Handed:
        return self.past.graph(self.build)

    @property
    def added(self) -> JobAdded:
        return self.graph.job(self.job)

    @property
    def name(self) -> str:
        return self.graph.name(self.job)

    @property
    def last(self) -> Record:
        """What moved the job last; its build's start if nothing ever did."""
        return self.history[-1] if self.history else self.started

    @property
    def status(self) -> JobStatus:
        return STATUS_AFTER[type(self.last.event).__name__] if self.history else JobStatus.BLOCKED

    def moved_by(self, *types: type) -> list[Record]:
        """The changes of the job's status that such events brought."""
        return [record for record in self.history if isinstance(record.event, types)]

    def digest(self, before: Position) -> SpecDigest:
        """What the job was made of before this position, as far as it had come to that."""
        made_of = [
            record.event.digest
            for record in self.history
            if record.position < before and isinstance(record.event, JobQueued | JobReused)
        ]
        return made_of[-1] if made_of else SpecDigest("")

    def ago(self, record: Record) -> str:
        """How long it is since the record."""
        return seconds(self.past.at - record.at)


def called(build: BuildId, name: str) -> str:
    """`build 3f2a91c0 (nightly)`."""
    return f"build {short(build)} ({name})" if name else f"build {short(build)}"
