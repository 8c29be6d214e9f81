"""Which log, and what in it: files opened, coordinators asked, shortened names found."""

import contextlib
import difflib
import heapq
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Self, TypeVar

from attrs import evolve, frozen

from clients.cli import exits
from clients.cli.errors import usage
from clients.cli.exits import Failure
from clients.cli.log.options import Moment, Source
from clients.cli.texts import plain
from events.catalog import EVENTS, BuildStarted, JobAdded, Record
from events.hindsight.story import Topic
from events.ids import BEGINNING, BuildId, JobId, Position, WorkerId, is_hex40
from events.log import Entry, Subject, concerns, read_all
from events.query import Query, saying, search_all
from events.sqlite import SqliteReader

T = TypeVar("T", bound=str)

CANDIDATES_SHOWN = 6
# What befalls all builds that go on.
FARM = ("CoordinatorStalled", "CoordinatorStarted", "WorkerLost")


@contextlib.contextmanager
def opened(source: Source) -> Iterator[SqliteReader]:
    """The log, to be read; a coordinator's is copied first, which is deleted in the end."""
    if not source.coordinator:
        with _reader(source.log) as reader:
            yield reader
        return
    from clients.cli import talking
    from clients.cli.log import fetching

    with tempfile.TemporaryDirectory(prefix="terzetto-log-") as directory:
        path = Path(directory) / "log.sqlite3"
        code = talking.run(
            partial(fetching.fetch, path=path), coordinator=source.coordinator, log_level=source.log_level
        )
        if code:
            raise SystemExit(code)  # ended by a signal
        with _reader(path) as reader:
            yield reader


@contextlib.contextmanager
def _reader(path: Path) -> Iterator[SqliteReader]:
    if not path.is_file():
        fix = "name the log with --log, its directory with --data, or a --coordinator"
        raise Failure(exits.BAD_FILE, f"there is no log at {path}", fix=fix)
    with contextlib.closing(SqliteReader(path)) as reader:
        yield reader


@frozen(kw_only=True)
class Wanted:
    """Which records are asked for; what is empty asks for nothing in particular."""

    types: tuple[str, ...] = ()
    build: BuildId | None = None
    jobs: frozenset[JobId] = frozenset()
    worker: WorkerId | None = None
    since: Moment | None = None
    until: Moment | None = None

    @classmethod
    def resolved(
        cls,
        log: SqliteReader,
        *,
        types: Sequence[str],
        build: str,
        job: str,
        worker: str,
        since: Moment | None,
        until: Moment | None,
    ) -> Self:
        """Of what people type; raises `Failure` for what there is not."""
        check_types(types)
        in_build = find_build(log, build) if build else None
        jobs = {id_ for id_, _ in find_jobs(log, job, in_build)} if job else set()
        if job and not jobs:
            raise _no_such("job", job)
        return cls(
            types=tuple(types),
            build=in_build,
            jobs=frozenset(jobs),
            worker=_find_worker(log, worker) if worker else None,
            since=since,
            until=until,
        )

    def read(self, log: SqliteReader) -> Iterator[Entry]:
        """The records, one after the other."""
        after = BEGINNING
        if self.since and self.since.position:
            after = Position(self.since.position - 1)
        for entry in read_all(log, after, self._subject()):
            if self.until and is_beyond(entry.record, self.until):
                return
            if self._fits(entry.record):
                yield entry

    def _subject(self) -> Subject | None:
        """What the log itself can look for."""
        if self.build:
            return Subject.build(self.build)
        return Subject.worker(self.worker) if self.worker else None

    def _fits(self, record: Record) -> bool:
        if self.types and type(record.event).__name__ not in self.types:
            return False
        if self.jobs and getattr(record.event, "job", None) not in self.jobs:
            return False
        if self.worker and not concerns(record, Subject.worker(self.worker)):
            return False
        return not (self.since and self.since.seconds is not None and record.at < self.since.seconds)


def is_beyond(record: Record, moment: Moment) -> bool:
    """Does the record come after this point?"""
    if moment.position is not None:
        return record.position > moment.position
    assert moment.seconds is not None
    return record.at > moment.seconds


def check_types(types: Iterable[str]) -> None:
    for name in types:
        if name not in EVENTS:
            close = difflib.get_close_matches(name, EVENTS, n=1, cutoff=0.5)
            fix = f"did you mean {close[0]}?" if close else f"there are {', '.join(EVENTS)}"
            raise usage(f"there is no type of record {plain(name)!r}", fix=fix)


