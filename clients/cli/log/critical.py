"""The critical path of a build: found, and shown."""

from attrs import frozen

from clients.cli import exits, printing
from clients.cli.exits import Failure
from clients.cli.log import critical_words, reading
from clients.cli.log.replaying import state_at, stretch
from clients.cli.texts import short
from events.hindsight.critical import Chain, Saving, chain, savings, slack
from events.hindsight.fork import fork
from events.hindsight.past import Past, gather
from events.ids import BEGINNING, BuildId, JobId, Position
from events.log import Subject
from events.model import Build
from events.query import Query
from events.sqlite import SqliteReader
from events.state import State
from events.transitions import BuildStatus

ENDS = ("BuildCancelled", "BuildFailed", "BuildSucceeded")


@frozen(kw_only=True)
class Findings:
    """All there is to say; `simulated` is how long the build takes if it is simulated as it was.

    `least_slack`: the jobs beside the path, those first that nearly were on it.
    """

    end: State
    build: Build
    chain: Chain
    slack: dict[JobId, float]
    least_slack: list[tuple[JobId, float]]
    simulated: float | None
    savings: list[Saving]

    def name(self, job: JobId, build: BuildId) -> str:
        """The job's name, if it has one; of a job of another build also which build."""
        graph = self.end.graphs.get(build)
        known = graph.jobs.get(job) if graph else None
        name = known.spec.name if known else ""
        return (name or short(job)) + (f" of build {short(build)}" if build != self.build.id else "")

    @property
    def error(self) -> float | None:
        """The simulation's error, as a share of what happened; None while that is not known."""
        if self.simulated is None or not self.build.has_ended or not self.chain.seconds:
            return None
        return self.simulated / self.chain.seconds - 1


def show(reader: SqliteReader, text: str, top: int, *, as_json: bool) -> int:
    """The path, the least slack beside it, and what the longest jobs on it would save."""
    found = find(reader, reading.find_build(reader, text) if text else _latest(reader), top)
    if as_json:
        printing.as_json(critical_words.values(found))
    else:
        printing.lines(critical_words.told(found, top))
    return 0


def find(reader: SqliteReader, id_: BuildId, top: int) -> Findings:
    """Replay to the build's start, go on to its end, then try what would help."""
    subject, head = Subject.build(id_), reader.head()
    start = reader.read(BEGINNING, subject, 1)[0].record.position
    ends = reader.search(Query(upto=head, types=ENDS, subject=subject, limit=1))
    state = state_at(reader, Position(start - 1))
    end = fork(state)
    past = gather(end, stretch(reader, state.position, ends[0].position if ends else head))
    build, path, spare = end.builds[id_], chain(end, past, id_), slack(end, past, id_)
    on_path = {link.attempt.job for link in path.links if link.attempt.build == id_}
    simulated, saved = _try(state, end, past, build, _longest(past, id_, on_path)[:top])
    beside = [(job, seconds) for job, seconds in spare.items() if job not in on_path]
    return Findings(
        end=end,
        build=build,
        chain=path,
        slack=spare,
        least_slack=sorted(beside, key=lambda entry: entry[1]),
        simulated=simulated,
        savings=saved,
    )


def _longest(past: Past, build: BuildId, jobs: set[JobId]) -> list[JobId]:
    """Those that ran to an end, the longest first."""
    known = [(past.outcomes[build, job].seconds, job) for job in jobs if (build, job) in past.outcomes]
    return [job for _, job in sorted(known, reverse=True)]


def _try(
    state: State, end: State, past: Past, build: Build, jobs: list[JobId]
) -> tuple[float | None, list[Saving]]:
    """A build that somebody cancelled would have been cancelled all the same."""
    if build.id not in past.ready_at or build.status is BuildStatus.CANCELLED:
        return None, []
    return savings(state, end, past, build.id, jobs)


def _latest(reader: SqliteReader) -> BuildId:
    query = Query(upto=reader.head(), types=("BuildStarted",), newest_first=True, limit=1)
    found = reader.search(query)
    if not found:
        raise Failure(exits.NOT_FOUND, "the log knows no build", fix="start one with `terzetto build`")
    return BuildId(getattr(found[0].event, "build", ""))
