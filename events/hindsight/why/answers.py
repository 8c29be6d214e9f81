"""What an explanation consists of."""

from enum import StrEnum
from typing import TypeAlias

from attrs import frozen

from events.catalog import Record
from events.ids import BuildId, JobId, Position
from events.transitions import JobStatus

# A text, and the positions of the records that it rests on.
Said: TypeAlias = tuple[str, tuple[Position, ...]]


class Question(StrEnum):
    """What people ask about a job, in the order in which the answers are given."""

    STATUS = "status"
    WAITING = "waiting"
    ENDED = "ended"
    PLACE = "place"
    AGAIN = "again"
    NOT_REUSED = "not-reused"
    REUSED = "reused"


@frozen
class Answer:
    """One answer, or one part of it: in a word for programs, in a sentence for people.

    `records`: the positions that it rests on, that of the decision itself first; `at`: when that was, in
    seconds since 1970.
    """

    question: Question
    code: str
    text: str
    at: float
    records: tuple[Position, ...]

    @classmethod
    def about(cls, record: Record, question: Question, code: str, said: Said) -> "Answer":
        """What is said about the decision that is in this record."""
        text, others = said
        return cls(question, code, text, record.at, tuple(dict.fromkeys((record.position, *others))))


@frozen(kw_only=True)
class Explanation:
    """All that there is to say about a job as of the record at `position`; `at` in seconds since 1970."""

    build: BuildId
    build_name: str
    job: JobId
    name: str
    position: Position
    at: float
    status: JobStatus
    answers: tuple[Answer, ...]
