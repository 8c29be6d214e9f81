"""What determined the end of a build: a chain of attempts, each begun when the one before it ended.

An attempt waits for its last dependency, for a slot, or for the end of an earlier attempt of the same job;
whichever ended last is before it in the chain. What the others could have taken longer is their slack.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from attrs import evolve, frozen

from events.hindsight.attempts import Attempt
from events.hindsight.fork import fork
from events.hindsight.past import Past
from events.hindsight.whatif import simulate
from events.ids import BuildId, JobId
from events.model import Result
from events.state import State
from events.transitions import BuildStatus


@frozen(kw_only=True)
class Link:
    """An attempt in the chain. `why` it began just then: as `Attempt.because`, or `slot`.

    `before` is whose end it waited for; `gap` is for how long it went on waiting, in seconds.
    """

    attempt: Attempt
    why: str
    before: Attempt | None
    gap: float
    seconds: float


@frozen(kw_only=True)
class Chain:
    """From when the jobs might run to the end of the build, or to now while it runs."""

    began_at: float
    ended_at: float
    links: Sequence[Link]

    @property
    def seconds(self) -> float:
        return self.ended_at - self.began_at


@frozen(kw_only=True)
class Saving:
    """By how many seconds the build would end earlier if the job took half as long, or were reused.

    None where that cannot be told.
    """

    job: JobId
    halved: float | None
    cached: float | None


def chain(state: State, past: Past, build: BuildId) -> Chain:
    """The chain of the build as it stands in `state`, at the end of that past; empty if nothing ran."""
    known = state.builds[build]
    ended_at = known.ended_at or state.at
    began_at = past.ready_at.get(build, ended_at)
    mine = [attempt for attempt in past.attempts if attempt.build == build]
    links: list[Link] = []
    attempt = _last(known.status, mine)
    while attempt is not None and (attempt.ended_at is None or attempt.ended_at > began_at or not links):
        link = _link(attempt, began_at, ended_at)
        links.append(link)
        attempt = link.before
    return Chain(began_at=began_at, ended_at=ended_at, links=links[::-1])


def slack(state: State, past: Past, build: BuildId) -> dict[JobId, float]:
    """For how many seconds each job could have gone on without moving the end of the build."""
    now = state.builds[build].ended_at or state.at
    mine = sorted((a for a in past.attempts if a.build == build and a.begun_at is not None), key=_by_end)
    of_job: dict[JobId, list[Attempt]] = {}
    for attempt in mine:
        of_job.setdefault(attempt.job, []).append(attempt)
    late = dict.fromkeys(mine, now)
    for attempt in reversed(mine):
        begin_by = late[attempt] - attempt.seconds(now)
        deps = state.graphs[build].jobs[attempt.job].spec.deps
        last = _binding(attempt)
        if last in late:  # whatever came between the two would have come later, too
            late[last] = min(late[last], last.lasted_until(now) + late[attempt] - attempt.lasted_until(now))
        for before in _all_before(attempt, deps, of_job):
            if before in late:
                late[before] = min(late[before], begin_by)
    return {job: late[tried[-1]] - tried[-1].lasted_until(now) for job, tried in of_job.items()}


def savings(
    state: State, end: State, past: Past, build: BuildId, jobs: Iterable[JobId]
) -> tuple[float | None, list[Saving]]:
    """What it would bring to speed each job up; first, how many seconds the build takes if nothing is.

    `state` is that before the past, `end` that after it.
    """
    began_at = past.ready_at[build]
    usual = simulate(state, past, [build]).last_end([build])
    found = []
    for job in jobs:
        outcome = past.outcomes.get((build, job))
        half = {(build, job): outcome._replace(seconds=outcome.seconds / 2)} if outcome else None
        halved = simulate(state, past, [build], changed=half).last_end([build]) if half else None
        known = _with_result(state, end, build, job)
        cached = simulate(known, past, [build]).last_end([build]) if known else None
        found.append(Saving(job=job, halved=_less(usual, halved), cached=_less(usual, cached)))
    return (None if usual is None else usual - began_at), found


def _less(usual: float | None, changed: float | None) -> float | None:
    return None if usual is None or changed is None else usual - changed


def _last(status: BuildStatus, mine: Sequence[Attempt]) -> Attempt | None:
    """Whose end was the build's, or was waited for longest."""
    failed = [attempt for attempt in mine if attempt.result == "failed"]
    if status is BuildStatus.FAILED and failed:
        unfinished = [attempt for attempt in mine if attempt.result in ("succeeded", "reused")]
        return max((*failed, *unfinished), key=_by_end)
    at_work = [attempt for attempt in mine if attempt.result in ("running", "cancelled")]
    if status not in (BuildStatus.SUCCEEDED, BuildStatus.FAILED) and at_work:
        return min(at_work, key=lambda attempt: attempt.position)
    return max((a for a in mine if a.ended_at is not None), key=_by_end, default=None)


def _by_end(attempt: Attempt) -> tuple[float, int]:
    if attempt.ended_at is None or attempt.end_position is None:
        return float("inf"), attempt.position
    return attempt.ended_at, attempt.end_position


def _link(attempt: Attempt, began_at: float, ended_at: float) -> Link:
    before = _binding(attempt)
    why = attempt.because if attempt.slot_after is None else "slot"
    until = attempt.lasted_until(ended_at)
    begun_at = until if attempt.begun_at is None else max(began_at, attempt.begun_at)
    free_at = began_at if before is None or before.ended_at is None else max(began_at, before.ended_at)
    return Link(attempt=attempt, why=why, before=before, gap=begun_at - free_at, seconds=until - begun_at)


def _binding(attempt: Attempt) -> Attempt | None:
    """Whose end it waited for last."""
    return attempt.after if attempt.slot_after is None else attempt.slot_after


def _all_before(
    attempt: Attempt, deps: Collection[JobId], of_job: dict[JobId, list[Attempt]]
) -> Iterator[Attempt]:
    """All whose ends it had to wait for."""
    for before in (attempt.after, attempt.slot_after):
        if before is not None:
            yield before
    for dep in deps:
        done = [a for a in of_job.get(dep, ()) if a.ended_at is not None and a.ended_at <= attempt.queued_at]
        yield from done[-1:]


def _with_result(state: State, end: State, build: BuildId, id_: JobId) -> State | None:
    """The state, had the worker that ran the job had its artifact from the beginning; None if none did."""
    job = end.graphs[build].jobs[id_]
    if not job.worker or not job.digest:
        return None
    forked = fork(state)
    result = end.results.get((id_, job.digest), Result(job.lease, 0, 0))
    holders = {**forked.holders, id_: {**forked.holders.get(id_, {}), job.worker: job.digest}}
    held = {**forked.held, job.worker: {**forked.held.get(job.worker, {}), id_: None}}
    results = {**forked.results, (id_, job.digest): result}
    return evolve(forked, results=results, holders=holders, held=held)
