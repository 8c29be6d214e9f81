"""Farms as a simulation needs them: jobs that take so long, and workers with so many slots."""

from collections.abc import Mapping
from typing import Any

from events.commands import Command, FinishUpload, Settings, StartBuild, StartCoordinator
from events.hindsight.inputs import Given
from events.hindsight.past import Absence, Outcome, Past, Shift
from events.ids import JobId, WorkerId
from tests.events.story import BUILD

SETTINGS = Settings(lease_seconds=10.0, worker_silence_seconds=15.0, cache_timeout=0.0, deps_timeout=0.5)


def shift(worker: WorkerId, slots: int = 1, since: float = 0.0, **fields: Any) -> Shift:
    """A worker of ours."""
    known: dict[str, Any] = {"session": "1", "native": True, **fields}
    return Shift(worker=worker, slots=slots, since=since, **known)


def past(
    graph: StartBuild,
    seconds: Mapping[JobId, float | Outcome],
    *shifts: Shift,
    then: tuple[tuple[float, Command], ...] = (),
    absences: tuple[Absence, ...] = (),
    settings: Settings = SETTINGS,
) -> Past:
    """One build that is handed in at 0, and whatever clients wish `then`."""
    wishes = [
        Given(StartCoordinator(version="1", settings=settings), 0.0, ()),
        Given(graph, 0.0, (BUILD,)),
        Given(FinishUpload(build=BUILD), 0.0, ()),
        *(Given(command, at, ()) for at, command in then),
    ]
    outcomes = {(BUILD, job): o if isinstance(o, Outcome) else Outcome(o) for job, o in seconds.items()}
    return Past(
        wishes=wishes,
        absences=absences,
        shifts=shifts,
        attempts=(),
        ready_at={BUILD: 0.0},
        outcomes=outcomes,
        ends={},
        usual_seconds=1.0,
    )
