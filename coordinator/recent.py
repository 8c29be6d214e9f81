"""The latest records, in memory, so that those who watch live never touch the disk.

Per build and for the whole log. Each record's text is made once, by the log, and the same bytes go to
every viewer; a stretch that many viewers ask for is joined once.
"""

from bisect import bisect_right
from collections import OrderedDict

from events.catalog import Record
from events.ids import Position
from events.log import Entry, Subject, subjects

RECORDS_MAX = 50_000
SUBJECTS_MAX = 256


class Stretch:
    """Consecutive records of one subject: everything beyond `floor` that concerns it."""

    def __init__(self, floor: Position, records_max: int) -> None:
        self.floor = floor
        self._records_max = records_max
        self._positions: list[int] = []
        self._entries: list[Entry] = []

    def append(self, entry: Entry) -> None:
        self._positions.append(entry.record.position)
        self._entries.append(entry)
        surplus = len(self._entries) - self._records_max
        if surplus > self._records_max:  # seldom, since it moves all that stays
            self.floor = self._entries[surplus - 1].record.position
            del self._positions[:surplus], self._entries[:surplus]

    def after(self, position: Position, limit: int) -> list[Entry] | None:
        """Up to `limit` records beyond `position`; None where they are no longer in memory."""
        if position < self.floor:
            return None
        start = bisect_right(self._positions, position)
        return self._entries[start : start + limit]


class Recent:
    """Stretches of the latest builds, and of the whole log, whose subject is `None`."""

    def __init__(
        self, head: Position, *, records_max: int = RECORDS_MAX, subjects_max: int = SUBJECTS_MAX
    ) -> None:
        """Records beyond `head` will be added; each stretch keeps `records_max` to twice as many."""
        self._records_max = records_max
        self._subjects_max = subjects_max
        self._all = Stretch(head, records_max)
        self._of: OrderedDict[Subject, Stretch] = OrderedDict()
        # Up to here a subject without a stretch may have records that only the log knows.
        self._forgot_at = head

    def append(self, record: Record, text: bytes) -> None:
        entry = Entry(record, text, b"")
        self._all.append(entry)
        build, _ = subjects(record)
        if build is None:
            return
        subject = Subject("build", build)
        stretch = self._of.get(subject)
        if stretch is None:
            stretch = self._of[subject] = Stretch(Position(record.position - 1), self._records_max)
            if len(self._of) > self._subjects_max:
                self._of.popitem(last=False)
                self._forgot_at = record.position
        stretch.append(entry)

    def may_have_news(self, scanned: Position, subject: Subject | None) -> bool:
        """Is there, for all that memory knows, a record of the subject beyond `scanned`?"""
        if subject is not None and subject not in self._of:
            return scanned < self._forgot_at
        found = self.after(scanned, subject, 1)
        return found is None or bool(found)

    def after(self, position: Position, subject: Subject | None, limit: int) -> list[Entry] | None:
        """Up to `limit` records beyond `position`; None where memory does not go back that far."""
        stretch = self._all if subject is None else self._of.get(subject)
        return None if stretch is None else stretch.after(position, limit)
