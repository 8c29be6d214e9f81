"""What an explanation consists of."""

from enum import StrEnum
from typing import TypeAlias

from attrs import frozen

from events.catalog import Record
from events.ids import BuildId, JobId, Position
from events.transitions import JobStatus

# A text, and the positions of the records that it rests on.
Said: TypeAlias = tuple[str, tuple[Position, ...]]

# So many steps of a chain are told in one line.
STEPS_MAX = 16


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


@frozen
class Step:
    """One link in the chain of what became of a job: in a word for programs, in a few for people.

    `position` is that of the record with which it began; `at`: when that was, in seconds since 1970.
    """

    code: str
    text: str
    at: float
    position: Position

    @classmethod
    def of(cls, record: Record, code: str, text: str) -> "Step":
        """The step that began with this record."""
        return cls(code, text, record.at, record.position)


@frozen(kw_only=True)
class Explanation:
    """All that there is to say about a job as of the record at `position`; `at` in seconds since 1970.

    `chain` is its way up to there, from when its build began.
    """

    build: BuildId
    build_name: str
    job: JobId
    name: str
    position: Position
    at: float
    status: JobStatus
    chain: tuple[Step, ...]
    answers: tuple[Answer, ...]

    @property
    def line(self) -> str:
        """The chain in one line; of a long one its two ends."""
        texts = [step.text for step in self.chain]
        if len(texts) > STEPS_MAX:
            half = STEPS_MAX // 2
            texts = [*texts[:half], f"… {len(texts) - 2 * half} more …", *texts[-half:]]
        return " → ".join(texts)
