"""What must hold of the records of any log, one after the other: invariants that no State is needed for."""

from collections.abc import Callable, Mapping

from attrs import Factory, define

from events.catalog import (
    BuildCancelled,
    BuildFailed,
    BuildSucceeded,
    JobCancelled,
    JobFailed,
    JobLeased,
    JobReopened,
    JobReused,
    JobSucceeded,
    Record,
)
from events.fold import fold
from events.hindsight.audit import NONSENSE
from events.ids import BuildId, JobId, LeaseId, WorkerId
from events.state import State
from events.transitions import JOB

_MOVES = tuple({cls for row in JOB.values() for cls in row})


@define
class _Fold:
    """Each record can follow from those before it."""

    state: State = Factory(State)

    def __call__(self, record: Record) -> str:
        try:
            fold(self.state, record)
        except NONSENSE as error:
            return f"{type(error).__name__}: {error}"
        return ""


@define
class _Time:
    """Time does not fall."""

    at: float = float("-inf")

    def __call__(self, record: Record) -> str:
        before, self.at = self.at, record.at
        return "" if record.at >= before else f"{record.at} is before {before}"


@define
class _Positions:
    """Positions count up without a hole."""

    position: int = 0

    def __call__(self, record: Record) -> str:
        self.position += 1
        return "" if record.position == self.position else f"{record.position} stands at {self.position}"


@define
class _Attempts:
    """The attempts of a job count up by one."""

    last: dict[tuple[BuildId, JobId], int] = Factory(dict)

    def __call__(self, record: Record) -> str:
        event = record.event
        if not isinstance(event, JobLeased):
            return ""
        before = self.last.get((event.build, event.job), 0)
        self.last[event.build, event.job] = event.attempt
        if event.attempt == before + 1:
            return ""
        return f"attempt {event.attempt} of job {event.job} of build {event.build} follows {before}"


@define
class _Grants:
    """A lease is for one job and one worker, for ever."""

    given: dict[LeaseId, tuple[JobId, WorkerId]] = Factory(dict)

    def __call__(self, record: Record) -> str:
        event = record.event
        if not isinstance(event, JobLeased):
            return ""
        known = self.given.setdefault(event.lease, (event.job, event.worker))
        if known == (event.job, event.worker):
            return ""
        return f"lease {event.lease} was for job {known[0]} on {known[1]}"


@define
class _Endings:
    """What has ended does not move; only a build that goes on takes a success back."""

    builds: set[BuildId] = Factory(set)
    jobs: dict[tuple[BuildId, JobId], str] = Factory(dict)

    def __call__(self, record: Record) -> str:
        event = record.event
        if isinstance(event, BuildSucceeded | BuildFailed | BuildCancelled):
            twice = event.build in self.builds
            self.builds.add(event.build)
            return f"build {event.build} ends twice" if twice else ""
        if not isinstance(event, _MOVES):
            return ""
        build, job = BuildId(getattr(event, "build", "")), JobId(getattr(event, "job", ""))
        ended = self.jobs.pop((build, job), "")
        if isinstance(event, JobSucceeded | JobReused | JobFailed | JobCancelled):
            self.jobs[build, job] = type(event).__name__
        if isinstance(event, JobReopened) and ended in ("JobSucceeded", "JobReused"):
            ended = ""
        if build in self.builds:
            return f"job {job} moves after its build {build} has ended"
        return f"job {job} of build {build} moves after {ended}" if ended else ""


WATCHES: Mapping[str, Callable[[], Callable[[Record], str]]] = {
    "fold": _Fold,
    "time": _Time,
    "positions": _Positions,
    "attempts": _Attempts,
    "grants": _Grants,
    "endings": _Endings,
}
