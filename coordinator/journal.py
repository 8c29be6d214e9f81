"""The journal: State, the records that are not on disk yet, and the one task that puts them there.

`append` returns when its records are durable; whoever appends while a commit is under way shares the next
one, so a busy coordinator pays one fsync for many requests. Followers pull: `grown` says that there is
something new, `read` gives it, from memory where it is recent and from the log where it is not.

A full disk is no catastrophe: nothing of the batch was stored, so the state is rebuilt from the log, what
was refused never happened, reads go on, and writes resume when there is room. Any other failure to write
ends the process: its outcome is unknown, and the next process finds out by reading.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import structlog
import trio
from attrs import Factory, define

from coordinator.disk import RunSync, in_thread
from coordinator.recent import Recent
from events.catalog import Record
from events.errors import STORAGE_FULL, Rejected
from events.fold import replay
from events.ids import BEGINNING, Position
from events.log import PAGE, Entry, Log, LogFull, Subject, read_records, subjects
from events.query import Searchable
from events.restore import without_collector
from events.state import State

log = structlog.get_logger()
T = TypeVar("T")

PROBE_SECONDS = 1.0
PROBE_BYTES = 1 << 20


class Page(NamedTuple):
    """Records of one subject, in order; there are no others of it up to position `upto`.

    `is_cut`: there may be more, for as many as were asked for have been found.
    """

    entries: list[Entry]
    upto: Position
    is_cut: bool = False


@define(eq=False)
class _Batch:
    records: list[Record] = Factory(list)
    stored: trio.Event = Factory(trio.Event)
    dropped: bool = False


@define(eq=False)
class _Chore:
    step: Callable[[], object]
    done: trio.Event = Factory(trio.Event)
    value: object = None
    error: LogFull | None = None

    def result(self) -> object:
        if self.error is not None:
            raise self.error
        return self.value


class Journal:
    """The event log as the running coordinator sees it. `state` may run ahead of `durable`."""

    def __init__(
        self,
        log: Log,
        reader: Searchable,
        *,
        run_sync: RunSync = in_thread,
        has_room: Callable[[], bool] = lambda: True,
        restore: Callable[[], State] | None = None,
        recent: Callable[[Position], Recent] = Recent,
        page: int = PAGE,
    ) -> None:
        """`reader` is a second look at the log, beside the writer, from any thread.

        `has_room` tells, after the disk was full, whether it still is; `recent` makes the memory.

        `restore`: a quicker way to what the log adds up to than to replay all of it. `page`: how many
        records a reader gets at once.
        """
        self.state = State()
        self.durable = BEGINNING
        self.is_full = False
        self.is_stopping = False
        # Up to here the log's table is not whole any more: the archive is.
        self.floor = BEGINNING
        # When the commit under way began (trio's clock); None between commits.
        self.commit_began: float | None = None
        self._log = log
        self._reader = reader
        self.run_sync = run_sync
        self._has_room = has_room
        self._restore = restore or partial(replayed, log)
        self._page = page
        self._make_recent = recent
        self._recent = recent(BEGINNING)
        self._staged = _Batch()
        self._flying = _Batch()
        self._work = trio.Event()
        self._chores: deque[_Chore] = deque()
        self._grown: dict[Subject | None, trio.Event] = {}
        self._bug: Exception | None = None

    async def load(self) -> None:
        """Replay the log into `state`."""
        self.state = await self.run_sync(self._restore)
        self.durable = self._log.head()
        self._recent = self._make_recent(self.durable)

    async def commit_forever(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Store what is staged, batch after batch; raises what a broken disk or `give_up` says."""
        task_status.started()
        while True:
            await self._work.wait()  # unbounded: an idle coordinator has nothing to store
            self._work = trio.Event()
            if self._bug is not None:
                raise self._bug
            if self._staged.records:
                await self._commit()
            if self._chores:
                await self._do(self._chores.popleft())
            if self._chores:
                self._work.set()

    def give_up(self, bug: Exception) -> None:
        """`state` can no longer be trusted: store nothing more, end the process, let the next one replay."""
        self._bug = bug
        self._work.set()

    async def append(self, records: Sequence[Record]) -> None:
        """Return when the records are on disk; raises `Rejected` (`STORAGE_FULL`) if they never will be.

        To be called in the same breath in which they were folded. A cancelled caller leaves them staged.
        """
        if not records:
            return
        batch = self._stage(records)
        await batch.stored.wait()  # bounded by the disk: a commit succeeds, or fails and ends the process
        if batch.dropped:
            raise Rejected(STORAGE_FULL, "nothing was changed")

    def stage(self, records: Sequence[Record]) -> None:
        """Have the records stored with the next commit; for whom it is enough that they will be."""
        if records:
            self._stage(records)

    async def between_commits(self, step: Callable[[], object]) -> object:
        """Have the log's writer do something else; raises what that raises. It must be quick."""
        chore = _Chore(step)
        self._chores.append(chore)
        self._work.set()
        await chore.done.wait()  # bounded by the commits before it
        return chore.result()

    async def settled(self) -> bool:
        """Wait until all that `state` says now is durable; False if some of it was dropped instead."""
        batch = self._staged if self._staged.records else self._flying
        if self.durable >= self.state.position:
            return True
        await batch.stored.wait()
        return not batch.dropped

    async def grown(self, scanned: Position, subject: Subject | None = None) -> None:
        """Return when there may be news beyond `scanned`, of one build or of all, or on a stop."""
        if self.is_stopping or self.may_have_news(scanned, subject):
            return
        event = self._grown.get(subject)
        if event is None:
            event = self._grown[subject] = trio.Event()
        await event.wait()  # unbounded: whoever follows a silent subject bounds it himself

    def may_have_news(self, scanned: Position, subject: Subject | None) -> bool:
        """Is there, for all that memory knows, a durable record of the subject beyond `scanned`?"""
        return self._recent.may_have_news(scanned, subject)

    async def read(self, after: Position, subject: Subject | None = None, limit: int | None = None) -> Page:
        """Durable records beyond `after`, up to `limit` of them."""
        head, limit = self.durable, limit or self._page
        found = self._recent.after(after, subject, limit)
        if found is None:
            read = await self.run_sync(self._reader.read, after, subject, limit)
            found = [entry for entry in read if entry.record.position <= head]
        is_cut = len(found) == limit
        return Page(found, found[-1].record.position if is_cut else head, is_cut)

    async def look(self, find: Callable[[Searchable], T]) -> T:
        """What somebody finds who searches in the log, which takes its time and holds up nobody."""
        return await self.run_sync(find, self._reader)

    def stop_followers(self) -> None:
        """Let every follower see that the coordinator stops."""
        self.is_stopping = True
        self._wake(list(self._grown))

    def _stage(self, records: Sequence[Record]) -> _Batch:
        self._staged.records.extend(records)
        self._work.set()
        return self._staged

    async def _do(self, chore: "_Chore") -> None:
        try:
            chore.value = await self.run_sync(chore.step)
        except LogFull as error:
            chore.error = error
        chore.done.set()

    async def _commit(self) -> None:
        batch = self._flying = self._staged
        self._staged = _Batch()
        self.commit_began = trio.current_time()
        try:
            texts = await self.run_sync(self._log.append, batch.records)
        except LogFull as error:
            await self._survive_full_disk(batch, error)
            return
        finally:
            self.commit_began = None
        self.durable = batch.records[-1].position
        self._publish(batch.records, texts)
        batch.stored.set()

    def _publish(self, records: Sequence[Record], texts: Sequence[bytes]) -> None:
        touched: dict[Subject | None, None] = {None: None}
        for record, text in zip(records, texts, strict=True):
            self._recent.append(record, text)
            build, _ = subjects(record)
            if build is not None:
                touched[Subject("build", build)] = None
        self._wake(touched)

    def _wake(self, touched: Sequence[Subject | None] | dict[Subject | None, None]) -> None:
        for subject in touched:
            event = self._grown.pop(subject, None)
            if event is not None:
                event.set()

    async def _survive_full_disk(self, batch: _Batch, error: LogFull) -> None:
        log.error("disk full, refusing writes", error=str(error), dropped=len(batch.records))
        self.is_full = True
        self.state = await self.run_sync(self._restore)
        for lost in (batch, self._staged):
            lost.dropped = True
            lost.stored.set()
        self._staged = _Batch()
        while not await self.run_sync(self._has_room):
            await trio.sleep(PROBE_SECONDS)  # nobody tells us when space becomes free
        self.is_full = False
        log.info("disk has room again, accepting writes")


def replayed(log: Log) -> State:
    """All of the log."""
    with without_collector():
        return replay(read_records(log))
