"""A build's graph as it was handed in, read from the log as far as somebody asks for it."""

from collections.abc import Collection, Iterable
from functools import cached_property

import msgspec

from events.catalog import BuildStarted, JobAdded, SourcesDeclared
from events.codec import decode_typed
from events.hindsight.words import short
from events.ids import BuildId, JobId, Position, SourceId
from events.log import Subject
from events.query import Query, Searchable

# Whoever asks more often for jobs that are not known wants most of them.
FETCHES_MAX = 3


class _Vertex(msgspec.Struct, gc=False):
    """As much of a `JobAdded` as it takes to find one's way: this is read much faster, of 100 000 jobs."""

    job: JobId
    name: str = ""
    deps: tuple[JobId, ...] = ()


_read_vertex = msgspec.json.Decoder(_Vertex).decode


class Handed:
    """The jobs of a graph, which are recorded one after the other when the build begins, and its sources."""

    def __init__(self, log: Searchable, build: BuildId, upto: Position) -> None:
        self._log = log
        self._upto = upto
        self._subject = Subject.build(build)
        self._vertices: dict[JobId, _Vertex] = {}
        self._texts: dict[JobId, str] = {}
        self._fetches = 0
        self._is_complete = False

    def has(self, job: JobId) -> bool:
        return self._vertex(job) is not None

    def job(self, job: JobId) -> JobAdded:
        """All about the job, which is one of the graph."""
        assert self.has(job), f"the graph has no job {job}"
        event = decode_typed(self._range[0], 0.0, "JobAdded", self._texts[job].encode()).event
        assert isinstance(event, JobAdded)
        return event

    def deps(self, job: JobId) -> tuple[JobId, ...]:
        """What the job needs; nothing if it is none of the graph's."""
        vertex = self._vertex(job)
        return vertex.deps if vertex else ()

    def name(self, job: JobId) -> str:
        """What people call it; the beginning of its id if it has no name, or is none of the graph's."""
        vertex = self._vertex(job)
        return vertex.name if vertex and vertex.name else short(job)

    def named(self, name: str) -> JobId | None:
        """A job that people call so, if there is one."""
        return self._by_name.get(name)

    def fetch(self, jobs: Iterable[JobId]) -> None:
        """Read what is not known of these jobs, in one go."""
        missing = [job for job in jobs if job not in self._vertices]
        if not missing or self._is_complete:
            return
        if self._fetches == FETCHES_MAX:
            self._fetch_all()
        else:
            self._fetches += 1
            self._read(jobs=missing)

    @cached_property
    def sources(self) -> dict[str, SourceId]:
        """By path."""
        query = Query(upto=self._range[0], subject=self._subject, types=("SourcesDeclared",))
        events = [record.event for record in self._log.search(query)]
        pages = [event.files for event in events if isinstance(event, SourcesDeclared)]
        return {path: id_ for page in pages for id_, path in page.items()}

    @cached_property
    def _by_name(self) -> dict[str, JobId]:
        self._fetch_all()
        return {vertex.name: vertex.job for vertex in self._vertices.values()}

    @cached_property
    def _range(self) -> tuple[Position, Position]:
        """Beyond which position the jobs stand, and up to which."""
        query = Query(upto=self._upto, subject=self._subject, types=("BuildStarted",), limit=1)
        [started] = self._log.search(query)
        assert isinstance(started.event, BuildStarted)
        query = Query(upto=self._upto, subject=self._subject, types=("JobAdded",), limit=1)
        first = self._log.search(query)
        before = first[0].position - 1 if first else started.position
        return Position(before), min(self._upto, Position(before + started.event.jobs))

    def _vertex(self, job: JobId) -> _Vertex | None:
        if job not in self._vertices:
            self.fetch((job,))
        return self._vertices.get(job)

    def _fetch_all(self) -> None:
        if not self._is_complete:
            self._is_complete = True
            self._read()

    def _read(self, jobs: Collection[JobId] = ()) -> None:
        """Read these, or all where none is named."""
        after, upto = self._range
        query = Query(after=after, upto=upto, subject=self._subject, types=("JobAdded",), jobs=jobs)
        for text in self._log.texts(query):
            vertex = _read_vertex(text)
            self._vertices[vertex.job], self._texts[vertex.job] = vertex, text
