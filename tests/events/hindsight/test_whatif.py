"""A virtual farm goes through a past as it was, or as it might have been."""

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from events.catalog import JobFailed, JobLeased, JobReleased, JobReused, WorkerLost
from events.codec import encode
from events.commands import CancelBuild, FinishUpload, StartCoordinator
from events.digest import digest
from events.fold import replay
from events.hindsight.fork import fork
from events.hindsight.inputs import Given
from events.hindsight.past import Absence, Outcome, Past, gather
from events.hindsight.whatif import Course, simulate
from events.ids import JobId, WorkerId
from events.state import State
from events.validate import validate
from tests.events.farms import SETTINGS, past, shift
from tests.events.story import BUILD, OTHER, A, B, C, D, V, W, job, start

CHAIN = start(job(A), job(B, A), job(C, B))
WIDE = start(job(A), job(B), job(C), job(D))
AWAY = (Absence(0.5, 20.0),)
FAN = start(job(A), job(B, A), job(C, A), job(D, B, C))


def course(past: Past, **changed: Any) -> Course:
    return simulate(State(), past, [BUILD], **changed)


def seconds(past: Past, **changed: Any) -> float | None:
    return course(past, **changed).ended_at.get(BUILD)


def of(found: Course, kind: type) -> list[Any]:
    return [record.event for record in found.records if isinstance(record.event, kind)]


def test_a_chain_takes_as_long_as_its_jobs() -> None:
    """However many workers there are."""
    took = {A: 1.0, B: 2.0, C: 4.0}
    assert seconds(past(CHAIN, took, shift(W))) == 7.0
    assert seconds(past(CHAIN, took, shift(V), shift(W, 8))) == 7.0


@pytest.mark.parametrize(("slots", "expected"), [(1, 10.0), (2, 6.0), (3, 4.0), (4, 4.0)])
def test_slots_are_shared_out(slots: int, expected: float) -> None:
    """First come, first served: with two slots, 4 and then 2, beside 1 and then 3."""
    took = {A: 4.0, B: 1.0, C: 3.0, D: 2.0}
    assert seconds(past(WIDE, took, shift(W, slots))) == expected


def test_what_workers_hold_decides_who_runs_what() -> None:
    """C waits for a while for the worker that has A's artifact; then the other one gets it."""
    found = course(past(FAN, {A: 1.0, B: 3.0, C: 3.0, D: 1.0}, shift(V), shift(W)))
    assert [(e.job, e.worker, e.reason) for e in of(found, JobLeased)] == [
        (A, V, "first-come"),
        (B, V, "holds-dependency"),
        (C, W, "waited-for-dependency"),
        (D, W, "holds-dependency"),
    ]
    assert found.ended_at[BUILD] == 1.0 + 0.5 + 3.0 + 1.0


def test_workers_come_when_they_came() -> None:
    assert seconds(past(CHAIN, {A: 1.0, B: 1.0, C: 1.0}, shift(W, since=5.0))) == 8.0


def test_without_workers_nothing_ends() -> None:
    """That is no endless simulation."""
    assert course(past(CHAIN, {})).ended_at == {}
    gone = shift(W, until=0.5, leaves=True)
    assert course(past(CHAIN, {A: 1.0}, gone)).ended_at == {}


def test_what_nothing_is_known_of_takes_as_long_as_usual() -> None:
    assert seconds(past(CHAIN, {A: 3.0}, shift(W))) == 5.0


def test_a_worker_that_falls_silent_is_found_out() -> None:
    """Its lease runs out after 10 s; what it held is lost with it after 15, too late to matter."""
    took = {A: 1.0, B: 4.0, C: 1.0}
    found = course(past(CHAIN, took, shift(V, until=2.0), shift(W, since=1.5)))
    assert [(e.job, e.reason) for e in of(found, JobReleased)] == [(B, "lease-ran-out")]
    assert [(e.worker, e.reason) for e in of(found, WorkerLost)] == [(V, "silent")]
    assert found.ended_at[BUILD] == pytest.approx(1.0 + 10.0 + 0.5 + 4.0 + 1.0, abs=0.01)


def test_a_worker_that_leaves_hands_its_jobs_back() -> None:
    """And takes its artifacts along, so that A runs again as well."""
    shifts = shift(V, until=2.0, leaves=True), shift(W, since=1.5)
    found = course(past(CHAIN, {A: 1.0, B: 4.0, C: 1.0}, *shifts))
    assert [e.reason for e in of(found, JobReleased)] == ["handed-back"]
    assert found.ended_at[BUILD] == pytest.approx(2.0 + 1.0 + 4.0 + 1.0, abs=0.01)


def test_a_worker_that_comes_back_begins_anew() -> None:
    """As a new process, before anybody has missed the old one."""
    shifts = shift(V, until=2.0), shift(V, since=3.0, session="2")
    found = course(past(CHAIN, {A: 1.0, B: 4.0, C: 1.0}, *shifts))
    assert [e.reason for e in of(found, WorkerLost)] == ["restarted"]
    assert found.ended_at[BUILD] == 3.0 + 1.0 + 4.0 + 1.0


