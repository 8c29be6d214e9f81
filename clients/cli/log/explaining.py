"""Why a job did what it did, for people and for programs."""

from collections.abc import Iterator

from attrs import asdict

from clients.cli import exits, printing
from clients.cli.errors import usage
from clients.cli.exits import Failure
from clients.cli.log import reading
from clients.cli.log.options import Moment
from clients.cli.log.showing import moment
from clients.cli.texts import plain, short
from events.errors import Rejected
from events.hindsight.why import Explanation, Question, why
from events.ids import Position
from events.query import position_at
from events.sqlite import SqliteReader

TITLES = {
    Question.WAITING: "why is it waiting?",
    Question.ENDED: "why did it end like that?",
    Question.PLACE: "why did it run there?",
    Question.AGAIN: "why did it have to run again?",
    Question.NOT_REUSED: "why was it not reused?",
    Question.REUSED: "why was it reused?",
}


def explain(reader: SqliteReader, build: str, job: str, at: Moment | None, *, as_json: bool) -> int:
    """All answers, each below its question."""
    position = place(reader, at)
    id_ = reading.find_build(reader, build)
    job_id = reading.find_job(reader, job, id_)
    try:
        found = why(reader, id_, job_id, position)
    except Rejected as error:
        raise Failure(exits.NOT_FOUND, plain(error.reason), fix="look with `terzetto log show`") from error
    show(found, as_json=as_json)
    return 0


def show(found: Explanation, *, as_json: bool) -> None:
    """The chain of what became of the job, then each answer below its question."""
    if as_json:
        printing.as_json({**asdict(found), "time": moment(found.at)})
    else:
        printing.lines([plain(line) for line in _lines(found)])


def place(reader: SqliteReader, at: Moment | None) -> Position:
    """The position that is meant, or the last; raises `Failure` for one beyond that."""
    head = reader.head()
    if at is None:
        return head
    if at.position is None:
        assert at.seconds is not None
        return position_at(reader, at.seconds)
    if at.position > head:
        raise usage(f"the log ends at position {head}", fix="choose one up to that")
    return Position(at.position)


def _lines(found: Explanation) -> Iterator[str]:
    name = f" ({found.build_name})" if found.build_name else ""
    as_of = moment(found.at)
    yield f"job {found.name} of build {short(found.build)}{name}, as of record {found.position}, {as_of}"
    yield found.line
    asked = Question.STATUS
    for answer in found.answers:
        if answer.question is not asked:
            asked = answer.question
            yield TITLES[asked]
        yield f"  {_time(answer.at, as_of)}  {answer.text}"


def _time(at: float, as_of: str) -> str:
    """The time of day, and the date if it is another."""
    date, _, time = moment(at).partition("T")
    return time.removesuffix("Z") if as_of.startswith(date) and time else moment(at)