def find_build(log: SqliteReader, text: str) -> BuildId:
    """The one build whose id begins with `text`, else the latest of this name; raises `Failure`."""
    if is_hex40(text) and log.read(BEGINNING, Subject.build(BuildId(text)), 1):
        return BuildId(text)
    started = log.search(Query(upto=log.head(), types=("BuildStarted",)))
    events = [record.event for record in started if isinstance(record.event, BuildStarted)]
    begun = {event.build: event.name for event in events if event.build.startswith(text)}
    named = [event.build for event in events if text and event.name == text]
    return named[-1] if named and not begun else _the_one("build", text, begun)


def of_build(log: SqliteReader, build: BuildId) -> Iterator[Record]:
    """The build's own records and, from its beginning to its end, what befell the farm."""
    own = Query(upto=log.head(), subject=Subject.build(build))
    [first], [last] = (
        log.search(Query(upto=own.upto, subject=own.subject, newest_first=newest, limit=1))
        for newest in (False, True)
    )
    farm = Query(after=first.position, upto=last.position, types=FARM)
    return heapq.merge(search_all(log, own), search_all(log, farm), key=attrgetter("position"))


def find_job(log: SqliteReader, text: str, build: BuildId) -> JobId:
    """The one job of the build that `text` names; raises `Failure`."""
    return _the_one("job", text, dict(find_jobs(log, text, build)))


def find_jobs(log: SqliteReader, text: str, build: BuildId | None) -> set[tuple[JobId, str]]:
    """Ids and names of the jobs that `text` is the id or name of, or if there is none, the beginning."""
    if not _is_unicode(text):
        return set()
    subject = Subject.build(build) if build else None
    added = Query(upto=log.head(), types=("JobAdded",), subject=subject)
    exact = {
        *_jobs(log, evolve(added, jobs=(JobId(text),))),
        *_jobs(log, evolve(added, text=saying("name", text))),
    }
    return exact or {
        (id_, name) for id_, name in _jobs(log, added) if text in (id_[: len(text)], name[: len(text)])
    }


def _jobs(log: SqliteReader, query: Query) -> Iterator[tuple[JobId, str]]:
    for record in search_all(log, query):
        assert isinstance(record.event, JobAdded)
        yield record.event.job, record.event.name


def find_topic(log: SqliteReader, text: str) -> Topic:
    """What `build/BUILD`, `job/BUILD/JOB`, `job/JOB` or `worker/WORKER` means; raises `Failure`."""
    kind, _, name = text.partition("/")
    if kind not in ("build", "job", "worker") or not name:
        raise usage(
            f"{plain(text)!r} is no topic", fix="write build/BUILD, job/BUILD/JOB, job/JOB or worker/WORKER"
        )
    if kind == "build":
        return Topic(build=find_build(log, name))
    return _find_job(log, name) if kind == "job" else Topic(worker=_find_worker(log, name))


def _find_job(log: SqliteReader, text: str) -> Topic:
    """A job's name may have slashes in it, so that `a/b` may be a job, too."""
    found = find_jobs(log, text, None)
    first, slash, rest = text.partition("/")
    if found or not (slash and rest):
        return Topic(job=_the_one("job", text, dict(found)))
    build = find_build(log, first)
    return Topic(build=build, job=find_job(log, rest, build))


def _find_worker(log: SqliteReader, text: str) -> WorkerId:
    """Workers are URLs; the scheme may be left out."""
    for name in (text, f"http://{text}") if _is_unicode(text) else ():
        if log.read(BEGINNING, Subject.worker(WorkerId(name)), 1):
            return WorkerId(name)
    raise _no_such("worker", text)


def _is_unicode(text: str) -> bool:
    """An argument may be any bytes; no name in the log has such as are not UTF-8."""
    return not any("\udc80" <= char <= "\udcff" for char in text)


def _the_one(kind: str, text: str, found: Mapping[T, str]) -> T:
    if not found:
        raise _no_such(kind, text)
    if len(found) == 1:
        return next(iter(found))
    shown = [f"{id_} {plain(name)}".rstrip() for id_, name in sorted(found.items())[:CANDIDATES_SHOWN]]
    more = [f"and {len(found) - len(shown)} more"] if len(found) > len(shown) else []
    raise Failure(exits.AMBIGUOUS, "\n".join([f"{plain(text)!r} may be", *shown, *more]))


def _no_such(kind: str, text: str) -> Failure:
    return Failure(
        exits.NOT_FOUND, f"the log knows no {kind} {plain(text)!r}", fix="look with `terzetto log state`"
    )