def test_what_a_worker_brings_along_is_reused() -> None:
    """It held the artifact in an earlier life; the result was never forgotten."""
    first = course(past(CHAIN, {A: 1.0, B: 4.0, C: 1.0}, shift(W)))
    state = replay(first.records)
    of_b = state.graphs[BUILD].jobs[B].digest
    again = past(CHAIN, {A: 1.0, B: 4.0, C: 1.0}, shift(W, since=8.0, session="2", holds={B: of_b}))
    later = [evolve(given, at=9.0, ids=(OTHER,)) for given in again.wishes[1:2]]
    ready = Given(FinishUpload(build=OTHER), 9.0, ())
    found = simulate(state, evolve(again, wishes=[*later, ready]), [OTHER])
    assert [e.job for e in of(found, JobReused)] == [B]
    assert found.ended_at[OTHER] == 9.0 + 1.0 + 1.0


def test_failures_fail_again() -> None:
    """With the words that they had."""
    took: dict[JobId, float | Outcome] = {A: 1.0, B: Outcome(2.0, 7, "exit status 7")}
    found = course(past(CHAIN, took, shift(W)))
    assert [(e.job, e.exit_code, e.error) for e in of(found, JobFailed)] == [(B, 7, "exit status 7")]
    assert found.ended_at[BUILD] == 3.0


def test_what_clients_wished_they_wish_again() -> None:
    """Unless it is over by then: that refusal was none in the past."""
    cancel = ((2.5, CancelBuild(build=BUILD, reason="enough")),)
    slow = past(CHAIN, {A: 1.0, B: 1.0, C: 1.0}, shift(W), then=cancel)
    assert seconds(slow) == 2.5
    assert seconds(slow, changed={(BUILD, B): Outcome(0.1)}) == pytest.approx(2.1)


def test_while_the_coordinator_is_away_nobody_is_missed() -> None:
    """And nothing is heard: what ended meanwhile is told when it is back."""
    back = ((20.0, StartCoordinator(version="2", settings=SETTINGS)),)
    took = {A: 1.0, B: 1.0, C: 1.0}
    found = course(past(CHAIN, took, shift(W), shift(V, until=2.0), then=back, absences=AWAY))
    assert of(found, WorkerLost) == []
    assert found.ended_at[BUILD] == 20.0 + 1.0 + 1.0


def test_a_worker_may_fall_silent_while_nobody_listens() -> None:
    """Then nobody hears that its job ended after that, and it is given time anew."""
    back = ((20.0, StartCoordinator(version="2", settings=SETTINGS)),)
    shifts = shift(V, until=0.7), shift(W, since=25.0)
    found = course(past(start(job(A)), {A: 1.0}, *shifts, then=back, absences=AWAY))
    assert found.ended_at[BUILD] == pytest.approx(20.0 + 10.0 + 1.0, abs=0.01)


def test_the_state_before_stays_as_it_is() -> None:
    first = course(past(WIDE, {}, shift(W), then=((1.5, CancelBuild(build=BUILD, reason="")),)))
    state = replay(first.records)
    before = digest(state)
    simulate(state, past(CHAIN, {}, shift(W)), [OTHER])
    assert digest(state) == before


def test_a_worker_goes_on_with_what_it_runs() -> None:
    """From the middle of a past: until that ended, or as long as it took elsewhere, or as usual."""
    whole = past(CHAIN, {A: 1.0, B: 4.0, C: 1.0}, shift(W))
    records = course(whole).records
    until = next(
        place for place, r in enumerate(records, 1) if r.at == 1.0 and isinstance(r.event, JobLeased)
    )
    state = replay(records[:until])
    rest = gather(fork(state), records[until:])
    assert simulate(state, rest, [BUILD]).ended_at == {BUILD: 6.0}
    assert simulate(state, evolve(rest, ends={}), [BUILD]).ended_at == {BUILD: 6.0}
    unknown = evolve(rest, ends={}, outcomes={(BUILD, C): Outcome(1.0)})
    assert simulate(state, unknown, [BUILD]).ended_at == {BUILD: 1.0 + rest.usual_seconds + 1.0}


@st.composite
def pasts(draw: st.DrawFn) -> Past:
    """Up to six jobs on three workers, of which two come and go; who falls silent leaves no record of it."""
    ids = [JobId(letter * 40) for letter in "abcdef"][: draw(st.integers(1, 6))]
    jobs = [
        job(
            id_,
            *draw(st.lists(st.sampled_from(ids[:place]), max_size=2, unique=True) if place else st.just([])),
        )
        for place, id_ in enumerate(ids)
    ]
    whole = st.integers(0, 40).map(lambda tenths: tenths / 8)  # what floats can add up exactly
    errors = st.sampled_from([None, None, None, "no"])
    outcomes: dict[JobId, float | Outcome] = {id_: Outcome(draw(whole), 0, draw(errors)) for id_ in ids}
    shifts = [shift(W, draw(st.integers(1, 3)))]
    for name, late in (("v", 0.0), ("x", 1 / 16)):  # no two go at the same time
        since, stay = draw(whole) + late, draw(st.sampled_from([None, 0.5, 2.0, 6.0]))
        plain = draw(st.booleans())
        shifts.append(
            shift(
                WorkerId(name),
                draw(st.integers(1, 2)),
                since,
                until=None if stay is None else since + stay,
                leaves=True,
                native=not plain,
                session="" if plain else "1",
            )
        )
    return past(start(*jobs, keep_going=draw(st.booleans())), outcomes, *shifts)


@given(pasts())
def test_a_simulated_past_is_simulated_again_to_the_letter(imagined: Past) -> None:
    """What is gathered from its records is all that it was made of."""
    first = course(imagined)
    validate(replay(first.records))
    again = simulate(State(), gather(State(), first.records), [BUILD])
    assert [encode(r) for r in again.records] == [encode(r) for r in first.records]
