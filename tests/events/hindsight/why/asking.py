"""Asking why in a story of the core."""

from events.commands import FinishUpload, Result
from events.hindsight.why import Answer, Question, why
from events.ids import BuildId, JobId, Position
from events.log import MemoryLog
from events.query import Scanned
from tests.events.story import BUILD, OTHER, Story, lease_id

READY, READY_TOO = FinishUpload(build=BUILD), FinishUpload(build=OTHER)


def done(id_: JobId, number: int) -> Result:
    return Result(job=id_, lease=lease_id(number))


def bad(id_: JobId, number: int) -> Result:
    return Result(job=id_, lease=lease_id(number), exit_code=2, error="exit status 2")


def answers(
    story: Story, job: JobId, question: Question, *, build: BuildId = BUILD, at: int = 0
) -> list[Answer]:
    """What is answered to the question; as of the end of the story, if no position is named."""
    log = MemoryLog()
    log.append(story.records)
    found = why(Scanned(log), build, job, Position(at or len(story.records)))
    return [answer for answer in found.answers if answer.question is question]


def texts(story: Story, job: JobId, question: Question, *, build: BuildId = BUILD, at: int = 0) -> list[str]:
    """Only the words."""
    return [answer.text for answer in answers(story, job, question, build=build, at=at)]


def codes(story: Story, job: JobId, question: Question, *, build: BuildId = BUILD) -> list[str]:
    """Only the code words."""
    return [answer.code for answer in answers(story, job, question, build=build)]
